"""The provider under penstock's suite of providers, against the simulated server, which speaks generateContent."""

import pytest

from penstock import ErrorType, Message
from penstock.testing import ProviderContract, replaces_check
from penstock_gemini import GeminiProvider
from penstock_http import Timeouts
from penstock_sim import SimConfig, SimServer

# httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning")

BROKEN = (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE)


class TestGeminiProvider(ProviderContract):
    model = "gemini-2.5-flash"
    unsupported = ({"messages": (Message("user", "hi", name="Ada"),)}, {"tool_choice": "no tool of this name"})
    stall = "stall"
    faults = {  # noqa: RUF012  # the suite reads it
        "429": ErrorType.HTTP_429,
        "429-none": ErrorType.HTTP_429,
        "quota": ErrorType.INSUFFICIENT_QUOTA,
        "401": ErrorType.AUTHENTICATION,
        "403": ErrorType.UNSUPPORTED_REGION,
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
        return GeminiProvider(
            api_key=self.secret, base_url=f"{self.server.url}/v1beta", timeouts=Timeouts(first_byte=5, idle=5)
        )

    def calls(self):
        return self.server.stats.requests

    @replaces_check("the simulated server has no batchEmbedContents; test_embedding.py has recorded answers")
    def test_each_text_to_embed_gets_a_vector(self):
        """Tell that it embeds, which is all that is left here."""
        assert self.make().embeds
