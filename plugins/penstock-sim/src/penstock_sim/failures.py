"""What a client of a real server would report: the simulation's failures and damage as `ProviderError`.

Pure, and in agreement with what `penstock-openai` makes of the simulated server's answers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from penstock.errors import ErrorType, ProviderError
from penstock.schema import LimitReading
from penstock_sim.exchange import Failure, FailureKind
from penstock_sim.faults import MID_STREAM_FAILURE, Damage
from penstock_sim.hints import told_s
from penstock_sim.wire import DEFAULT_WIRE

_TYPES: Final[Mapping[FailureKind, ErrorType]] = MappingProxyType(
    {
        FailureKind.REQUEST_LIMIT: ErrorType.HTTP_429,
        FailureKind.TOKEN_LIMIT: ErrorType.HTTP_429,
        FailureKind.QUOTA: ErrorType.INSUFFICIENT_QUOTA,
        FailureKind.WRONG_KEY: ErrorType.AUTHENTICATION,
        FailureKind.REGION: ErrorType.UNSUPPORTED_REGION,
        FailureKind.UNKNOWN_MODEL: ErrorType.NOT_FOUND,
        FailureKind.CONTEXT_LENGTH: ErrorType.CONTEXT_LENGTH,
        FailureKind.SERVER_ERROR: ErrorType.SERVER_ERROR,
        FailureKind.OVERLOADED: ErrorType.OVERLOADED,
    }
)
"""The kinds that faults and limits have; the others are wrong HTTP, which nothing in the process can be."""

_Report = tuple[ErrorType, int | None, str]

_MALFORMED: Final = ErrorType.MALFORMED_RESPONSE
_BROKEN: Final[Mapping[Damage, _Report]] = MappingProxyType(
    {
        Damage.TORN: (_MALFORMED, None, "the response was cut short"),
        Damage.UNFINISHED: (_MALFORMED, 200, "not JSON: unexpected end of data"),
        Damage.MALFORMED: (_MALFORMED, 200, "not JSON: unexpected end of data"),
        Damage.EMPTY: (_MALFORMED, 200, "the response was empty"),
        Damage.OVERSIZED: (_MALFORMED, None, "the response is larger than a client accepts"),
        Damage.CLOSE: (ErrorType.CONNECTION, None, "the connection closed before a byte of an answer"),
        Damage.RESET: (ErrorType.CONNECTION, None, "the connection was reset"),
    }
)
_BROKEN_STREAM: Final[Mapping[Damage, _Report]] = MappingProxyType(
    {
        Damage.TORN: (ErrorType.CONNECTION, None, "the connection broke in the middle of the stream"),
        Damage.UNFINISHED: (ErrorType.CONNECTION, 200, "the stream ended early, before a finish reason"),
        Damage.ERROR_EVENT: (_TYPES[MID_STREAM_FAILURE.kind], 200, MID_STREAM_FAILURE.message),
    }
)
"""Where a stream is reported otherwise than a whole answer: it has begun, with status 200, before it breaks."""


def refusal(failure: Failure, limits: tuple[LimitReading, ...]) -> ProviderError:
    """Report an error answer, with the status of the default wire format and the hint as a client reads it."""
    return ProviderError(
        failure.message,
        _TYPES[failure.kind],
        status_code=DEFAULT_WIRE.status(failure),
        retry_after_s=told_s(failure),
        limits=limits,
    )


def broken(damage: Damage, *, stream: bool) -> ProviderError:
    """Report an answer that came to harm."""
    reports = {**_BROKEN, **_BROKEN_STREAM} if stream else _BROKEN
    error_type, status, message = reports[damage]
    # The next answer of the same request would be as large.
    again = False if damage is Damage.OVERSIZED else None
    return ProviderError(message, error_type, status_code=status, should_retry=again)
