"""What the Gemini API and Vertex AI have in common: the wire functions, put together on the base of HTTP providers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote

from penstock.errors import ErrorType, ProviderError
from penstock.schema import Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock_gemini.embedding import embedding_payload_of, embeddings_of
from penstock_gemini.errors import error_of
from penstock_gemini.reply import AnswerReader, reply_of
from penstock_gemini.request import payload_of
from penstock_gemini.usage import demand_of
from penstock_http import Event, HttpProvider, HttpRequest, dumps

__all__ = ["GenerateContentProvider"]

_METHODS: Mapping[str, str] = MappingProxyType(
    {"requests": "batchEmbedContents", "content": "embedContent", "instances": "predict"}
)
"""The method of a body that embeds, by the field that only it has."""


class GenerateContentProvider(HttpProvider):
    """Calls generateContent and streamGenerateContent, and embeds; where, and with what key, its subclasses say."""

    path: ClassVar[str] = ""
    embeds = True

    @abstractmethod
    def place(self, model: str) -> str:
        """Return the path of a model, whose name is quoted already, below the base URL."""

    def embedding_payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body for texts to embed, and the model beside it."""
        return embedding_payload_of(request)

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key; never the URL, which ends up in logs."""
        return {"x-goog-api-key": key}

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body, and the model beside it."""
        payload = self.embedding_payload(request) if request.inputs else payload_of(request)
        if not {"", ".", ".."}.isdisjoint(str(payload["model"]).split("/")):
            raise ProviderError("model: not a name of a model", ErrorType.INVALID_REQUEST)
        return payload

    def http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:
        """Return the call of the payload's model by the method that its body is for."""
        body = dict(payload)
        place = self.place(quote(str(body.pop("model")), safe="/"))
        made = "streamGenerateContent?alt=sse" if stream else "generateContent"
        method = next((name for field, name in _METHODS.items() if field in body), made)
        return HttpRequest("POST", f"{self.url}/{place}:{method}", {}, dumps(body))

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in a whole answer."""
        return embeddings_of(data) or reply_of(data)

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
        """Return what the API takes from its limits: tokens of the input alone, and a request for each text."""
        return demand_of(request)

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the API has counted: tokens of the input alone."""
        return Demand(input_tokens=usage.input_tokens, output_tokens=0)
