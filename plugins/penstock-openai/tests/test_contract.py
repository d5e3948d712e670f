"""The provider held to the contract of providers, over a socket, by both APIs; what fails is penstock-sim's server."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import pytest

from penstock import ErrorType, Message
from penstock.schema import DocumentPart
from penstock.testing import ProviderContract
from penstock_http import Timeouts
from penstock_openai import OpenAIProvider
from penstock_sim import SimConfig, SimServer

CUT_SHORT = (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE)
FAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "429": ErrorType.HTTP_429,
        "quota": ErrorType.INSUFFICIENT_QUOTA,
        "401": ErrorType.AUTHENTICATION,
        "403": ErrorType.UNSUPPORTED_REGION,
        "404": ErrorType.NOT_FOUND,
        "context": ErrorType.CONTEXT_LENGTH,
        "500": ErrorType.SERVER_ERROR,
        "503": ErrorType.OVERLOADED,
        "torn": CUT_SHORT,
        "malformed": ErrorType.MALFORMED_RESPONSE,
        "empty": ErrorType.MALFORMED_RESPONSE,
        "reset": ErrorType.CONNECTION,
    }
)
DOCUMENT_BY_URL = Message("user", [DocumentPart(url="https://example.org/a.pdf")])

# httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning")


class TestChat(ProviderContract):
    model = "gpt-4o-mini"
    embedding_model = "text-embedding-3-small"
    faults = FAULTS
    stream_faults = MappingProxyType({"unfinished": ErrorType.CONNECTION, "error-event": ErrorType.SERVER_ERROR})
    stall = "stall"
    unsupported: Any = ({"messages": (DOCUMENT_BY_URL,)},)
    _api: Literal["chat", "responses"] = "chat"

    def make(self, fault=None):
        faults = () if fault is None else ((fault, 1.0),)
        self._server = self.enter(SimServer.in_thread(SimConfig(faults=faults, grace_s=0.0)))
        url = f"{self._server.url}/v1"
        return OpenAIProvider(api_key=self.secret, base_url=url, api=self._api, timeouts=Timeouts(first_byte=5.0))

    def calls(self):
        return self._server.stats.requests


class TestResponses(TestChat):
    unsupported = ({"seed": 1}, {"stop": "end"}, {"messages": (Message("user", "hi", name="ann"),)})
    _api = "responses"
