"""A request as the body of `POST /responses`. Pure: field by field as OpenAI's API reference names them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
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
from penstock_http import JsonBodyError, loads

__all__ = ["RESPONSES_ONLY", "response_payload_of"]

RESPONSES_ONLY: Final = (
    "o1-pro",
    "o3-pro",
    "o3-deep-research",
    "o4-mini-deep-research",
    "computer-use-preview",
    "gpt-5-codex",
    "gpt-5-pro",
    "gpt-5.1-codex-max",
    "gpt-5.5-pro",
    "gpt-5.6-cyber",
    "gpt-daybreak-",
)
"""How the names of those models begin that OpenAI serves by the Responses API alone: `ResponsesOnlyModel` in its
published specification."""

_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})

_CONTENT_OF_CALL = {"custom_tool_call": "input"}
"""What an item names the text that the model wrote for the tool, where that is not `arguments`."""


def response_payload_of(request: LLMCallRequest) -> dict[str, Any]:
    """Return the body for `request`; what `extra` holds goes in as it is and wins over the field of its name.

    Of `text`, penstock names the format alone; the rest of it may stand in `extra`. The `extra` of a message, a part
    and a tool goes into the item made of it.

    Raises `ProviderError` of `INVALID_REQUEST` for what the API cannot do, with the path of the field.
    """
    extra = request.extra
    payload: dict[str, Any] = {"model": request.model}
    if "input" not in extra:
        payload["input"] = [
            item for index, message in enumerate(request.messages) for item in _items(message, f"messages[{index}]")
        ]
    _add_options(payload, request)
    if request.stream:
        payload["stream"] = True
    if not extra:
        return payload
    text = extra.get("text")
    if isinstance(text, Mapping) and "text" in payload:
        return {**payload, **extra, "text": {**payload["text"], **text}}
    return {**payload, **extra}


def _add_options(payload: dict[str, Any], request: LLMCallRequest) -> None:
    """Add what the request says of sampling, tools and the shape of the answer; what it leaves open stays out."""
    if request.stop and "stop" not in request.extra:
        _refuse("stop", "the Responses API has no stop sequences")
    if request.seed is not None and "seed" not in request.extra:
        _refuse("seed", "the Responses API has no seed")
    if request.max_tokens is not None:
        payload["max_output_tokens"] = request.max_tokens
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    if request.top_p is not None:
        payload["top_p"] = request.top_p
    if request.tools:
        payload["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        payload["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
    if request.response_format is not None:
        payload["text"] = {"format": _format(request.response_format)}


def _refuse(path: str, reason: str) -> NoReturn:
    raise ProviderError(f"{path}: {reason}", ErrorType.INVALID_REQUEST)


# ---------------------------------------------------------------- the conversation


def _items(message: Message, path: str) -> list[dict[str, Any]]:
    """Return the items of one message: what it says, its calls, and what led to each of them."""
    if message.role == "tool":
        return [_result(message, path)]
    if message.name is not None:
        _refuse(f"{path}.name", "the Responses API has no names of speakers")
    items = [item for call in message.tool_calls for item in _call(call)]
    if message.content or not items:
        _say(items, {"role": message.role, "content": _content(message, path), **message.extra})
    elif message.extra:
        _refuse(f"{path}.extra", "a message of calls alone has no item that this could go into")
    return [item for item in items if item.get("type") != "message" or "content" in item]


def _say(items: list[dict[str, Any]], said: dict[str, Any]) -> None:
    """Put what a message says among the items of its calls: where the signature of one has its id, else first."""
    place = next((place for place, item in enumerate(items) if item["type"] == "message"), None)
    if place is None:
        items.insert(0, said)
        return
    content = said["content"]
    if isinstance(content, str):
        content = [{"type": "output_text", "text": content, "annotations": [], "logprobs": []}]
    items[place] = {**items[place], **said, "content": content}


def _call(call: ToolCall) -> list[dict[str, Any]]:
    """Return the item of a call, and before it those that the model made on its way there, as its signature says."""
    *before, item = _signed(call.signature) or [{"type": "function_call"}]
    written = _CONTENT_OF_CALL.get(item["type"], "arguments")
    return [*before, {**item, "call_id": call.id, "name": call.name, written: call.arguments}]


def _signed(signature: str | None) -> list[dict[str, Any]]:
    """Return the items in a signature; none for that of another provider."""
    try:
        data = loads(signature) if signature else None
    except JsonBodyError:
        return []
    items = data.get("items") if isinstance(data, dict) else None
    return items if isinstance(items, list) and all(isinstance(item, dict) and "type" in item for item in items) else []


def _result(message: Message, path: str) -> dict[str, Any]:
    """Return a tool's message as the item that answers its call, which knows the tool's name already."""
    if message.tool_call_id is None:
        _refuse(f"{path}.tool_call_id", "a tool's message must say which call it answers")
    output = _content(message, path)
    return {"type": "function_call_output", "call_id": message.tool_call_id, "output": output, **message.extra}


def _content(message: Message, path: str) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    model_said = message.role == "assistant"
    if model_said and all(isinstance(part, TextPart) and not part.extra for part in message.content):
        return message.text  # parts of an output must have an id, by the specification
    return [
        {**_part(part, f"{path}.content[{place}]", model_said=model_said), **part.extra}
        for place, part in enumerate(message.content)
    ]


def _part(part: ContentPart, path: str, *, model_said: bool) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "output_text" if model_said else "input_text", "text": part.text}
    if model_said:
        _refuse(path, f"the Responses API takes no {part.type} in messages of the assistant")
    if isinstance(part, ImagePart):
        # The API takes an image without a level of detail for "auto"; its specification wants the word.
        return {"type": "input_image", "image_url": part.as_url, "detail": part.detail or "auto"}
    if isinstance(part, DocumentPart):
        return {"type": "input_file", **_file(part, path)}
    _refuse(path, f"the Responses API takes no {part.type}")


def _file(part: DocumentPart, path: str) -> dict[str, Any]:
    named = {} if part.name is None else {"filename": part.name}
    if part.file_id is not None:
        return {"file_id": part.file_id}
    if part.url is not None:
        return {"file_url": part.url, **named}
    if part.data is None:
        _refuse(path, "a document needs data, a url or a file_id")
    if part.media_type is None:
        _refuse(f"{path}.media_type", "a document with data needs its media_type, such as 'application/pdf'")
    return {"filename": "document", **named, "file_data": f"data:{part.media_type};base64,{part.data}"}


# ---------------------------------------------------------------- tools, and the shape of the answer


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    """Return a function, or the `extra` alone of a tool whose `extra` has a type: most of those have no name."""
    if tool.extra.get("type", "function") != "function":
        return dict(tool.extra)
    made: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        made["description"] = tool.description
    # Both must be there, by the specification; null leaves it to the API to be strict, which it is where it can.
    return {**made, "parameters": tool.parameters or dict(_NO_PARAMETERS), "strict": tool.strict, **tool.extra}


def _tool_choice(choice: str, tools: tuple[ToolDefinition, ...]) -> Any:
    """Return the name of a function as a choice of it; any other word goes as it is."""
    if choice not in ("auto", "none", "required") and any(tool.name == choice for tool in tools):
        return {"type": "function", "name": choice}
    return choice


def _format(form: ResponseFormat) -> dict[str, Any]:
    if form.schema is None:
        return {"type": form.type}
    made: dict[str, Any] = {"type": "json_schema", "name": form.name, "schema": form.schema}
    return made if form.strict is None else {**made, "strict": form.strict}
