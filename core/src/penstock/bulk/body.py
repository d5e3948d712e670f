"""An OpenAI chat body, or a request's own fields, as the fields of a `GenerationRequest`. Pure; stands on `schema`.

Nothing is lost on the way: what a field of penstock cannot hold stays in `extra` under its own name, exactly as it
was, where providers put it over whatever they made of the field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

from attrs import frozen

from penstock.schema import (
    AudioPart,
    ContentPart,
    DocumentPart,
    FrozenMapping,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
    converter,
)
from penstock.schema.messages import Role

__all__ = ["BodyError", "body_fields", "embedding_fields"]

ROLES = ("system", "developer", "user", "assistant", "tool")
MESSAGE_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "extra"}
OWN_PARTS: dict[str, type[ContentPart]] = {"image": ImagePart, "audio": AudioPart, "document": DocumentPart}
# A bulk run reads whole answers; OpenAI refuses stream_options where stream is not set.
DROPPED = {"stream", "stream_options"}


class BodyError(ValueError):
    """A field that cannot be used; the message starts with its path."""


@frozen
class Reading:
    """What a field of the body becomes.

    Attributes:
        value: for the request's field of the same name; None leaves the field as it is.
        whole: whether `value` says all that the body said; otherwise the original goes to `extra` as well.
    """

    value: Any
    whole: bool = True


NOT_OURS = Reading(None, whole=False)
"""A value that only its provider understands."""


def body_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for `GenerationRequest`; keys that it does not name are under "extra".

    Raises `BodyError` for a value of the wrong type; ranges are the request's to check.
    """
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        reader = READERS.get(key)
        if key in DROPPED or (reader is not None and value is None):
            continue
        reading = NOT_OURS if reader is None else reader(value, key)
        if reading.value is not None:
            fields[key] = reading.value
        if not reading.whole:
            extra[key] = value
    if "tools" in extra and isinstance(body.get("tool_choice"), dict):
        # The choice names one of the tools that only the provider understands.
        extra["tool_choice"] = body["tool_choice"]
        fields.pop("tool_choice", None)
    fields["extra"] = FrozenMapping(extra)
    return fields


def embedding_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for a body of `POST /v1/embeddings`, whose `input` is a text or a list of texts.

    Raises `BodyError` also for an input of numbers: penstock's requests are texts, which it can count.
    """
    fields = body_fields({key: value for key, value in body.items() if key != "input"})
    return {**fields, "inputs": _texts(body.get("input"), "input").value}


def _refuse(path: str, expected: str, value: object) -> NoReturn:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    raise BodyError(f"{path}: expected {expected}, got {names.get(type(value), 'a number')}")


def _text(value: Any, path: str) -> str:
    return value if isinstance(value, str) else _refuse(path, "a string", value)


def _optional_text(value: Any, path: str) -> str | None:
    return None if value is None else _text(value, path)


def _object(value: Any, path: str) -> dict[str, Any]:
    return value if isinstance(value, dict) else _refuse(path, "an object", value)


def _list(value: Any, path: str) -> list[Any]:
    return value if isinstance(value, list) else _refuse(path, "a list", value)


def _extra(value: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what penstock's own message, part or tool has beside the fields; OpenAI knows no `extra`."""
    return _object(value.get("extra") or {}, f"{path}.extra")


def _knows(value: Mapping[str, Any], known: set[str]) -> bool:
    """Whether everything that `value` says stands under a known key; null and an empty list say nothing."""
    return all(key in known or item in (None, []) for key, item in value.items())


# ---------------------------------------------------------------- plain values


def _string(value: Any, path: str) -> Reading:
    return Reading(_text(value, path))


def _integer(value: Any, path: str) -> Reading:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(path, "an integer", value)
    return Reading(value)


def _number(value: Any, path: str) -> Reading:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(path, "a number", value)
    if not math.isfinite(value):
        raise BodyError(f"{path}: expected a finite number")
    return Reading(value)


def _texts(value: Any, path: str) -> Reading:
    texts = [value] if isinstance(value, str) else _list(value, path)
    return Reading(tuple(_text(text, f"{path}[{index}]") for index, text in enumerate(texts)))


# ---------------------------------------------------------------- tools and the shape of the answer


def _tools(value: Any, path: str) -> Reading:
    tools = [
        _tool(_object(tool, f"{path}[{index}]"), f"{path}[{index}]") for index, tool in enumerate(_list(value, path))
    ]
    # One tool that is not a plain function makes the list the provider's own business: half a list would mislead.
    return Reading(tuple(tools)) if None not in tools else NOT_OURS


def _tool(tool: dict[str, Any], path: str) -> ToolDefinition | None:
    known = {"name", "description", "parameters", "strict"}
    if "type" in tool:
        if tool["type"] != "function" or not _knows(tool, {"type", "function"}):
            return None
        tool, path = _object(tool.get("function"), f"{path}.function"), f"{path}.function"
    else:  # penstock's own
        known.add("extra")
    if not _knows(tool, known):
        return None
    return ToolDefinition(
        name=_text(tool.get("name"), f"{path}.name"),
        description=_optional_text(tool.get("description"), f"{path}.description"),
        parameters=FrozenMapping(_object(tool.get("parameters") or {}, f"{path}.parameters")),
        strict=tool.get("strict"),
        extra=_extra(tool, path) if "extra" in known else {},
    )


def _tool_choice(value: Any, path: str) -> Reading:
    if isinstance(value, str):
        return Reading(value)
    match _object(value, path):
        case {"type": "function", "function": {"name": str(name)}} if name not in {"auto", "none", "required"}:
            return Reading(name)
    return NOT_OURS


def _response_format(value: Any, path: str) -> Reading:
    shape = _object(value, path)
    match shape.get("type"):
        case "text" | "json_object" as kind:
            return Reading(ResponseFormat(type=kind), _knows(shape, {"type", "name", "strict"}))
        case "json_schema":
            inner, known = shape, {"type", "name", "schema", "strict"}
            if "json_schema" in shape:
                inner, known = _object(shape["json_schema"], f"{path}.json_schema"), {"name", "schema", "strict"}
            if not isinstance(inner.get("schema"), dict):
                return NOT_OURS
            name = _text(inner.get("name", "answer"), f"{path}.name")
            made = ResponseFormat(schema=FrozenMapping(inner["schema"]), name=name, strict=inner.get("strict"))
            return Reading(made, _knows(inner, known))
    return NOT_OURS


# ---------------------------------------------------------------- messages


def _messages(value: Any, path: str) -> Reading:
    readings = [
        _message(_object(item, f"{path}[{index}]"), f"{path}[{index}]") for index, item in enumerate(_list(value, path))
    ]
    return Reading(tuple(reading.value for reading in readings), all(reading.whole for reading in readings))


def _message(message: dict[str, Any], path: str) -> Reading:
    role = _text(message.get("role"), f"{path}.role")
    if role not in ROLES:
        raise BodyError(f"{path}.role: expected one of {', '.join(ROLES)}, got {role[:40]!r}")
    content = _content(message.get("content"), f"{path}.content")
    calls = _calls(message.get("tool_calls"), f"{path}.tool_calls")
    made = Message(
        cast("Role", role),
        content.value,
        name=_optional_text(message.get("name"), f"{path}.name"),
        tool_calls=calls.value,
        tool_call_id=_optional_text(message.get("tool_call_id"), f"{path}.tool_call_id"),
        extra=_extra(message, path),
    )
    return Reading(made, content.whole and calls.whole and _knows(message, MESSAGE_KEYS))


def _content(value: Any, path: str) -> Reading:
    if value is None or isinstance(value, str):
        return Reading(value or "")
    if not isinstance(value, list):
        _refuse(path, "a string or a list of parts", value)
    readings = [_part(part, f"{path}[{index}]") for index, part in enumerate(value)]
    parts = tuple(reading.value for reading in readings if reading.value is not None)
    return Reading(parts, all(reading.whole for reading in readings))


def _part(value: Any, path: str) -> Reading:
    if isinstance(value, str):
        return Reading(TextPart(value))
    part = _object(value, path)
    kind = _text(part.get("type"), f"{path}.type")
    if kind == "text":
        made = TextPart(_text(part.get("text"), f"{path}.text"), extra=_extra(part, path))
        return Reading(made, _knows(part, {"type", "text", "extra"}))
    if kind in OWN_PARTS:
        return Reading(converter.structure(part, OWN_PARTS[kind]))
    reader = PART_READERS.get(kind)
    if reader is None:
        return NOT_OURS
    if isinstance(part.get(kind), str):  # some compatible servers take `"image_url": "https://..."`
        return NOT_OURS
    reading = reader(_object(part.get(kind), f"{path}.{kind}"), f"{path}.{kind}")
    return Reading(reading.value, reading.whole and _knows(part, {"type", kind}))


def _image(image: dict[str, Any], path: str) -> Reading:
    made = ImagePart(
        url=_text(image.get("url"), f"{path}.url"), detail=_optional_text(image.get("detail"), f"{path}.detail")
    )
    return Reading(made, _knows(image, {"url", "detail"}))


def _audio(audio: dict[str, Any], path: str) -> Reading:
    data, kind = _text(audio.get("data"), f"{path}.data"), _text(audio.get("format"), f"{path}.format")
    return Reading(AudioPart(data=data, media_type=f"audio/{kind}"), _knows(audio, {"data", "format"}))


def _file(file: dict[str, Any], path: str) -> Reading:
    name = _optional_text(file.get("filename"), f"{path}.filename")
    if file.get("file_data") is None:
        file_id = _text(file.get("file_id"), f"{path}.file_id")
        return Reading(DocumentPart(file_id=file_id, name=name), _knows(file, {"file_id", "filename", "file_data"}))
    text, named = _text(file["file_data"], f"{path}.file_data"), name is not None  # a provider would give it a name
    head, comma, data = text.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return Reading(DocumentPart(data=text, name=name), whole=False)
    media_type = head.removeprefix("data:").removesuffix(";base64")
    made = DocumentPart(data=data, media_type=media_type, name=name)
    return Reading(made, named and _knows(file, {"file_data", "filename"}))


def _calls(value: Any, path: str) -> Reading:
    if value is None:
        return Reading(())
    readings = [
        _call(_object(call, f"{path}[{index}]"), f"{path}[{index}]") for index, call in enumerate(_list(value, path))
    ]
    calls = tuple(reading.value for reading in readings if reading.value is not None)
    return Reading(calls, all(reading.whole for reading in readings))


def _call(call: dict[str, Any], path: str) -> Reading:
    """Return a call, as OpenAI writes it or as penstock does, whose calls may have a signature."""
    own = "type" not in call and "function" not in call
    if not own and call.get("type", "function") != "function":
        return NOT_OURS
    inner = call if own else _object(call.get("function"), f"{path}.function")
    made = ToolCall(
        id=_text(call.get("id"), f"{path}.id"),
        name=_text(inner.get("name"), f"{path}.name"),
        arguments=_text(inner.get("arguments"), f"{path}.arguments"),
        signature=_optional_text(call.get("signature"), f"{path}.signature") if own else None,
    )
    if own:
        return Reading(made, _knows(call, {"id", "name", "arguments", "signature"}))
    return Reading(made, _knows(call, {"id", "type", "function"}) and _knows(inner, {"name", "arguments"}))


PART_READERS: dict[str, Callable[[dict[str, Any], str], Reading]] = {
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}
READERS: dict[str, Callable[[Any, str], Reading]] = {
    "model": _string,
    "prompt": _string,
    "messages": _messages,
    "max_tokens": _integer,
    "temperature": _number,
    "top_p": _number,
    "stop": _texts,
    "seed": _integer,
    "inputs": _texts,
    "dimensions": _integer,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
}
