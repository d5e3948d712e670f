"""The provider held to the contract of providers, over a socket; what fails is penstock-sim's server."""

from types import MappingProxyType

import pytest

from penstock import ErrorType, Message
from penstock.testing import ProviderContract
from penstock_gemini import GeminiProvider
from penstock_http import Timeouts
from penstock_sim import SimConfig, SimServer

# httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning")


class TestGenerateContent(ProviderContract):
    model = "gemini-2.5-flash"
    embedding_model = "gemini-embedding-2"
    faults = MappingProxyType(
        {
            "429": ErrorType.HTTP_429,
            "401": ErrorType.AUTHENTICATION,
            "404": ErrorType.NOT_FOUND,
            "500": ErrorType.SERVER_ERROR,
            "503": ErrorType.OVERLOADED,
            "torn": (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE),
            "malformed": ErrorType.MALFORMED_RESPONSE,
            "empty": ErrorType.MALFORMED_RESPONSE,
            "reset": ErrorType.CONNECTION,
        }
    )
    stream_faults = MappingProxyType({"unfinished": ErrorType.CONNECTION, "error-event": ErrorType.SERVER_ERROR})
    stall = "stall"
    unsupported = ({"tool_choice": "no_such_tool"}, {"messages": (Message("user", "hi", name="ann"),)})

    def make(self, fault=None):
        faults = () if fault is None else ((fault, 1.0),)
        self._server = self.enter(SimServer.in_thread(SimConfig(faults=faults, grace_s=0.0)))
        url = f"{self._server.url}/v1beta"
        return GeminiProvider(api_key=self.secret, base_url=url, timeouts=Timeouts(first_byte=5.0))

    def calls(self):
        return self._server.stats.requests
