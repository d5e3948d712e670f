"""The provider `gemini`: its settings, and the wire functions put together on the base of HTTP providers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from penstock.errors import ErrorType, ProviderError
from penstock.schema import Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock_gemini.errors import error_of
from penstock_gemini.reply import AnswerReader, reply_of
from penstock_gemini.request import payload_of
from penstock_gemini.usage import demand_of
from penstock_http import Event, HttpProvider, HttpRequest, Timeouts, dumps
from penstock_http.transport import DEFAULT_MAX_BODY

__all__ = ["GeminiProvider"]


class GeminiProvider(HttpProvider):
    """Calls generateContent and streamGenerateContent of Google's Generative Language API."""

    name = "gemini"
    default_base_url: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    path: ClassVar[str] = ""
    key_variable: ClassVar[str] = "GEMINI_API_KEY"
    base_url_variable: ClassVar[str] = "GEMINI_BASE_URL"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.

        Args:
            api_key: the key; None takes GEMINI_API_KEY, else GOOGLE_API_KEY. Needed at Google; elsewhere, no key
                sends none.
            base_url: up to and including "/v1beta"; None takes GEMINI_BASE_URL, else Google's own.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
        """
        super().__init__(
            api_key=api_key or os.environ.get(self.key_variable) or os.environ.get("GOOGLE_API_KEY"),
            base_url=base_url,
            headers=headers,
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
        )

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key; never the URL, which ends up in logs."""
        return {"x-goog-api-key": key}

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body, and the model beside it."""
        payload = payload_of(request)
        if not {"", ".", ".."}.isdisjoint(str(payload["model"]).split("/")):
            raise ProviderError("model: not a name of a model", ErrorType.INVALID_REQUEST)
        return payload

    def http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:
        """Return the call of the payload's model: "gemini-2.5-flash", or a whole name such as "tunedModels/mine"."""
        body = dict(payload)
        model = quote(str(body.pop("model")), safe="/")
        place = model if "/" in model else f"models/{model}"
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return HttpRequest("POST", f"{self.url}/{place}:{method}", {}, dumps(body))

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in a whole answer."""
        return reply_of(data)

    def event_reader(self) -> Callable[[Event], GenerationChunk | None]:
        """Return what reads one stream's events, and numbers the tool calls of all of them in one row."""
        return AnswerReader().read_event

    def parse_event(self, event: Event) -> GenerationChunk | None:
        """Return the chunk in an event seen alone; a stream is read by `event_reader`."""
        return AnswerReader().read_event(event)

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says, by table."""
        return error_of(status, data)

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the API takes from its limits: tokens of the input alone."""
        return demand_of(request)

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the API has counted: tokens of the input alone."""
        return Demand(input_tokens=usage.input_tokens, output_tokens=0)
