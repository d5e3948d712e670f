"""An answer of `POST /chat/completions`, whole or as events, as a reply or as chunks. Pure.

Foreign data: whatever has another shape than documented raises, and the base class makes it a malformed response.
Sources: OpenAI's published specification; recorded answers of Mistral, DeepSeek, Groq, OpenRouter, Perplexity,
Together, Cerebras, Ollama, Snowflake and Cloudflare for what they say differently.
"""

from __future__ import annotations

from typing import Any, Literal

from penstock.errors import ProviderError
from penstock.schema import GenerationChunk, ProviderReply, ToolCall, ToolCallDelta, Usage
from penstock_http import END, Event, StreamEnd, dumps, loads
from penstock_openai.errors import error_of
from penstock_openai.logprobs import logprobs_of_choice
from penstock_openai.usage import usage_of

__all__ = ["chunk_of", "reply_of"]

_EMPTY: dict[str, Any] = {}


def reply_of(data: Any) -> ProviderReply:
    """Return the first choice of a whole answer. Raises the `ProviderError` that an answer of status 200 may hold."""
    choices = data.get("choices")
    if not choices and data.get("error"):
        raise error_of(200, data)
    choice = choices[0]
    usage = usage_of(data.get("usage"))
    if choice.get("error"):  # OpenRouter: the provider behind it failed in mid-answer
        raise _billed(error_of(200, choice), usage)
    finish_reason = _text(choice.get("finish_reason")) or None
    # Azure leaves the message out when its filter has stopped the answer.
    message = choice["message"] if finish_reason is None else choice.get("message") or _EMPTY
    content, reasoning = _said(message)
    calls = message.get("tool_calls")
    function_call = _filled(message.get("function_call"))
    if calls:
        tool_calls = tuple(_call(call) for call in calls)
    elif function_call:  # the form before tools, which has no id
        tool_calls = (_call({"function": function_call}),)
    else:
        tool_calls = ()
    return ProviderReply(
        content,
        usage,
        finish_reason,
        reasoning,
        _text(message.get("refusal")) or None,
        tool_calls,
        _text(data.get("model")),
        _text(data.get("id")),
        logprobs=logprobs_of_choice(choice.get("logprobs")),
    )


def _billed(error: ProviderError, usage: Usage | None) -> ProviderError:
    """Return `error` with what the call used until it failed."""
    error.usage = usage
    return error


def chunk_of(event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
    """Return what one event adds to the first choice; None for an event that adds nothing.

    Raises the `ProviderError` that an error event holds.
    """
    if event.data == "[DONE]":
        return END
    data = loads(event.data)
    usage = usage_of(data.get("usage") or (data.get("x_groq") or _EMPTY).get("usage"))
    if data.get("error") or event.event == "error":
        raise _billed(error_of(200, data), usage)
    # With several choices asked for, each event holds a piece of one; the reply is the first choice.
    choice = next((choice for choice in data.get("choices") or () if not choice.get("index")), None)
    if choice is None:
        return None if usage is None else GenerationChunk(usage=usage)
    if choice.get("error"):
        raise _billed(error_of(200, choice), usage)
    delta = choice.get("delta") or _EMPTY
    content, reasoning = _said(delta)
    refusal = _text(delta.get("refusal"))
    finish_reason = _text(choice.get("finish_reason")) or None
    calls = delta.get("tool_calls")
    logprobs = logprobs_of_choice(choice.get("logprobs"))
    if not (content or reasoning or refusal or calls or finish_reason or usage or logprobs):
        return None
    return GenerationChunk(
        content or "",
        reasoning=reasoning or "",
        refusal=refusal or "",
        tool_calls=tuple(_delta(call, place) for place, call in enumerate(calls)) if calls else (),
        finish_reason=finish_reason,
        usage=usage,
        response_model=_text(data.get("model")),
        response_id=_text(data.get("id")),
        logprobs=logprobs,
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError("expected a text")


def _filled(form: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return one form of a call, or None where all of it is empty: Snowflake writes every form, and fills in one."""
    return form if form and any(form.values()) else None


def _said(message: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the text and the reasoning of a message or a delta.

    DeepSeek and others have `reasoning_content`, OpenRouter, Groq and Ollama `reasoning`, Snowflake nothing but
    `reasoning_details`; Mistral has a list of parts, where the parts of type "thinking" are the reasoning. Cloudflare
    parses the JSON that it was asked for. Of an answer that is spoken, the text is the transcript.
    """
    content = message.get("content")
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or None
    if "reasoning" not in message and not reasoning and (details := message.get("reasoning_details")):
        reasoning = (
            "".join(_text(detail.get("text")) or _text(detail.get("summary")) or "" for detail in details) or None
        )
    if isinstance(content, dict):
        content = dumps(content).decode()
    if content is None and isinstance(audio := message.get("audio"), dict):
        content = audio.get("transcript")
    if not isinstance(content, list):
        return _text(content), reasoning
    texts, thoughts = [], []
    for part in content:
        if part["type"] == "thinking":
            thoughts += [piece["text"] for piece in part["thinking"]]
        elif part["type"] == "text":
            texts.append(part["text"])
    return "".join(texts), "".join(thoughts) or reasoning


def _call(call: dict[str, Any]) -> ToolCall:
    """Return a tool call; the input of a custom tool, which is free text, stands in for the arguments."""
    custom = _filled(call.get("custom"))
    name, arguments = (custom["name"], custom["input"]) if custom else _function(call["function"])
    return ToolCall(id=_text(call.get("id")) or "", name=_text(name) or "", arguments=_text(arguments) or "")


def _function(function: dict[str, Any]) -> tuple[Any, Any]:
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some servers parse the model's JSON
        arguments = dumps(arguments).decode()
    return function.get("name"), arguments


def _delta(call: dict[str, Any], place: int) -> ToolCallDelta:
    index = call.get("index")
    custom = _filled(call.get("custom"))
    function = call.get("function") or _EMPTY
    name, arguments = (custom.get("name"), custom.get("input")) if custom else _function(function)
    return ToolCallDelta(
        index=index if isinstance(index, int) else place,
        id=_text(call.get("id")) or None,
        name=_text(name) or None,
        arguments=_text(arguments) or "",
    )
