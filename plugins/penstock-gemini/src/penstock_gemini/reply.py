"""An answer of `generateContent`, whole or as events, as a reply or as chunks. Pure.

Foreign data: whatever has another shape than documented raises, and the base class makes it a malformed response.
A stream's events have the shape of a whole answer, so one function reads both. Source: the API reference of
GenerateContentResponse, and recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import define, evolve

from penstock.errors import ErrorType, ProviderError
from penstock.schema import GenerationChunk, ProviderReply, ReplyBuilder, ToolCallDelta
from penstock_gemini.errors import error_of
from penstock_gemini.usage import usage_of
from penstock_http import dumps

__all__ = ["CallCounter", "chunk_of", "reply_of"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})

_FINISH_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
    }
)
"""The API's words for reasons that all providers have; any other word stays as it is."""


@define
class CallCounter:
    """Numbers the tool calls of one answer: each chunk counts its own from 0, and only the whole knows their places.

    Attributes:
        count: the calls that have come.
    """

    count: int = 0

    def numbered(self, chunk: GenerationChunk) -> GenerationChunk:
        """Return the chunk with its calls in their places.

        A call without an id gets one out of the answer's id and its place, so that results can name it. An answer
        that stops to have tools called says so, as those of other providers do: Gemini calls this a plain stop.
        """
        if chunk.tool_calls:
            calls = []
            for index, call in enumerate(chunk.tool_calls, self.count):
                calls.append(evolve(call, index=index, id=call.id or f"{chunk.response_id or 'call'}-{index}"))
            self.count += len(calls)
            chunk = evolve(chunk, tool_calls=tuple(calls))
        if self.count and chunk.finish_reason == "stop":
            chunk = evolve(chunk, finish_reason="tool_calls")
        return chunk


def reply_of(data: Any) -> ProviderReply:
    """Return the first candidate of a whole answer; a list is a stream that was not sent as events.

    Raises a `CONTENT_FILTER` error where the prompt was blocked, and the `ProviderError` that a list may hold.
    """
    answers = data if isinstance(data, list) else [data]
    builder, calls = ReplyBuilder(), CallCounter()
    for answer in answers:
        if (chunk := chunk_of(answer)) is not None:
            builder.add(calls.numbered(chunk))
    if not any(answer.get("candidates") for answer in answers):
        raise KeyError("candidates")
    return builder.build()


def chunk_of(data: Any) -> GenerationChunk | None:
    """Return what one event, or a whole answer, says of the first candidate; None where it says nothing.

    Raises a `CONTENT_FILTER` error where the prompt was blocked, and the `ProviderError` that an error event holds.
    """
    if data.get("error"):
        raise error_of(200, data)
    candidates = data.get("candidates")
    usage = usage_of(data.get("usageMetadata"))
    if not candidates:
        blocked = (data.get("promptFeedback") or _EMPTY).get("blockReason")
        if blocked:
            raise ProviderError(f"the prompt was blocked ({blocked})", ErrorType.CONTENT_FILTER)
    candidate = next((each for each in candidates or () if not each.get("index")), _EMPTY)
    texts, thoughts, calls = _parts((candidate.get("content") or _EMPTY).get("parts") or ())
    reason = _text(candidate.get("finishReason")) or None
    if not (texts or thoughts or calls or reason or usage):
        return None
    return GenerationChunk(
        texts,
        reasoning=thoughts,
        tool_calls=calls,
        finish_reason=reason and _FINISH_REASONS.get(reason, reason),
        usage=usage,
        response_model=_text(data.get("modelVersion")),
        response_id=_text(data.get("responseId")),
    )


def _parts(parts: Any) -> tuple[str, str, tuple[ToolCallDelta, ...]]:
    """Return the text, the thoughts and the tool calls of a candidate's parts.

    Parts that are none of these are passed over: code that the server ran, images, its own tools' calls.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCallDelta] = []
    for part in parts:
        call = part.get("functionCall")
        if call is not None:
            calls.append(
                ToolCallDelta(
                    index=len(calls),
                    id=_text(call.get("id")) or None,
                    name=_text(call["name"]),
                    arguments=dumps(call.get("args") or {}).decode(),
                    signature=_text(part.get("thoughtSignature")),
                )
            )
        elif text := _text(part.get("text")):
            (thoughts if part.get("thought") else texts).append(text)
    return "".join(texts), "".join(thoughts), tuple(calls)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError("expected a text")
