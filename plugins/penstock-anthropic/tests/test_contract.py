"""The provider under penstock's suite of providers, against the simulated server, which speaks Messages."""

import pytest

from penstock import ErrorType
from penstock.testing import ProviderContract
from penstock_anthropic import AnthropicProvider
from penstock_http import Timeouts
from penstock_sim import SimConfig, SimServer

# httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning")

BROKEN = (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE)


class TestAnthropicProvider(ProviderContract):
    model = "claude-sonnet-4-5"
    unsupported = ({"seed": 1}, {"temperature": 1.5})
    stall = "stall"
    faults = {  # noqa: RUF012  # the suite reads it
        "429": ErrorType.HTTP_429,
        "429-none": ErrorType.HTTP_429,
        "quota": ErrorType.INSUFFICIENT_QUOTA,
        "401": ErrorType.AUTHENTICATION,
        "403": ErrorType.PERMISSION,
        "404": ErrorType.NOT_FOUND,
        "context": ErrorType.INVALID_REQUEST,  # the API has no word for it
        "500": ErrorType.SERVER_ERROR,
        "503": ErrorType.OVERLOADED,
        "malformed": BROKEN,
        "empty": BROKEN,
        "torn": BROKEN,
        "close": ErrorType.CONNECTION,
        "reset": ErrorType.CONNECTION,
    }
    stream_faults = {"unfinished": ErrorType.CONNECTION, "error-event": ErrorType.SERVER_ERROR}  # noqa: RUF012  # as above

    def make(self, fault=None):
        self.server = self.enter(SimServer.in_thread(SimConfig(grace_s=0)))
        if fault:
            self.server.script(f"{fault}*1000")
        return AnthropicProvider(api_key=self.secret, base_url=self.server.url, timeouts=Timeouts(first_byte=5, idle=5))

    def calls(self):
        return self.server.stats.requests
