"""The provider `openai`: its settings, and the wire functions put together on the base of HTTP providers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from penstock.errors import ProviderError
from penstock.schema import Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock_http import Event, HttpProvider, StreamEnd, Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY
from penstock_openai.errors import error_of
from penstock_openai.reply import chunk_of, reply_of
from penstock_openai.request import Dialect, payload_of
from penstock_openai.usage import demand_of

__all__ = ["OpenAIProvider"]

_NOTHING = Demand()


class OpenAIProvider(HttpProvider):
    """Calls OpenAI's chat completions, or a server that speaks them at another `base_url`."""

    name = "openai"
    default_base_url: ClassVar[str] = "https://api.openai.com/v1"
    path: ClassVar[str] = "/chat/completions"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    base_url_variable: ClassVar[str] = "OPENAI_BASE_URL"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
        max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None,
        stream_usage: bool = True,
        reserve_max_tokens: bool = True,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.

        Args:
            api_key: the key; None takes OPENAI_API_KEY. Needed at OpenAI; elsewhere, no key sends none.
            base_url: up to and including "/v1"; None takes OPENAI_BASE_URL, else OpenAI's own.
            organization: None takes OPENAI_ORG_ID.
            project: None takes OPENAI_PROJECT_ID.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
            max_tokens_field: the API's name for `max_tokens`; None takes "max_completion_tokens" at OpenAI and
                "max_tokens" elsewhere.
            stream_usage: whether to ask for usage at the end of a stream; set it to False for a server that refuses
                `stream_options`.
            reserve_max_tokens: whether gates on tokens count `max_tokens` before the call, as OpenAI documents it.
        """
        places = {
            "openai-organization": organization or os.environ.get("OPENAI_ORG_ID"),
            "openai-project": project or os.environ.get("OPENAI_PROJECT_ID"),
        }
        account = {name: value for name, value in places.items() if value}
        super().__init__(
            api_key=api_key,
            base_url=base_url,
            headers={**account, **(headers or {})},
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
        )
        official = f".{self.host}".endswith(".api.openai.com")
        self._dialect = Dialect(
            max_tokens_field=max_tokens_field or ("max_completion_tokens" if official else "max_tokens"),
            stream_usage=stream_usage,
            strict=official,
        )
        self._reserve_max_tokens = reserve_max_tokens

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body of `POST /chat/completions`."""
        return payload_of(request, self._dialect)

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in a whole answer."""
        return reply_of(data)

    def parse_event(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return the chunk in one event of a stream."""
        return chunk_of(event)

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says, by table."""
        return error_of(status, data)

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the API takes from its limits when the call comes in."""
        return demand_of(request, reserve_output=self._reserve_max_tokens)

    def charge(self, usage: Usage) -> Demand | None:
        """Return nothing for a call that used nothing; else None, as the API gives nothing back afterwards."""
        return None if usage.total_tokens else _NOTHING
