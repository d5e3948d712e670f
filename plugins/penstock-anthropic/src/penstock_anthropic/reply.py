"""An answer of `POST /v1/messages`, whole or as events, as a reply or as chunks. Pure.

Foreign data: whatever has another shape than documented raises, and the base class makes it a malformed response.
Blocks that are not the answer's text, reasoning or calls of the caller's tools are passed over: what a server-side
tool was asked and said, and citations. Thinking that leads to a call must go back to the API with it, unchanged and
signed: the call's `signature` holds those blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from attrs import define, evolve, field

from penstock.schema import GenerationChunk, ProviderReply, ToolCall, ToolCallDelta, Usage
from penstock_anthropic.errors import error_of
from penstock_anthropic.usage import latest, usage_of
from penstock_http import END, Event, StreamEnd, dumps, loads

__all__ = ["StreamReader", "reply_of"]

_FINISH_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
)
"""The common words; any other, such as "pause_turn" and "compaction", stays the provider's own."""


def reply_of(data: Any) -> ProviderReply:
    """Return the reply in a whole answer. Raises the `ProviderError` that an answer of status 200 may hold."""
    if data.get("type") == "error":
        raise error_of(200, data)
    texts, thoughts, calls = [], [], []
    thinking: list[Mapping[str, Any]] = []
    for block in data["content"]:
        match block["type"]:
            case "text":
                texts.append(_text(block["text"]))
            case "thinking":
                thoughts.append(_text(block["thinking"]))
                thinking.append(block)
            case "redacted_thinking":
                thinking.append(block)
            case "tool_use":
                calls.append(_call(block, thinking))
                thinking = []
    refusal = _explanation(data)
    return ProviderReply(
        "".join(texts) if texts or not (calls or refusal) else None,
        usage_of(data["usage"]) if data.get("usage") else None,
        _finish_reason(data),
        "".join(thoughts) or None,
        refusal,
        tuple(calls),
        _text(data["model"]),
        _text(data["id"]),
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("expected a text")


def _call(block: Mapping[str, Any], thinking: Sequence[Mapping[str, Any]]) -> ToolCall:
    return ToolCall(
        id=_text(block["id"]),
        name=_text(block["name"]),
        arguments=_json(block.get("input") or {}),
        signature=_json(thinking) if thinking else None,
    )


def _json(value: Any) -> str:
    return dumps(value).decode()


def _finish_reason(data: Mapping[str, Any]) -> str | None:
    word = data.get("stop_reason")
    return None if word is None else _FINISH_REASONS.get(_text(word), word)


def _explanation(data: Mapping[str, Any]) -> str | None:
    """Return what the API says of its refusal, for people; None where it says nothing."""
    details = data.get("stop_details") or {}
    return _text(details.get("explanation") or "") or None


@define
class StreamReader:
    """Reads the events of one stream, of which some are understood only from those before them.

    Attributes:
        calls: for each open block that calls a tool of the caller's, whether a part of its arguments has come.
        foreign: the blocks that are passed over; what they hold may come in deltas of the common types.
        thinking: the blocks of thinking since the last call, each with the pieces of its fields that have come.
        usage: the newest count of each kind; the last event repeats some of the first one's, or none.
    """

    calls: dict[int, bool] = field(factory=dict)
    foreign: set[int] = field(factory=set)
    thinking: list[tuple[dict[str, Any], dict[str, list[str]]]] = field(factory=list)
    usage: dict[str, Any] = field(factory=dict)

    def read(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return what an event adds; None for one that adds nothing. Raises the `ProviderError` of an error event."""
        data = loads(event.data)
        match data["type"]:
            case "content_block_delta":
                return self._delta(data["index"], data["delta"])
            case "content_block_start":
                return self._start(data["index"], data["content_block"])
            case "content_block_stop":
                return self._stop(data["index"])
            case "message_start":
                return self._begin(data["message"])
            case "message_delta":
                delta = data["delta"]
                return GenerationChunk(
                    usage=self._counted(data), finish_reason=_finish_reason(delta), refusal=_explanation(delta) or ""
                )
            case "message_stop":
                return END
            case "error":
                raise error_of(200, data)
        return None  # a ping, or an event that is newer than this

    def _begin(self, message: Mapping[str, Any]) -> GenerationChunk:
        """Return what the message has before any block, which is all of it where code on the server called a tool."""
        usage = self._counted(message)
        if message.get("content"):
            return evolve(GenerationChunk.of(reply_of(message)), usage=usage)
        return GenerationChunk(
            usage=usage and usage.replace(estimated=True),  # the output is still to come
            response_model=_text(message["model"]),
            response_id=_text(message["id"]),
        )

    def _counted(self, data: Mapping[str, Any]) -> Usage | None:
        self.usage = latest(self.usage, data.get("usage") or {})
        return usage_of(self.usage) if self.usage else None

    def _start(self, index: int, block: dict[str, Any]) -> GenerationChunk | None:
        match block["type"]:
            case "text":
                return GenerationChunk(_text(block["text"])) if block.get("text") else None
            case "thinking":
                self.thinking.append((block, {}))
                return GenerationChunk(reasoning=_text(block["thinking"])) if block.get("thinking") else None
            case "redacted_thinking":
                self.thinking.append((block, {}))
            case "tool_use":
                whole = _call(block, [_joined(*thought) for thought in self.thinking])
                self.calls[index], self.thinking = bool(block.get("input")), []
                arguments = whole.arguments if self.calls[index] else ""
                return _piece(index, id=whole.id, name=whole.name, arguments=arguments, signature=whole.signature)
            case _:
                self.foreign.add(index)
        return None

    def _delta(self, index: int, delta: Mapping[str, Any]) -> GenerationChunk | None:
        if index in self.foreign:
            return None
        match delta["type"]:
            case "text_delta":
                return GenerationChunk(_text(delta["text"]))
            case "thinking_delta":
                self._think("thinking", delta)
                return GenerationChunk(reasoning=delta["thinking"])
            case "signature_delta":
                self._think("signature", delta)
            case "input_json_delta" if delta["partial_json"] and index in self.calls:
                self.calls[index] = True
                return _piece(index, arguments=_text(delta["partial_json"]))
        return None

    def _think(self, name: str, delta: Mapping[str, Any]) -> None:
        """Add to the block of thinking that is open: the last one."""
        _, pieces = self.thinking[-1]
        pieces.setdefault(name, []).append(_text(delta[name]))

    def _stop(self, index: int) -> GenerationChunk | None:
        """Return the empty object for a call without arguments, of which a stream sends nothing."""
        return _piece(index, arguments="{}") if self.calls.pop(index, True) is False else None


def _joined(block: dict[str, Any], pieces: dict[str, list[str]]) -> dict[str, Any]:
    return {**block, **{name: block.get(name, "") + "".join(texts) for name, texts in pieces.items()}}


def _piece(index: int, **fields: Any) -> GenerationChunk:
    return GenerationChunk(tool_calls=(ToolCallDelta(index=index, **fields),))
