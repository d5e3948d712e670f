"""What an author tells the suite of providers, and what its checks share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import anyio
import pytest

from penstock.contracts import BaseLLMProvider
from penstock.errors import ErrorType, ProviderError
from penstock.schema import GenerationChunk, LLMCallRequest, Message, ProviderReply, ReplyBuilder, ToolDefinition, Usage
from penstock.testing.contract import Contract

__all__ = ["ProviderSuite", "a_tool", "added", "check_reply", "image_of", "stream_of"]

Types = ErrorType | tuple[ErrorType, ...]


class ProviderSuite(Contract[BaseLLMProvider], suite=True):
    """The hooks; `ProviderContract` explains them."""

    model: str = ""
    embedding_model: str = ""
    faults: Mapping[Any, Types] = MappingProxyType({})
    stream_faults: Mapping[Any, Types] = MappingProxyType({})
    stall: Any = None
    unsupported: Iterable[Mapping[str, Any]] = ()
    secret: str | None = "sk-conformance-7f3a9c51"  # noqa: S105  # it opens nothing
    streams: bool = True
    tools: bool = True
    images: bool = True
    extras: bool = True
    json_payload: bool = True
    repeatable: bool = True
    virtual_time: bool = False
    limit_s: float = 10.0

    def make(self, fault: Any = None) -> BaseLLMProvider:
        """Return a new provider that calls the fake service; with a fault, one whose every call meets it."""
        raise NotImplementedError(f"{type(self).__name__} must define make(self, fault=None), which returns a provider")

    def calls(self) -> int | None:
        """Return how many calls have reached the service of the last `make`; None: nobody counts."""
        return None

    # ---------------------------------------------------------------- what checks share

    def request(self, prompt: str = "What is a penstock?", **fields: Any) -> LLMCallRequest:
        """Return a request of the author's model."""
        assert self.model, f'{type(self).__name__} must set `model`, such as model = "large-1"'
        told: dict[str, Any] = {"model": self.model, "messages": (Message("user", prompt),), "max_tokens": 64}
        return LLMCallRequest(**told | fields)

    def tools_if_any(self) -> tuple[ToolDefinition, ...]:
        """Return a tool, if the provider takes any."""
        return (a_tool(),) if self.tools else ()

    @asynccontextmanager
    async def open(self, fault: Any = None) -> AsyncGenerator[BaseLLMProvider, None]:
        """Make a provider and close it at the end, within the time allowed."""
        provider = self.make() if fault is None else self.make(fault)
        try:
            with anyio.move_on_after(self.limit_s) as scope:
                yield provider
            assert not scope.cancelled_caught, (
                f"a call had not ended after {self.limit_s:g} s; bound its waits, and release what a stream holds when "
                f"it is closed"
            )
        finally:
            with anyio.CancelScope(shield=True):
                await provider.aclose()

    def known_faults(self) -> Mapping[Any, Types]:
        """Return the author's faults; skip where there are none."""
        if not self.faults:
            pytest.skip(f"{type(self).__name__} names no `faults`: ways to make the fake service fail")
        return self.faults

    async def failure(self, fault: Any, *, stream: bool) -> ProviderError:
        """Return the error of one call that meets a fault; fail the check when it is another one, or none."""
        async with self.open(fault) as provider:
            payload = provider.convert_request(self.request(stream=stream))
            try:
                reply = await (stream_of(provider, payload) if stream else provider.invoke(payload))
            except ProviderError as error:
                return error
            except Exception as error:
                raise AssertionError(
                    f"fault {fault!r}: {error!r:.300}; raise ProviderError(message, ErrorType...) in its place"
                ) from error
        raise AssertionError(f"fault {fault!r}: no error, but {reply!r:.300}; raise ProviderError")

    def refusal(self, provider: BaseLLMProvider, fields: Mapping[str, Any]) -> ProviderError | None:
        """Return the error with which a request is refused before any call; None if it is not."""
        try:
            provider.convert_request(self.request(**fields))
        except ProviderError as error:
            return error
        return None


def a_tool() -> ToolDefinition:
    """Return a tool that shares nothing with another one."""
    schema = {"type": "object", "properties": {"lake": {"type": "string"}}}
    return ToolDefinition(name="depth", description="How deep a lake is.", parameters=schema)


def image_of(payload: dict[str, Any]) -> Any:
    """Return what a payload is now, to be compared with what it is later: a copy, or its repr where there is none."""
    try:
        return deepcopy(payload)
    except TypeError:  # it holds what cannot be copied
        return repr(payload)


async def stream_of(provider: BaseLLMProvider, payload: dict[str, Any]) -> list[GenerationChunk]:
    """Return all chunks of a stream."""
    async with aclosing(provider.stream(payload)) as chunks:
        return [chunk async for chunk in chunks]


def added(chunks: Iterable[GenerationChunk]) -> ProviderReply:
    """Return what chunks add up to."""
    builder = ReplyBuilder()
    for chunk in chunks:
        assert isinstance(chunk, GenerationChunk), f"stream() yields {chunk!r:.100}; yield GenerationChunk"
        builder.add(chunk)
    return builder.build()


def check_reply(reply: ProviderReply) -> None:
    """Fail unless a reply has all that an answer in text has."""
    assert reply.content, f"content is {reply.content!r}; put the answer's text there"
    usage = reply.usage
    assert isinstance(usage, Usage), f"usage is {usage!r}; return what the vendor counted (ask for it if need be)"
    assert usage.input_tokens > 0, f"{usage}; count the prompt in input_tokens"
    assert usage.output_tokens > 0, f"{usage}; count the answer in output_tokens"
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert cached <= usage.input_tokens, f"{usage}; input_tokens includes what was read from or written to a cache"
    assert usage.reasoning_output_tokens <= usage.output_tokens, f"{usage}; output_tokens includes reasoning"
    assert isinstance(reply.finish_reason, str), (
        f"finish_reason is {reply.finish_reason!r}; return the vendor's, or 'stop'"
    )
