"""What is said to a model: messages, their parts, tools and the shape asked of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen, validators

from penstock.schema.serial import FrozenMapping, Record, converter, frozen_mapping

__all__ = [
    "AudioPart",
    "ContentPart",
    "DocumentPart",
    "ImagePart",
    "Message",
    "ResponseFormat",
    "Role",
    "TextPart",
    "ToolCall",
    "ToolDefinition",
    "messages_from",
]

Role = Literal["system", "developer", "user", "assistant", "tool"]

_NOTHING: FrozenMapping[str, Any] = FrozenMapping()


@frozen
class TextPart(Record):
    """A piece of text inside a message of several parts.

    Attributes:
        extra: here and below, fields that penstock does not name, such as Anthropic's `cache_control`; a provider
            whose README says so puts them into what it makes of this part, message or tool, unchanged.
    """

    text: str
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)
    type: Literal["text"] = field(default="text", kw_only=True)


@frozen(kw_only=True)
class ImagePart(Record):
    """An image: by `url` (http or data URL), or as base64 `data` with its `media_type`.

    Attributes:
        detail: how closely the model should look: "low", "high" or "auto"; None leaves it to the provider.
    """

    url: str | None = None
    data: str | None = field(default=None, repr=False)
    media_type: str | None = None
    detail: str | None = None
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)
    type: Literal["image"] = "image"

    def __attrs_post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("ImagePart takes exactly one of url and data")
        if self.data is not None and self.media_type is None:
            raise ValueError("ImagePart with data needs its media_type, such as 'image/png'")

    @property
    def as_url(self) -> str:
        """The image as one URL: the given one, or a data URL."""
        return self.url if self.url is not None else f"data:{self.media_type};base64,{self.data}"


@frozen(kw_only=True)
class AudioPart(Record):
    """A recording as base64 `data`, with its `media_type` such as "audio/wav"."""

    data: str = field(repr=False)
    media_type: str
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)
    type: Literal["audio"] = "audio"


@frozen(kw_only=True)
class DocumentPart(Record):
    """A document such as a PDF: by `url`, by a provider's `file_id`, or as base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = field(default=None, repr=False)
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)
    type: Literal["document"] = "document"


ContentPart = TextPart | ImagePart | AudioPart | DocumentPart
"""A part of a message: text, or something to look at, listen to or read."""


@frozen(kw_only=True)
class ToolCall(Record):
    """A model's wish to have a tool called; `arguments` is the JSON text exactly as the model wrote it.

    Attributes:
        signature: the provider's opaque word that must go back to it with the call, as Gemini's `thoughtSignature`.
    """

    id: str
    name: str
    arguments: str
    signature: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class ToolDefinition(Record):
    """A tool that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: FrozenMapping[str, Any] = field(factory=FrozenMapping, converter=frozen_mapping)
    strict: bool | None = None
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)


def _schema_from(value: Mapping[str, Any] | None) -> FrozenMapping[str, Any] | None:
    return None if value is None else FrozenMapping(value)


@frozen(kw_only=True)
class ResponseFormat(Record):
    """The shape asked of the answer: free text, any JSON object, or JSON of one schema."""

    type: Literal["text", "json_object", "json_schema"] = field(
        default="json_schema", validator=validators.in_(("text", "json_object", "json_schema"))
    )
    schema: FrozenMapping[str, Any] | None = field(default=None, converter=_schema_from)
    name: str = "answer"
    strict: bool | None = None

    def __attrs_post_init__(self) -> None:
        if (self.type == "json_schema") != (self.schema is not None):
            raise ValueError("ResponseFormat of type 'json_schema' needs a schema, and only that type takes one")


def _content_from(value: str | Iterable[ContentPart | Mapping[str, Any] | str] | None) -> str | tuple[ContentPart, ...]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return tuple(_part_from(part) for part in value)


def _part_from(part: ContentPart | Mapping[str, Any] | str) -> ContentPart:
    if isinstance(part, str):
        return TextPart(part)
    if isinstance(part, Mapping):
        return converter.structure(part, ContentPart)  # type: ignore[arg-type]  # a union, which cattrs takes
    return part


def _calls_from(value: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(value)


@frozen
class Message(Record):
    """One message of a conversation.

    Attributes:
        content: a text, or parts; None becomes the empty text (an assistant that only calls tools).
        name: the speaker's name, where the provider knows such a thing.
        tool_calls: what an assistant message asks for.
        tool_call_id: which call a tool message answers.
        extra: see `TextPart`.
    """

    role: Role = field(validator=validators.in_(("system", "developer", "user", "assistant", "tool")))
    content: str | tuple[ContentPart, ...] = field(default="", converter=_content_from)
    name: str | None = field(default=None, kw_only=True)
    tool_calls: tuple[ToolCall, ...] = field(default=(), converter=_calls_from, kw_only=True)
    tool_call_id: str | None = field(default=None, kw_only=True)
    extra: FrozenMapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, kw_only=True)

    @property
    def text(self) -> str:
        """The message's text; parts that are not text are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


converter.register_structure_hook(str | tuple[ContentPart, ...], lambda value, _: _content_from(value))


def messages_from(value: Iterable[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    """Return messages from messages or from mappings with their fields, such as `{"role": "user", "content": "hi"}`."""
    return tuple(item if isinstance(item, Message) else Message(**item) for item in value)
