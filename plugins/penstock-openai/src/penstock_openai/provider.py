"""The provider `openai`: its settings, and the wire functions put together on the base of HTTP providers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from attrs import evolve

from penstock.errors import ProviderError
from penstock.schema import Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock_http import Event, HttpProvider, HttpRequest, StreamEnd, Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY
from penstock_openai.embeddings import embedding_payload_of, reply_of_embeddings
from penstock_openai.errors import error_of
from penstock_openai.reply import chunk_of, reply_of
from penstock_openai.request import Dialect, payload_of
from penstock_openai.responses_reply import ResponseReader, reply_of_response
from penstock_openai.responses_request import RESPONSES_ONLY, response_payload_of
from penstock_openai.tokens import Tokenizer, counter
from penstock_openai.usage import demand_of

__all__ = ["OpenAIProvider"]

_NOTHING = Demand()


class OpenAIProvider(HttpProvider):
    """Calls OpenAI's chat completions, Responses and embeddings, or a server that speaks them at another `base_url`."""

    name = "openai"
    embeds = True
    default_base_url: ClassVar[str] = "https://api.openai.com/v1"
    path: ClassVar[str] = "/chat/completions"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    base_url_variable: ClassVar[str] = "OPENAI_BASE_URL"
    account_variables: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}
    )
    """Headers that say whose account is billed, and the environment variables that hold them."""
    settles: ClassVar[bool] = False
    """Whether the API corrects what it took from its limits once it knows what a call used."""

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
        api: Literal["chat", "responses"] = "chat",
        max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None,
        stream_usage: bool = True,
        reserve_max_tokens: bool = True,
        tokenizer: Tokenizer = "fast",
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine or a tokenizer that is not installed.

        Args:
            api_key: the key; None takes OPENAI_API_KEY. Needed at OpenAI; elsewhere, no key sends none.
            base_url: up to and including "/v1"; None takes OPENAI_BASE_URL, else OpenAI's own.
            organization: None takes OPENAI_ORG_ID.
            project: None takes OPENAI_PROJECT_ID.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
            api: "responses" calls the Responses API for every model, "chat" at OpenAI for those models alone that it
                serves by no other.
            max_tokens_field: the API's name for `max_tokens`; None: the one that the host takes.
            stream_usage: whether to ask for usage at the end of a stream; False for a server that refuses that.
            reserve_max_tokens: whether gates on tokens count `max_tokens` before the call, as OpenAI documents it.
            tokenizer: how texts are counted before the call: "fast" (characters / 4) or "exact" (extra `exact`).
        """
        places = {name: os.environ.get(variable) for name, variable in self.account_variables.items()}
        places |= {"openai-organization": organization} if organization else {}
        places |= {"openai-project": project} if project else {}
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
        self._count = counter(tokenizer)
        self._api = api
        self._responses_only = RESPONSES_ONLY if official else ()

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body of `POST /chat/completions`, of `POST /responses`, or of `POST /embeddings`."""
        if request.inputs:
            return embedding_payload_of(request, self._dialect)
        if self._api == "responses" or request.model.startswith(self._responses_only):
            return response_payload_of(request)
        return payload_of(request, self._dialect)

    def http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:
        """Return the request for a payload, to the API that it was made for."""
        request = super().http_request(payload, stream=stream)
        path = self.path_of(payload)
        return request if path == self.path else evolve(request, url=self.base_url + path)

    def path_of(self, payload: Mapping[str, Any]) -> str:
        """Return where a payload goes: chat completions has no `input`, and an embedding's holds no objects."""
        given = payload.get("input")
        if given is None:
            return self.path
        embeds = isinstance(given, list) and given and not any(isinstance(item, Mapping) for item in given)
        return "/embeddings" if embeds else "/responses"

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in a whole answer of any of the APIs."""
        if "data" in data and "choices" not in data:
            return reply_of_embeddings(data)
        if self._api == "responses" or data.get("object") == "response":
            return reply_of_response(data)
        return reply_of(data)

    def event_reader(self) -> Callable[[Event], GenerationChunk | Literal[StreamEnd.END] | None]:
        """Return what reads one stream's events, and keeps what it must know of those before."""
        reader = ResponseReader()
        if self._api == "responses":
            return reader.read
        return lambda event: reader.read(event) if event.event.startswith("response.") else chunk_of(event)

    def parse_event(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return the chunk in an event seen alone; a stream is read by `event_reader`."""
        return self.event_reader()(event)

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says, by table."""
        return error_of(status, data)

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the API takes from its limits when the call comes in."""
        return demand_of(request, reserve_output=self._reserve_max_tokens, count=self._count)

    def charge(self, usage: Usage) -> Demand | None:
        """Return nothing for a call that used nothing; else None, as the API gives nothing back afterwards.

        Where the service `settles`, what was used.
        """
        if self.settles:
            return super().charge(usage)
        return None if usage.total_tokens else _NOTHING
