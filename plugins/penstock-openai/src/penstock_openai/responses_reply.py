"""An answer of `POST /responses`, whole or as events, as a reply or as chunks. Pure.

Foreign data: whatever has another shape than documented raises, and the base class makes it a malformed response.
Items that are not the answer's text, reasoning or calls of the caller's tools are passed over, such as a search.
What led to a call must go back to the API with it: the call's `signature` holds those items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import define, field

from penstock.schema import GenerationChunk, ProviderReply, ToolCall, ToolCallDelta
from penstock_http import END, Event, StreamEnd, dumps, loads
from penstock_openai.errors import error_of
from penstock_openai.logprobs import logprobs_of
from penstock_openai.usage import response_usage_of

__all__ = ["ResponseReader", "reply_of_response"]

_NAMED_OF_CALL = frozenset({"call_id", "name", "arguments", "input"})

_BETWEEN_THOUGHTS = "\n\n"
"""What stands between two parts of reasoning: each is a paragraph of its own, most with a heading."""


def reply_of_response(data: Any) -> ProviderReply:
    """Return the reply in a whole answer. Raises the `ProviderError` that an answer of status 200 may hold."""
    _check_success(data)
    texts, refusals, calls, logprobs = [], [], [], []
    thoughts: list[str] = []
    before: list[Mapping[str, Any]] = []
    stored = _is_stored(data)
    for item in data["output"]:
        match item["type"]:
            case "message":
                said = [part for part in item["content"] if part["type"] == "output_text"]
                texts += [_text(part["text"]) for part in said]
                logprobs += [token for part in said for token in logprobs_of(part.get("logprobs"))]
                refusals += [_text(part["refusal"]) for part in item["content"] if part["type"] == "refusal"]
                before.append(_head(item))
            case "function_call" | "custom_tool_call":
                calls.append(_call(item, before))
                before = []
            case kind:
                thoughts += _thoughts(item) if kind == "reasoning" else ()
                if _can_go_back(item, stored=stored):
                    before.append(item)
    return ProviderReply(
        "".join(texts) if texts or not (calls or refusals) else None,
        response_usage_of(data),
        _finish_reason(data, called=bool(calls)),
        _BETWEEN_THOUGHTS.join(thoughts) or None,
        "".join(refusals) or None,
        tuple(calls),
        _text(data["model"]),
        _text(data["id"]),
        logprobs=tuple(logprobs),
    )


def _check_success(response: Mapping[str, Any]) -> None:
    """Raise the error of a response that failed, with what it used until then."""
    if response.get("error") or response.get("status") == "failed":
        error = error_of(200, response)
        error.usage = response_usage_of(response)
        raise error


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("expected a text")


def _thoughts(item: Mapping[str, Any]) -> list[str]:
    """Return the parts of a summary, then those of the reasoning itself, which models with open weights give."""
    return [_text(part["text"]) for part in (*(item.get("summary") or ()), *(item.get("content") or ()))]


def _is_stored(response: Mapping[str, Any]) -> bool:
    return response.get("store") is not False


def _can_go_back(item: Mapping[str, Any], *, stored: bool) -> bool:
    """Whether the API will know an item again: reasoning by its encrypted content, or by its id if it was stored."""
    return stored or item["type"] != "reasoning" or bool(item.get("encrypted_content"))


def _head(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message's item says beside the content, which the caller has: its id, its phase."""
    return {name: value for name, value in item.items() if name != "content"}


def _call(item: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> ToolCall:
    """Return a tool call; the input of a custom tool, which is free text, stands in for the arguments."""
    rest = {name: value for name, value in item.items() if name not in _NAMED_OF_CALL}
    return ToolCall(
        id=_text(item["call_id"]),
        name=_text(item["name"]),
        arguments=_text(item["input"] if item["type"] == "custom_tool_call" else item["arguments"]),
        signature=dumps({"items": [*before, rest]}).decode(),
    )


def _finish_reason(response: Mapping[str, Any], *, called: bool) -> str | None:
    """Return the common word; one of the API's own where there is none, such as "queued" in the background."""
    status = response.get("status")
    if status == "completed":
        return "tool_calls" if called else "stop"
    if status == "incomplete":
        reason = (response.get("incomplete_details") or {}).get("reason")
        return "length" if reason == "max_output_tokens" else _text(reason or status)
    return None if status is None else _text(status)


@define
class ResponseReader:
    """Reads the events of one stream, of which some are understood only from those before them.

    Attributes:
        calls: for the place of each call of the caller's tools, whether a part of its arguments has come.
        places: of each call, by the ids that later events have for it. llama.cpp counts no items, and its events name
            the call instead.
        before: the items since the last call that must go back with the next one.
        stored: whether the API keeps the answer.
        thought: which part of the reasoning came last.
    """

    calls: dict[int, bool] = field(factory=dict)
    places: dict[str | None, int] = field(factory=dict)
    before: list[Mapping[str, Any]] = field(factory=list)
    stored: bool = True
    thought: tuple[Any, ...] | None = None

    def read(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return what an event adds; None for one that adds nothing. Raises the `ProviderError` of an error event."""
        if event.data == "[DONE]":  # OpenAI sends none, some servers do
            return END
        data = loads(event.data)
        kind = data.get("type")
        match kind:
            case "response.output_text.delta":
                return GenerationChunk(_text(data["delta"]), logprobs=logprobs_of(data.get("logprobs")))
            case "response.refusal.delta":
                return GenerationChunk(refusal=_text(data["delta"]))
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._arguments(data)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._thought(data)
            case "response.output_item.added" | "response.output_item.done":
                look = self._added if kind.endswith("added") else self._done
                return look(data.get("output_index"), data["item"])
            case "response.created" | "response.completed" | "response.incomplete" | "response.failed":
                return self._response(data["response"])
        if kind == "error" or event.event == "error" or data.get("error"):
            raise error_of(200, data)
        return None  # an item's progress, or an event that is newer than this

    def _response(self, response: Mapping[str, Any]) -> GenerationChunk:
        """Return what the first event and the last one say of the whole answer."""
        _check_success(response)
        self.stored = _is_stored(response)
        ended = response.get("status") in ("completed", "incomplete")
        return GenerationChunk(
            finish_reason=_finish_reason(response, called=bool(self.calls)) if ended else None,
            usage=response_usage_of(response),
            response_model=_text(response["model"]) if "model" in response else None,
            response_id=_text(response["id"]),
        )

    def _thought(self, data: Mapping[str, Any]) -> GenerationChunk:
        """Return a piece of reasoning, apart from the one before it where another part begins."""
        part = (data.get("output_index"), data["type"], data.get("summary_index", data.get("content_index")))
        text = _text(data["delta"])
        if self.thought not in (None, part):
            text = _BETWEEN_THOUGHTS + text
        self.thought = part
        return GenerationChunk(reasoning=text)

    def _added(self, index: int | None, item: Mapping[str, Any]) -> GenerationChunk | None:
        if item["type"] not in ("function_call", "custom_tool_call"):
            return None
        place = len(self.calls) if index is None else index
        self.calls[place] = False
        self.places.update({_text(item["call_id"]): place, item.get("id"): place})
        return _piece(place, id=item["call_id"], name=_text(item["name"]))

    def _arguments(self, data: Mapping[str, Any]) -> GenerationChunk:
        index = data.get("output_index")
        place = self.places[data["item_id"]] if index is None else index
        self.calls[place] = True
        return _piece(place, arguments=_text(data["delta"]))

    def _done(self, index: int | None, item: Mapping[str, Any]) -> GenerationChunk | None:
        """Return a call's signature, and its arguments where no piece of them has come."""
        match item["type"]:
            case "function_call" | "custom_tool_call":
                call = _call(item, self.before)
                self.before = []
                place = self.places[call.id] if index is None else index
                arguments = "" if self.calls.get(place) else call.arguments
                return _piece(place, id=call.id, name=call.name, arguments=arguments, signature=call.signature)
            case "message":
                self.before.append(_head(item))
            case _ if _can_go_back(item, stored=self.stored):
                self.before.append(item)
        return None


def _piece(index: int, **fields: Any) -> GenerationChunk:
    return GenerationChunk(tool_calls=(ToolCallDelta(index=index, **fields),))
