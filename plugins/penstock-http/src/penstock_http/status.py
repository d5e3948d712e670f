"""What a failed exchange means to the engine: by transport fault, by HTTP status, and with what its answer said."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from penstock.errors import ErrorType, ProviderError
from penstock.schema import LimitReading
from penstock_http.errors import TransportError, TransportFault
from penstock_http.headers import RetryHint
from penstock_http.jsonbody import JsonBodyError

_BY_STATUS: Mapping[int, ErrorType] = MappingProxyType(
    {
        401: ErrorType.AUTHENTICATION,
        402: ErrorType.INSUFFICIENT_QUOTA,  # Payment Required: OpenRouter's and DeepSeek's empty balance
        403: ErrorType.PERMISSION,
        404: ErrorType.NOT_FOUND,
        408: ErrorType.TIMEOUT,
        409: ErrorType.SERVER_ERROR,  # a lock was not had in time; the vendors' own clients try again
        410: ErrorType.NOT_FOUND,  # a model that was retired
        425: ErrorType.SERVER_ERROR,  # Too Early asks for another try
        429: ErrorType.HTTP_429,
        451: ErrorType.UNSUPPORTED_REGION,
        498: ErrorType.OVERLOADED,  # Groq: the capacity of the flex tier is used up
        503: ErrorType.OVERLOADED,
        504: ErrorType.TIMEOUT,
        522: ErrorType.CONNECTION,  # Cloudflare's, 522 and 523: it did not reach the provider
        523: ErrorType.CONNECTION,
        524: ErrorType.TIMEOUT,  # Cloudflare's: the provider did not answer in time
        529: ErrorType.OVERLOADED,  # Anthropic's, and Cloudflare's
    }
)

_BY_FAULT: Mapping[TransportFault, ErrorType] = MappingProxyType(
    {
        TransportFault.REQUEST: ErrorType.INVALID_REQUEST,
        TransportFault.CONNECT: ErrorType.CONNECTION,
        TransportFault.TLS: ErrorType.CONNECTION,
        TransportFault.CONNECT_TIMEOUT: ErrorType.TIMEOUT,
        TransportFault.FIRST_BYTE_TIMEOUT: ErrorType.TIMEOUT,
        TransportFault.IDLE_TIMEOUT: ErrorType.TIMEOUT,
        TransportFault.TOTAL_TIMEOUT: ErrorType.TIMEOUT,
        TransportFault.RESET: ErrorType.CONNECTION,
        TransportFault.PROTOCOL: ErrorType.MALFORMED_RESPONSE,
        TransportFault.TOO_LARGE: ErrorType.MALFORMED_RESPONSE,
        TransportFault.CLOSED: ErrorType.SERVICE_CLOSED,
    }
)

NO_HINT = RetryHint()

UNEXPECTED_SHAPE = (LookupError, TypeError, AttributeError, ValueError)
"""What reading JSON raises that has another shape than expected, or that is no JSON at all."""

_NEVER_AGAIN = frozenset(
    {
        ErrorType.AUTHENTICATION,
        ErrorType.INSUFFICIENT_QUOTA,
        ErrorType.INVALID_REQUEST,
        ErrorType.UNSUPPORTED_REGION,
    }
)
"""What is not tried again even where a server says so, as some do for every 429."""

_NOT_AGAIN = frozenset({TransportFault.TLS, TransportFault.TOO_LARGE})
"""A certificate stays as it is for the seconds that retries take, and an answer too large is paid for each time."""


def error_type_of(status: int) -> ErrorType:
    """Return what an HTTP status means when nothing more is known: other 4xx are the caller's, the rest the server's.

    Statuses from RFC 9110; the others say whose they are in the table.
    """
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if 400 <= status < 500:
        return ErrorType.INVALID_REQUEST
    # A redirect is never followed, so that no credential goes where it was not meant to: the base URL is wrong.
    return ErrorType.NOT_FOUND if 300 <= status < 400 else ErrorType.SERVER_ERROR


def transport_failure(error: TransportError) -> ProviderError:
    """Return what a transport's failure means to the engine; the message stays as it is and names phase and host."""
    return ProviderError(
        str(error),
        _BY_FAULT[error.fault],
        should_retry=False if error.fault in _NOT_AGAIN else None,
        sent=not error.fault.never_sent,
    )


_MESSAGE_KEYS = ("error", "message", "detail", "msg", "errors")
_MESSAGE_CHARS = 600


def message_of(data: Any) -> str:
    """Return the message of an error body in the shapes that servers use, on one line and cut to a readable length.

    Known shapes: `{"error": {"message": ...}}`, `{"error": "..."}`, `{"message": ...}`, `{"detail": ...}`, a list of
    these, and a plain text, such as a proxy's page. Empty where there is none of them.
    """
    for _ in range(8):  # a hostile body may be nested as deep as it likes
        if isinstance(data, str):
            text = " ".join(data[: 4 * _MESSAGE_CHARS].split())
            return text if len(text) <= _MESSAGE_CHARS else text[:_MESSAGE_CHARS] + "..."
        if isinstance(data, Mapping):
            data = next((data[key] for key in _MESSAGE_KEYS if data.get(key)), "")
        elif isinstance(data, list) and data:
            data = data[0]
        else:
            break
    return ""


def completed(
    error: Exception,
    *,
    status: int,
    host: str,
    hint: RetryHint = NO_HINT,
    request_id: str | None = None,
    limits: tuple[LimitReading, ...] = (),
) -> ProviderError:
    """Return what was found in an answer as one error: with status, host, request id, limits and the headers' hint.

    `error` is a `ProviderError` that a provider made of the body, whose own hint, status and id win, or one of
    `UNEXPECTED_SHAPE`, which makes a `MALFORMED_RESPONSE` that does not quote the body.
    """
    found = error if isinstance(error, ProviderError) else _malformed(error)
    should_retry = hint.should_retry if found.should_retry is None else found.should_retry
    if should_retry and found.error_type in _NEVER_AGAIN:
        should_retry = None
    return ProviderError(
        f"{status} from {host}: {found}",
        found.error_type,
        status_code=found.status_code or status,
        retry_after_s=hint.after_s if found.retry_after_s is None else found.retry_after_s,
        should_retry=should_retry,
        request_id=found.request_id or request_id,
        limits=found.limits or limits,
        usage=found.usage,
    )


def _malformed(error: Exception) -> ProviderError:
    if isinstance(error, JsonBodyError):
        what = str(error)
    elif isinstance(error, ValueError):
        what = f"a value that cannot be read ({type(error).__name__})"
    else:
        what = f"JSON of an unexpected shape ({type(error).__name__})"
    return ProviderError(what, ErrorType.MALFORMED_RESPONSE)
