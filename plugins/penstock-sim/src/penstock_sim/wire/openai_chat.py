"""OpenAI's Chat Completions: `POST /v1/chat/completions`, streamed and not."""

from typing import Any, Final

import orjson

from penstock_sim.exchange import Choice, SimReply, SimRequest, Stamp
from penstock_sim.text import pieces
from penstock_sim.wire.openai_chat_request import parse
from penstock_sim.wire.openai_common import OpenAIWire

_DONE: Final = b"data: [DONE]\n\n"
_FINGERPRINT: Final = "fp_5e11ab1e00"


class ChatCompletions(OpenAIWire):
    """Chat Completions."""

    prompt_field = "messages"
    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write one `chat.completion`."""
        completion = _envelope(request, stamp, "chat.completion")
        completion["choices"] = [
            {
                "index": index,
                "message": _message(choice),
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(reply.choices)
        ]
        completion["usage"] = _usage(reply)
        return orjson.dumps(completion)

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write `chat.completion.chunk` events: role, pieces, finish, then usage if asked for, and `[DONE]`."""
        envelope = _envelope(request, stamp, "chat.completion.chunk")
        # Most of an event is the same in all of them: it is encoded once.
        head = b"data: " + orjson.dumps(envelope)[:-1] + b',"choices":['
        include_usage = request.notes.get("include_usage") is True
        tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        written: list[bytes] = []
        for index, choice in enumerate(reply.choices):
            steps = [*((delta, None) for delta in _deltas(choice)), ({}, choice.finish_reason)]
            for delta, finish_reason in steps:
                item = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
                written.append(head + orjson.dumps(item) + tail)
        if include_usage:
            written.append(head + b'],"usage":' + orjson.dumps(_usage(reply)) + b"}\n\n")
        written.append(_DONE)
        return tuple(written)


def _envelope(request: SimRequest, stamp: Stamp, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{stamp.id[:29]}",
        "object": kind,
        "created": stamp.created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _message(choice: Choice) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": choice.text,
        "refusal": None,
        "annotations": [],
    }
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    return message


def _deltas(choice: Choice) -> list[dict[str, Any]]:
    """Split a choice as the API does: the role first, text by words, a call as its name and then its arguments."""
    if choice.text is not None:
        first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        return [first, *({"content": piece} for piece in pieces(choice.text))]
    deltas: list[dict[str, Any]] = []
    for index, call in enumerate(choice.tool_calls):
        start = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        deltas.append({"tool_calls": [start]})
        deltas += (
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces(call.arguments)
        )
    deltas[0] = {"role": "assistant", "content": None, **deltas[0], "refusal": None}
    return deltas


def _usage(reply: SimReply) -> dict[str, object]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
