"""The provider `anthropic`: its settings, and the wire functions put together on the base of HTTP providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from penstock.errors import ProviderError
from penstock.schema import Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock_anthropic.errors import error_of
from penstock_anthropic.reply import StreamReader, reply_of
from penstock_anthropic.request import most_output, payload_of
from penstock_anthropic.usage import charged, demand_of
from penstock_http import Event, HttpProvider, StreamEnd, Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY

__all__ = ["AnthropicProvider"]

API_VERSION = "2023-06-01"
"""The only version of the API there is since 2023; what is newer comes with `anthropic-beta`."""

UNSTATED_MAX_TOKENS = 4096
"""What `max_tokens` is where a request states none: the API requires one, and every model of it takes this one."""


class AnthropicProvider(HttpProvider):
    """Calls Anthropic's Messages API, or a server that speaks it at another `base_url`."""

    name = "anthropic"
    default_base_url: ClassVar[str] = "https://api.anthropic.com"
    path: ClassVar[str] = "/v1/messages"
    key_variable: ClassVar[str] = "ANTHROPIC_API_KEY"
    base_url_variable: ClassVar[str] = "ANTHROPIC_BASE_URL"
    request_id_header: ClassVar[str] = "request-id"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
        max_tokens: int = UNSTATED_MAX_TOKENS,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.

        Args:
            api_key: the key; None takes ANTHROPIC_API_KEY. Needed at Anthropic; elsewhere, no key sends none.
            base_url: without "/v1"; None takes ANTHROPIC_BASE_URL, else Anthropic's own.
            headers: sent with every request, such as `anthropic-beta`; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
            max_tokens: what a request gets that states none; a thinking budget in its `extra` comes on top.
        """
        if not max_tokens > 0:
            raise ValueError(f"max_tokens must be positive, got {max_tokens!r}")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        super().__init__(
            api_key=api_key,
            base_url=base_url,
            headers={"anthropic-version": API_VERSION, **given},
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
        )
        self._max_tokens = max_tokens

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key."""
        return {"x-api-key": key}

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body of `POST /v1/messages`."""
        return payload_of(request, unstated_max_tokens=self._max_tokens)

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in a whole answer."""
        return reply_of(data)

    def event_reader(self) -> Callable[[Event], GenerationChunk | Literal[StreamEnd.END] | None]:
        """Return what reads one stream's events, and keeps what it must know of those before."""
        return StreamReader().read

    def parse_event(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return the chunk in an event seen alone; a stream is read by `event_reader`."""
        return StreamReader().read(event)

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says, by table."""
        return error_of(status, data)

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what a call will count at most; what calls really count is learned from `charge`."""
        return demand_of(request, max_tokens=most_output(request, unstated=self._max_tokens))

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the API has set against its limits: cache reads are free, output counts as generated."""
        return charged(usage)
