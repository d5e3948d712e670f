"""Anthropic's Messages: `POST /v1/messages`, streamed and not."""

from typing import Any, Final

import orjson

from penstock_sim.exchange import Choice, SimReply, SimRequest, Stamp, ToolCall
from penstock_sim.text import pieces
from penstock_sim.wire import sse
from penstock_sim.wire.anthropic_common import AnthropicWire
from penstock_sim.wire.anthropic_messages_request import parse

_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_PING: Final = sse.named({"type": "ping"})
_NO_CACHE: Final = {
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
}


class Messages(AnthropicWire):
    """Messages."""

    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write one `message`."""
        choice = reply.choices[0]
        message = _message(request, reply, stamp)
        message["content"] = _blocks(choice)
        message["stop_reason"] = _STOP_REASONS[choice.finish_reason]
        message["usage"] = {**message["usage"], "output_tokens": reply.completion_tokens}
        return orjson.dumps(message)

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write the typed events: the message begins, its blocks come bit by bit after a ping, the message ends."""
        choice = reply.choices[0]
        written = [sse.named({"type": "message_start", "message": _message(request, reply, stamp)})]
        for index, block in enumerate(_blocks(choice)):
            written += _block_events(index, block, choice)
        written.insert(2, _PING)
        delta = {"stop_reason": _STOP_REASONS[choice.finish_reason], "stop_sequence": None}
        usage = {
            "input_tokens": reply.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply.completion_tokens,
        }
        written.append(sse.named({"type": "message_delta", "delta": delta, "usage": usage}))
        written.append(sse.named({"type": "message_stop"}))
        return tuple(written)


def _message(request: SimRequest, reply: SimReply, stamp: Stamp) -> dict[str, Any]:
    """Begin a message, of which nothing has come yet."""
    return {
        "model": request.model,
        "id": f"msg_{stamp.id[:24]}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            **_NO_CACHE,
            "output_tokens": 1,
            "service_tier": "standard",
            "inference_geo": "not_available",
        },
    }


def _blocks(choice: Choice) -> list[dict[str, Any]]:
    """List the blocks of an answer: a text, or calls."""
    if choice.text is not None:
        return [{"type": "text", "text": choice.text}]
    return [_tool_use(call) for call in choice.tool_calls]


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": f"toolu_{call.id.removeprefix('call_')}",
        "name": call.name,
        "input": orjson.loads(call.arguments),
        "caller": {"type": "direct"},
    }


def _block_events(index: int, block: dict[str, Any], choice: Choice) -> list[bytes]:
    """Write a block bit by bit: it begins empty, and its text or its input follows in pieces."""
    if block["type"] == "text":
        empty = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    else:
        empty = {**block, "input": {}}
        parts = ["", *pieces(choice.tool_calls[index].arguments)]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return [
        sse.named({"type": "content_block_start", "index": index, "content_block": empty}),
        *(sse.named({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
        sse.named({"type": "content_block_stop", "index": index}),
    ]
