"""What comes back from a provider: whole, or in chunks that add up to the same."""

from __future__ import annotations

from typing import NamedTuple

from attrs import define, field, frozen

from penstock.schema.messages import ToolCall
from penstock.schema.serial import Record
from penstock.schema.usage import LimitReading, Usage

__all__ = ["GenerationChunk", "ProviderReply", "ReplyBuilder", "TokenLogprob", "ToolCallDelta"]


@frozen
class TokenLogprob(Record):
    """A token of an answer and how likely it was.

    Attributes:
        token: as text; where the token is no whole character, only `bytes` has it exactly.
        logprob: the natural logarithm of its probability; providers that stop counting say -9999 or the like.
        bytes: its UTF-8 bytes, where the provider tells them.
        top: the likeliest tokens in its place, if they were asked for, the likeliest first.
    """

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


class ProviderReply(NamedTuple):
    """A provider's answer: a tuple of content and usage, followed by whatever else the provider said.

    Attributes:
        content: the text of the answer; None when it holds only tool calls or a refusal.
        usage: None when the provider reported none; the engine then estimates and says so.
        finish_reason: "stop", "length", "tool_calls", "content_filter" or the provider's own word.
        response_model: the model that answered, as the provider names it.
        response_id: the provider's id of the answer.
        request_id: the provider's id of the HTTP call, for its support.
        limits: what the response said of the provider's limits.
        logprobs: of the tokens of the content, or of the refusal; empty unless the request's `extra` asked for them.
        embeddings: the vectors of a request's `inputs`, in their order.
    """

    content: str | None
    usage: Usage | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    response_model: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    limits: tuple[LimitReading, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    embeddings: tuple[tuple[float, ...], ...] = ()


@frozen(kw_only=True)
class ToolCallDelta(Record):
    """A piece of a tool call: `index` says of which; `id`, `name`, `signature` come once, `arguments` in pieces."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    signature: str | None = None


@frozen
class GenerationChunk(Record):
    """A piece of a streamed answer. Every field but `text` is usually empty.

    Attributes:
        usage: reported once, mostly by the last chunk; a later report replaces an earlier one. One that comes before
            the output does is `estimated`.
    """

    text: str = ""
    reasoning: str = field(default="", kw_only=True)
    refusal: str = field(default="", kw_only=True)
    tool_calls: tuple[ToolCallDelta, ...] = field(default=(), kw_only=True)
    finish_reason: str | None = field(default=None, kw_only=True)
    usage: Usage | None = field(default=None, kw_only=True)
    response_model: str | None = field(default=None, kw_only=True)
    response_id: str | None = field(default=None, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)
    limits: tuple[LimitReading, ...] = field(default=(), kw_only=True)
    logprobs: tuple[TokenLogprob, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, reply: ProviderReply) -> GenerationChunk:
        """Return a whole reply as a single chunk; embeddings have no chunks."""
        return cls(
            reply.content or "",
            reasoning=reply.reasoning or "",
            refusal=reply.refusal or "",
            tool_calls=tuple(
                ToolCallDelta(
                    index=index, id=call.id, name=call.name, arguments=call.arguments, signature=call.signature
                )
                for index, call in enumerate(reply.tool_calls)
            ),
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            response_model=reply.response_model,
            response_id=reply.response_id,
            request_id=reply.request_id,
            limits=reply.limits,
            logprobs=reply.logprobs,
        )


@define
class ReplyBuilder:
    """Adds up chunks; `build` gives the reply at any moment, so that a stream cut short still has one."""

    _text: list[str] = field(factory=list)
    _reasoning: list[str] = field(factory=list)
    _refusal: list[str] = field(factory=list)
    _logprobs: list[TokenLogprob] = field(factory=list)
    _calls: dict[int, tuple[str, str, str, str | None]] = field(factory=dict)
    _last: dict[str, object] = field(factory=dict)

    def add(self, chunk: GenerationChunk) -> None:
        """Take one chunk."""
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        if chunk.refusal:
            self._refusal.append(chunk.refusal)
        if chunk.logprobs:
            self._logprobs.extend(chunk.logprobs)
        for delta in chunk.tool_calls:
            id_, name, arguments, signature = self._calls.get(delta.index, ("", "", "", None))
            self._calls[delta.index] = (
                delta.id or id_,
                delta.name or name,
                arguments + delta.arguments,
                delta.signature or signature,
            )
        for name in ("finish_reason", "usage", "response_model", "response_id", "request_id", "limits"):
            value = getattr(chunk, name)
            if value:
                self._last[name] = value

    def build(self) -> ProviderReply:
        """Return what the chunks so far add up to."""
        calls = tuple(
            ToolCall(id=id_, name=name, arguments=arguments, signature=signature)
            for _, (id_, name, arguments, signature) in sorted(self._calls.items())
        )
        return ProviderReply(
            content="".join(self._text) if self._text or not (calls or self._refusal) else None,
            reasoning="".join(self._reasoning) or None,
            refusal="".join(self._refusal) or None,
            tool_calls=calls,
            logprobs=tuple(self._logprobs),
            **self._last,  # type: ignore[arg-type]  # each value was read from the chunk's field of the same name
        )
