"""An answer of `generateContent`, whole or as events, as a reply or as chunks. Pure.

Foreign data: whatever has another shape than documented raises, and the base class makes it a malformed response.
A stream's events have the shape of a whole answer, so one reader reads both. Source: the API reference of
GenerateContentResponse, the types of Google's client, and recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import define, evolve

from penstock.errors import ErrorType, ProviderError
from penstock.schema import GenerationChunk, ProviderReply, ReplyBuilder, TokenLogprob, ToolCallDelta
from penstock_gemini.errors import error_of
from penstock_gemini.usage import usage_of
from penstock_http import Event, dumps, loads

__all__ = ["AnswerReader", "reply_of"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})

_FINISH_REASONS: Mapping[str, str | None] = MappingProxyType(
    {
        "FINISH_REASON_UNSPECIFIED": None,
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "CONTINUATION": "length",  # the most tokens of one request; another one would go on
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "ESCALATION": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
    }
)
"""The API's words for reasons that all providers have; any other word stays as it is."""

_NUMBERED: Mapping[int, str] = MappingProxyType({1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"})
"""The reasons whose numbers are the same in the Gemini API and in Vertex AI. Both may write enumerations as numbers, as
JSON of protocol buffers allows."""


@define
class AnswerReader:
    """Reads the pieces of one answer in order; what they add up to is the whole answer.

    Attributes:
        calls: the tool calls that have come: each piece counts its own from 0, and only the whole knows their places.
        finished: a finish reason has come.
    """

    calls: int = 0
    finished: bool = False

    def read(self, data: Any) -> GenerationChunk | None:
        """Return what one piece says of the first candidate; None where it says nothing.

        A call without an id gets one out of the answer's id and its place, so that results can name it. An answer
        that stops to have tools called says so, as those of other providers do: Gemini calls this a plain stop.
        Raises a `CONTENT_FILTER` error where the prompt was blocked, and the `ProviderError` that an error holds.
        """
        chunk = _chunk_of(data)
        if chunk is None:
            return None
        if chunk.tool_calls:
            calls = []
            for index, call in enumerate(chunk.tool_calls, self.calls):
                calls.append(evolve(call, index=index, id=call.id or f"{chunk.response_id or 'call'}-{index}"))
            self.calls += len(calls)
            chunk = evolve(chunk, tool_calls=tuple(calls))
        if self.calls and chunk.finish_reason == "stop":
            chunk = evolve(chunk, finish_reason="tool_calls")
        self.finished = self.finished or chunk.finish_reason is not None
        return chunk

    def read_event(self, event: Event) -> GenerationChunk | None:
        """Return what an event of a stream says; its count of tokens is `estimated` while the answer goes on."""
        chunk = self.read(loads(event.data))
        if chunk is not None and chunk.usage is not None and not self.finished:
            chunk = evolve(chunk, usage=chunk.usage.replace(estimated=True))
        return chunk


def reply_of(data: Any) -> ProviderReply:
    """Return the first candidate of a whole answer; a list is a stream that was not sent as events.

    Raises a `CONTENT_FILTER` error where the prompt was blocked, and the `ProviderError` that a list may hold.
    """
    answers = data if isinstance(data, list) else [data]
    builder, reader = ReplyBuilder(), AnswerReader()
    for answer in answers:
        if (chunk := reader.read(answer)) is not None:
            builder.add(chunk)
    if not any(answer.get("candidates") for answer in answers):
        raise KeyError("candidates")
    return builder.build()


def _chunk_of(data: Any) -> GenerationChunk | None:
    if data.get("error"):
        raise error_of(200, data)
    candidates = data.get("candidates")
    usage = usage_of(data.get("usageMetadata"))
    if not candidates:
        blocked = (data.get("promptFeedback") or _EMPTY).get("blockReason")
        if blocked:
            raise ProviderError(f"the prompt was blocked ({blocked})", ErrorType.CONTENT_FILTER, usage=usage)
    candidate = next((each for each in candidates or () if not each.get("index")), _EMPTY)
    texts, thoughts, calls = _parts((candidate.get("content") or _EMPTY).get("parts") or ())
    reason = _finish_reason(candidate.get("finishReason"))
    if not (texts or thoughts or calls or reason or usage):
        return None
    return GenerationChunk(
        texts,
        reasoning=thoughts,
        tool_calls=calls,
        finish_reason=reason,
        usage=usage,
        logprobs=_logprobs(candidate.get("logprobsResult") or _EMPTY),
        response_model=_text(data.get("modelVersion")),
        response_id=_text(data.get("responseId")),
    )


def _finish_reason(word: Any) -> str | None:
    """Return the common word for a reason, else the API's own; None while the answer goes on."""
    if isinstance(word, int):
        word = _NUMBERED.get(word, str(word) if word else None)
    return _FINISH_REASONS.get(word, word) if _text(word) else None


def _parts(parts: Any) -> tuple[str, str, tuple[ToolCallDelta, ...]]:
    """Return the text, the thoughts and the tool calls of a candidate's parts.

    Parts that are none of these are passed over: code that the server ran, media, the calls of its own tools.
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


def _logprobs(result: Any) -> tuple[TokenLogprob, ...]:
    """Return the tokens that were chosen, each with the likeliest ones in its place where these were asked for."""
    chosen = [_logprob(each) for each in result.get("chosenCandidates") or ()]
    tops = [tuple(map(_logprob, each.get("candidates") or ())) for each in result.get("topCandidates") or ()]
    if len(tops) != len(chosen):
        return tuple(chosen)
    return tuple(evolve(each, top=top) for each, top in zip(chosen, tops, strict=True))


def _logprob(data: Any) -> TokenLogprob:
    return TokenLogprob(_text(data.get("token")) or "", float(data.get("logProbability") or 0))  # 0 may be left out


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError("expected a text")
