"""The contract that penstock holds every provider to."""

from collections.abc import Mapping
from types import MappingProxyType

from penstock import ErrorType
from penstock.testing import ProviderContract

from penstock_example_tiny import TinyProvider
from vendor import ANSWER, Tiny, tiny


class TestTinyProvider(ProviderContract):
    model = "large-1"
    faults: Mapping[int, ErrorType] = MappingProxyType(
        {
            200: ErrorType.MALFORMED_RESPONSE,  # an answer of another shape
            400: ErrorType.INVALID_REQUEST,
            401: ErrorType.AUTHENTICATION,
            404: ErrorType.NOT_FOUND,
            429: ErrorType.HTTP_429,
            500: ErrorType.SERVER_ERROR,
        }
    )
    unsupported = ({"seed": 0}, {"temperature": 0.0}, {"stop": ("end",)})
    streams = False
    tools = False
    images = False
    server: Tiny

    def make(self, fault: int | None = None) -> TinyProvider:
        body = ANSWER if fault is None else {"error": "as the script says"}
        self.server = self.enter(tiny(fault or 200, body))
        return TinyProvider(api_key=self.secret, base_url=self.server.url)

    def calls(self) -> int:
        return self.server.calls
