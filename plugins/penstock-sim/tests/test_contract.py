"""The provider within the process held to the contract of providers."""

from types import MappingProxyType

from penstock import ErrorType
from penstock.testing import ProviderContract
from penstock_sim import SimProvider


class TestSim(ProviderContract):
    model = "default"
    virtual_time = True
    secret = None
    extras = False
    json_payload = False
    faults = MappingProxyType(
        {
            "429": ErrorType.HTTP_429,
            "quota": ErrorType.INSUFFICIENT_QUOTA,
            "401": ErrorType.AUTHENTICATION,
            "403": ErrorType.UNSUPPORTED_REGION,
            "404": ErrorType.NOT_FOUND,
            "context": ErrorType.CONTEXT_LENGTH,
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

    def make(self, fault=None):
        self._provider = SimProvider(faults={} if fault is None else {fault: 1.0})
        return self._provider

    def calls(self):
        return self._provider.calls
