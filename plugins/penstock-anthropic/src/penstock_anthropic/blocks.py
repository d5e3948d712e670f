"""The content of a message as blocks of the Messages API. Pure; what the API has no block for is refused by path."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NoReturn

from penstock.errors import ErrorType, ProviderError
from penstock.schema import ContentPart, DocumentPart, ImagePart, Message, TextPart, ToolCall
from penstock_http import JsonBodyError, loads

__all__ = ["blocks_of", "refuse", "result_of", "texts_of"]

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
DETAILS = (None, "auto")
THINKING = ("thinking", "redacted_thinking")


def refuse(path: str, reason: str) -> NoReturn:
    """Raise what the engine turns into an `INVALID_REQUEST` result, before any call."""
    raise ProviderError(f"{path}: {reason}", ErrorType.INVALID_REQUEST)


def texts_of(message: Message, index: int) -> str | list[dict[str, Any]]:
    """Return the content of a system message: its text, or a block for each part."""
    _check_name(message, index)
    return _content(message, index, texts_only=True)


def blocks_of(message: Message, index: int) -> str | list[dict[str, Any]]:
    """Return the content of a user's or assistant's message: its text, or blocks, the calls of tools last."""
    _check_name(message, index)
    content = _content(message, index, texts_only=message.role == "assistant")
    if not message.tool_calls:
        return content
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [*thinking_of(message.tool_calls[0]), *(said if content else ())]
    for place, call in enumerate(message.tool_calls):
        if place:
            blocks += thinking_of(call)
        blocks.append(_call(call, f"messages[{index}].tool_calls[{place}]"))
    return blocks


def thinking_of(call: ToolCall) -> list[dict[str, Any]]:
    """Return the blocks of thinking that led to a call; none for the signature of another provider."""
    try:
        blocks = loads(call.signature) if call.signature else []
    except JsonBodyError:
        return []
    if not isinstance(blocks, list):
        return []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") in THINKING]


def result_of(message: Message, index: int) -> dict[str, Any]:
    """Return a tool's message as the block that answers its call, which knows the tool's name already."""
    if message.tool_call_id is None:
        refuse(f"messages[{index}].tool_call_id", "a tool's message must say which call it answers")
    content = _content(message, index, texts_only=False)
    return {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content, **message.extra}


def _check_name(message: Message, index: int) -> None:
    if message.name is not None:
        refuse(f"messages[{index}].name", "Messages has no names of speakers")


def _content(message: Message, index: int, *, texts_only: bool) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    path = f"messages[{index}].content"
    return [_part(part, f"{path}[{place}]", texts_only=texts_only) for place, part in enumerate(message.content)]


def _call(call: ToolCall, path: str) -> dict[str, Any]:
    try:
        arguments = loads(call.arguments) if call.arguments else {}
    except JsonBodyError:
        arguments = None
    if not isinstance(arguments, dict):
        refuse(f"{path}.arguments", "Messages takes a JSON object")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _part(part: ContentPart, path: str, *, texts_only: bool) -> dict[str, Any]:
    made: dict[str, Any]
    if isinstance(part, TextPart):
        made = {"type": "text", "text": part.text}
    elif texts_only:
        refuse(path, f"Messages takes {part.type} parts in messages of users and tools only")
    elif isinstance(part, ImagePart):
        made = {"type": "image", "source": _image(part, path)}
    elif isinstance(part, DocumentPart):
        made = {"type": "document", "source": _document(part, path)}
        if part.name is not None:
            made["title"] = part.name
    else:
        refuse(path, f"Messages takes no {part.type}")
    return {**made, **part.extra} if part.extra else made


def _image(part: ImagePart, path: str) -> dict[str, Any]:
    if part.detail not in DETAILS:
        refuse(f"{path}.detail", "Messages has no levels of detail; scale the image instead")
    media_type, data = part.media_type, part.data
    if part.url is not None and part.url.startswith("data:"):
        head, _, data = part.url.removeprefix("data:").partition(",")
        media_type, _, encoding = head.partition(";")
        if encoding != "base64":
            refuse(f"{path}.url", "Messages takes data URLs in base64 only")
    if data is None:
        return {"type": "url", "url": part.url}
    if media_type not in IMAGE_TYPES:
        refuse(f"{path}.media_type", f"Messages takes {', '.join(IMAGE_TYPES)}, not {media_type!r}")
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(part: DocumentPart, path: str) -> dict[str, Any]:
    if part.file_id is not None:
        return {"type": "file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    if part.data is None:
        refuse(path, "a document needs data, a url or a file_id")
    match part.media_type:
        case "application/pdf":
            return {"type": "base64", "media_type": "application/pdf", "data": part.data}
        case "text/plain":
            return {"type": "text", "media_type": "text/plain", "data": _decoded(part.data, path)}
    refuse(f"{path}.media_type", f"Messages takes application/pdf and text/plain, not {part.media_type!r}")


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        refuse(f"{path}.data", "a text/plain document must be UTF-8 in base64")
