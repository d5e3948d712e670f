"""A request as the body of `generateContent`. Pure: field by field as the Gemini API reference names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
    AudioPart,
    ContentPart,
    ImagePart,
    LLMCallRequest,
    Message,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_http import JsonBodyError, copied, loads

__all__ = ["payload_of"]

_MERGED = ("generationConfig", "toolConfig")
"""Where penstock's own fields and those of `extra` stand side by side."""

_RESOLUTIONS: Mapping[str, str] = MappingProxyType({"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"})

_SIGNATURE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
"""Gemini's signatures are bytes in base64. Those of penstock's other providers are JSON, and never look like it."""

_STAND_IN = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""What Google's page on thought signatures gives for calls that another model made, in base64: such a call would else
be refused by Gemini 3. The words are "skip_thought_signature_validator"."""

_MODES: Mapping[str, str] = MappingProxyType({"auto": "AUTO", "none": "NONE", "required": "ANY"})


def payload_of(request: LLMCallRequest) -> dict[str, Any]:
    """Return the body for `request`, with the model beside it, which the URL takes.

    What `extra` holds goes in as it is and wins over the field of its name, inside `generationConfig` and `toolConfig`
    too; so does the `extra` of a message, a part and a tool.

    Raises `ProviderError` of `INVALID_REQUEST` for what the API cannot say, with the path of the field.
    """
    extra = request.extra
    payload: dict[str, Any] = {"model": request.model}
    if "contents" not in extra:
        system = [part for part in _system(request.messages) if part["text"]]
        if system:
            payload["systemInstruction"] = {"role": "user", "parts": system}  # the role that Google's client writes
        payload["contents"] = list(_contents(request.messages))
        if not payload["contents"]:
            _refuse("messages", "Gemini needs one that is not the system's")
    if request.tools:
        payload["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
    if calling := _calling(request.tool_choice, request.tools):
        payload["toolConfig"] = {"functionCallingConfig": calling}
    if config := _generation_config(request):
        payload["generationConfig"] = config
    for name, value in extra.items():
        merge = name in _MERGED and isinstance(value, dict) and name in payload
        payload[name] = {**payload[name], **value} if merge else value
    return payload


def _refuse(path: str, reason: str) -> NoReturn:
    raise ProviderError(f"{path}: {reason}", ErrorType.INVALID_REQUEST)


def _generation_config(request: LLMCallRequest) -> dict[str, Any]:
    """Return what the request says of sampling and of the shape of the answer; what it leaves open stays out."""
    config: dict[str, Any] = {}
    if request.max_tokens is not None:
        config["maxOutputTokens"] = request.max_tokens
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if request.stop:
        config["stopSequences"] = list(request.stop)
    if request.seed is not None:
        config["seed"] = request.seed
    form = request.response_format
    if form is not None and form.type != "text":
        config["responseMimeType"] = "application/json"
        if form.schema is not None:
            config["responseJsonSchema"] = copied(form.schema)
    return config


# ---------------------------------------------------------------- messages


def _system(messages: tuple[Message, ...]) -> Iterator[dict[str, Any]]:
    """Yield the parts of all system and developer messages: the API has one place for them, before the others."""
    for index, message in enumerate(messages):
        if message.role not in ("system", "developer"):
            continue
        _refuse_name(message, index)
        if isinstance(message.content, str):
            yield {"text": message.content}
            continue
        for place, part in enumerate(message.content):
            if not isinstance(part, TextPart):
                _refuse(f"messages[{index}].content[{place}]", f"a system instruction takes no {part.type} parts")
            yield {"text": part.text} | part.extra


def _contents(messages: tuple[Message, ...]) -> Iterator[dict[str, Any]]:
    """Yield the conversation; the results of calls that were made together go back together, as the API asks."""
    names: dict[str, str] = {}
    results: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            results.append(_result(message, index, names))
            continue
        if results:
            yield {"role": "user", "parts": results}
            results = []
        if message.role in ("user", "assistant"):
            _refuse_name(message, index)
            names.update((call.id, call.name) for call in message.tool_calls if call.id)
            parts = _parts(message, index)
            parts += [_call(call, f"messages[{index}].tool_calls[{n}]") for n, call in enumerate(message.tool_calls)]
            yield {"role": "model" if message.role == "assistant" else "user", "parts": parts} | message.extra
    if results:
        yield {"role": "user", "parts": results}


def _refuse_name(message: Message, index: int) -> None:
    if message.name is not None:
        _refuse(f"messages[{index}].name", "Gemini knows no names of speakers")


def _parts(message: Message, index: int) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        # A text may be empty only where it is all that there is: the API refuses a content without parts.
        return [{"text": message.content}] if message.content or not message.tool_calls else []
    path = f"messages[{index}].content"
    return [_part(part, f"{path}[{place}]") | part.extra for place, part in enumerate(message.content)]


def _part(part: ContentPart, path: str) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, AudioPart):
        return _inline(part.media_type, part.data)
    made = _file(part.url or getattr(part, "file_id", None), part.data, part.media_type, path)
    if isinstance(part, ImagePart) and part.detail not in (None, "auto"):
        if part.detail not in _RESOLUTIONS:
            _refuse(f"{path}.detail", f"Gemini takes 'low', 'high' and 'auto', not {part.detail!r}")
        made["mediaResolution"] = {"level": _RESOLUTIONS[part.detail]}
    return made


def _file(address: str | None, data: str | None, media_type: str | None, path: str) -> dict[str, Any]:
    """Return an image or a document: its bytes, or where the server finds them."""
    if address is not None and address[:5].lower() == "data:":
        head, comma, data = address[5:].partition(",")
        media_type, semicolon, encoding = head.rpartition(";")
        if not comma or not semicolon or encoding.lower() != "base64":
            _refuse(f"{path}.url", "Gemini takes a data URL in base64 with its media type alone")
        address = None
    if address is not None:
        return {"fileData": {"fileUri": address} | ({"mimeType": media_type} if media_type else {})}
    if data is None:
        _refuse(path, "a document needs data, a url or a file_id")
    if not media_type:
        _refuse(f"{path}.media_type", "Gemini needs the media type of data, such as 'application/pdf'")
    return _inline(media_type, data)


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


# ---------------------------------------------------------------- tools


def _call(call: ToolCall, path: str) -> dict[str, Any]:
    try:
        arguments = loads(call.arguments) if call.arguments.strip() else {}
    except JsonBodyError:
        arguments = None
    if not isinstance(arguments, dict):
        _refuse(f"{path}.arguments", "Gemini takes arguments that are a JSON object")
    made: dict[str, Any] = {"name": call.name, "args": arguments}
    if call.id:
        made["id"] = call.id
    part: dict[str, Any] = {"functionCall": made}
    if call.signature is not None:
        part["thoughtSignature"] = call.signature if _SIGNATURE.fullmatch(call.signature) else _STAND_IN
    return part


def _result(message: Message, index: int, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a tool's result; a text that is no JSON object stands under "output", as the API reference says."""
    path = f"messages[{index}]"
    name = message.name or names.get(message.tool_call_id or "")
    if name is None:
        _refuse(f"{path}.tool_call_id", "no call before it has this id, and Gemini needs the tool's name: set `name`")
    made: dict[str, Any] = {"name": name, "response": _object(message.text)}
    if message.tool_call_id:
        made["id"] = message.tool_call_id
    if not isinstance(message.content, str):
        media = [
            _part(part, f"{path}.content[{place}]")
            for place, part in enumerate(message.content)
            if not isinstance(part, TextPart)
        ]
        if media:
            made["parts"] = media
    return {"functionResponse": made | message.extra}


def _object(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            found = loads(text)
        except JsonBodyError:
            found = None
        if isinstance(found, dict):
            return found
    return {"output": text}


def _declaration(tool: ToolDefinition) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        made["description"] = tool.description
    if tool.parameters:
        made["parametersJsonSchema"] = copied(tool.parameters)
    return made | tool.extra


def _calling(choice: str | None, tools: tuple[ToolDefinition, ...]) -> dict[str, Any] | None:
    """Return the mode of calling; a tool that is `strict` has its schema enforced, which needs a mode of its own."""
    if choice in (None, "auto") and any(tool.strict for tool in tools):
        return {"mode": "VALIDATED"}
    if choice is None:
        return None
    if choice in _MODES:
        return {"mode": _MODES[choice]}
    if all(tool.name != choice for tool in tools):
        _refuse("tool_choice", f"no tool is named {choice!r}; the words are auto, none and required")
    return {"mode": "ANY", "allowedFunctionNames": [choice]}
