"""A request as the body of `POST /chat/completions`. Pure: field by field as OpenAI's API reference names them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from attrs import frozen

from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
    AudioPart,
    ContentPart,
    DocumentPart,
    ImagePart,
    LLMCallRequest,
    Message,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)

__all__ = ["Dialect", "payload_of"]

MAX_TOKENS_FIELDS = ("max_completion_tokens", "max_tokens")

_AUDIO_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/vnd.wave": "wav",
        "audio/mp3": "mp3",
        "audio/mpeg": "mp3",
    }
)
"""Media types and the two words that OpenAI has for them."""

_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})


@frozen(kw_only=True)
class Dialect:
    """What differs between OpenAI's own API and the servers that speak it too.

    Attributes:
        max_tokens_field: the name for `max_tokens`. OpenAI's reasoning models refuse the old one, "max_tokens", and
            all its models take the new one, "max_completion_tokens"; many compatible servers know the old one only.
        seed_field: the name for `seed`; Mistral's is "random_seed".
        dimensions_field: the name for `dimensions`; Mistral's is "output_dimension".
        stream_usage: whether to ask for usage at the end of a stream; OpenAI tells it on request only.
        strict: refuse what OpenAI's published specification has no place for, rather than leave it to the server.
    """

    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    dimensions_field: str = "dimensions"
    stream_usage: bool = True
    strict: bool = False


def payload_of(request: LLMCallRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the body for `request`; what `extra` holds goes in as it is and wins over the field of its name.

    So does the `extra` of a message, a part, and a tool, the last inside its `function`.

    Raises `ProviderError` of `INVALID_REQUEST` for what chat completions cannot say, with the path of the field.
    """
    extra = request.extra
    payload: dict[str, Any] = {"model": request.model}
    if "messages" not in extra:
        strict = dialect.strict
        payload["messages"] = [
            _message(message, index, strict=strict) for index, message in enumerate(request.messages)
        ]
    if request.max_tokens is not None and not any(name in extra for name in MAX_TOKENS_FIELDS):
        payload[dialect.max_tokens_field] = request.max_tokens
    _add_options(payload, request, dialect)
    if request.stream:
        payload["stream"] = True
        if dialect.stream_usage:
            payload["stream_options"] = {"include_usage": True}
    if extra:
        payload.update(extra)
    return payload


def _add_options(payload: dict[str, Any], request: LLMCallRequest, dialect: Dialect) -> None:
    """Add what the request says of sampling, tools and the shape of the answer; what it leaves open stays out."""
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    if request.top_p is not None:
        payload["top_p"] = request.top_p
    if request.stop:
        payload["stop"] = list(request.stop)
    if request.seed is not None:
        payload[dialect.seed_field] = request.seed
    if request.tools:
        payload["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        payload["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
    if request.response_format is not None:
        payload["response_format"] = _response_format(request.response_format)


def _refuse(path: str, reason: str) -> NoReturn:
    raise ProviderError(f"{path}: {reason}", ErrorType.INVALID_REQUEST)


def _message(message: Message, index: int, *, strict: bool) -> dict[str, Any]:
    content: Any = message.content
    if not isinstance(content, str):
        texts_only = strict and message.role != "user"
        path = f"messages[{index}].content"
        content = [
            _part(part, f"{path}[{place}]", strict=strict, texts_only=texts_only) | part.extra
            for place, part in enumerate(content)
        ]
    made = {"role": message.role, "content": content}
    if message.name is not None:
        made["name"] = message.name
    if message.tool_calls:
        made["tool_calls"] = [_call(call) for call in message.tool_calls]
        if not content:
            made["content"] = None  # what the API itself writes beside tool calls; some servers refuse ""
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made | message.extra


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _part(part: ContentPart, path: str, *, strict: bool, texts_only: bool) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if texts_only:
        _refuse(path, f"chat completions takes {part.type} parts in user messages only")
    match part:
        case ImagePart():
            image = {"url": part.as_url}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case AudioPart():
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": _format(part, path, strict=strict)},
            }
        case DocumentPart():
            return {"type": "file", "file": _file(part, path)}


def _format(part: AudioPart, path: str, *, strict: bool) -> str:
    known = _AUDIO_FORMATS.get(part.media_type)
    if known is None and strict:
        _refuse(f"{path}.media_type", f"chat completions takes audio/wav and audio/mpeg, not {part.media_type!r}")
    return known or part.media_type.rpartition("/")[2]


def _file(part: DocumentPart, path: str) -> dict[str, Any]:
    if part.file_id is not None:
        return {"file_id": part.file_id}
    if part.data is None:
        _refuse(f"{path}.url", "chat completions takes a document as data or as file_id, not by URL")
    if part.media_type is None:
        _refuse(f"{path}.media_type", "a document with data needs its media_type, such as 'application/pdf'")
    return {"filename": part.name or "document", "file_data": f"data:{part.media_type};base64,{part.data}"}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or dict(_NO_PARAMETERS)}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function | tool.extra}


def _tool_choice(choice: str, tools: tuple[ToolDefinition, ...]) -> Any:
    """Return the name of a tool as a choice of it; any other word goes as it is, such as Mistral's "any"."""
    if choice not in ("auto", "none", "required") and any(tool.name == choice for tool in tools):
        return {"type": "function", "function": {"name": choice}}
    return choice


def _response_format(form: ResponseFormat) -> dict[str, Any]:
    if form.schema is None:
        return {"type": form.type}
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}
