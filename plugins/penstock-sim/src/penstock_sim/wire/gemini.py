"""Gemini's generateContent and streamGenerateContent: `POST /v1beta/models/MODEL:generateContent`."""

from typing import Any, Final

import orjson

from penstock_sim.exchange import Choice, SimReply, SimRequest, Stamp, ToolCall
from penstock_sim.text import pieces
from penstock_sim.wire.gemini_common import GeminiWire
from penstock_sim.wire.gemini_request import parse

_FINISH_REASONS: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}


class GenerateContent(GeminiWire):
    """`generateContent` and `streamGenerateContent`."""

    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write one answer; for a stream that was not asked for as events, all of its parts as one list."""
        if request.notes["list"]:
            return b"[" + b"\n,\r\n".join([orjson.dumps(part) for part in _stream(request, reply, stamp)]) + b"\n]\n"
        candidates = [_candidate(index, _parts(choice), choice) for index, choice in enumerate(reply.choices)]
        return orjson.dumps(_answer(request, reply, stamp, candidates, ended=True))

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write answers that each bring a piece of it; the stream has no terminator."""
        return tuple([b"data: " + orjson.dumps(part) + b"\r\n\r\n" for part in _stream(request, reply, stamp)])


def _stream(request: SimRequest, reply: SimReply, stamp: Stamp) -> list[dict[str, Any]]:
    """List the answers of a stream: candidate after candidate, word by word; the last one has the whole usage."""
    candidates = [
        candidate for index, choice in enumerate(reply.choices) for candidate in _candidates_of(index, choice)
    ]
    last = len(candidates) - 1
    return [
        _answer(request, reply, stamp, [candidate], ended=place == last) for place, candidate in enumerate(candidates)
    ]


def _candidates_of(index: int, choice: Choice) -> list[dict[str, Any]]:
    """Write a candidate bit by bit: a word at a time, or all of its calls at once; the last bit says why it ends."""
    if choice.text is None:
        return [_candidate(index, _parts(choice), choice)]
    bits = [_candidate(index, [{"text": piece}]) for piece in pieces(choice.text)] or [_candidate(index, [])]
    bits[-1]["finishReason"] = _FINISH_REASONS[choice.finish_reason]
    return bits


def _candidate(index: int, parts: list[dict[str, Any]], ended: Choice | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if ended is not None:
        candidate["finishReason"] = _FINISH_REASONS[ended.finish_reason]
    return candidate


def _parts(choice: Choice) -> list[dict[str, Any]]:
    """List the parts of a candidate: a text, or calls."""
    if choice.text is not None:
        return [{"text": choice.text}]
    return [{"functionCall": _function_call(call)} for call in choice.tool_calls]


def _function_call(call: ToolCall) -> dict[str, Any]:
    arguments = orjson.loads(call.arguments)
    return {"name": call.name, "args": arguments if isinstance(arguments, dict) else {}, "id": call.id[-8:]}


def _answer(
    request: SimRequest, reply: SimReply, stamp: Stamp, candidates: list[dict[str, Any]], *, ended: bool
) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": _usage(reply) if ended else _usage_so_far(reply),
        "modelVersion": request.model,
        "responseId": stamp.id[:22],
    }


def _usage_so_far(reply: SimReply) -> dict[str, Any]:
    return {
        "promptTokenCount": reply.prompt_tokens,
        "totalTokenCount": reply.prompt_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}],
    }


def _usage(reply: SimReply) -> dict[str, Any]:
    return {
        **_usage_so_far(reply),
        "candidatesTokenCount": reply.completion_tokens,
        "totalTokenCount": reply.prompt_tokens + reply.completion_tokens,
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": reply.completion_tokens}],
    }
