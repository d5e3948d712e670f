"""What an error of the Gemini API means: tables over the details, the status word and the HTTP status. Pure.

Sources: Google's troubleshooting page of the Gemini API, google.rpc.Code, google.api.ErrorReason, and the google.rpc
error details (ErrorInfo, QuotaFailure, RetryInfo), which recorded errors carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from penstock.errors import ErrorType, ProviderError
from penstock_http import error_type_of, message_of, parse_duration

__all__ = ["error_of"]

_BY_REASON: Mapping[str, ErrorType] = MappingProxyType(
    {
        "API_KEY_INVALID": ErrorType.AUTHENTICATION,  # comes with status 400
        "API_KEY_EXPIRED": ErrorType.AUTHENTICATION,
        "CREDENTIALS_MISSING": ErrorType.AUTHENTICATION,
        "ACCESS_TOKEN_EXPIRED": ErrorType.AUTHENTICATION,
        "ACCESS_TOKEN_TYPE_UNSUPPORTED": ErrorType.AUTHENTICATION,
        "ACCOUNT_STATE_INVALID": ErrorType.AUTHENTICATION,
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ErrorType.PERMISSION,
        "API_KEY_SERVICE_BLOCKED": ErrorType.PERMISSION,
        "API_KEY_HTTP_REFERRER_BLOCKED": ErrorType.PERMISSION,
        "API_KEY_IP_ADDRESS_BLOCKED": ErrorType.PERMISSION,
        "SERVICE_DISABLED": ErrorType.PERMISSION,
        "CONSUMER_INVALID": ErrorType.PERMISSION,
        "CONSUMER_SUSPENDED": ErrorType.PERMISSION,
        "BILLING_DISABLED": ErrorType.INSUFFICIENT_QUOTA,
        "RATE_LIMIT_EXCEEDED": ErrorType.HTTP_429,
        "RESOURCE_QUOTA_EXCEEDED": ErrorType.INSUFFICIENT_QUOTA,
        "LOCATION_POLICY_VIOLATED": ErrorType.UNSUPPORTED_REGION,
        "LOCATION_TAX_POLICY_VIOLATED": ErrorType.UNSUPPORTED_REGION,
    }
)
"""By the reason of an ErrorInfo, the most exact word that there is."""

_BY_STATUS_WORD: Mapping[str, ErrorType] = MappingProxyType(
    {
        "UNAUTHENTICATED": ErrorType.AUTHENTICATION,
        "PERMISSION_DENIED": ErrorType.PERMISSION,
        "NOT_FOUND": ErrorType.NOT_FOUND,
        "INVALID_ARGUMENT": ErrorType.INVALID_REQUEST,
        "OUT_OF_RANGE": ErrorType.INVALID_REQUEST,
        "ALREADY_EXISTS": ErrorType.INVALID_REQUEST,
        "UNIMPLEMENTED": ErrorType.INVALID_REQUEST,
        "RESOURCE_EXHAUSTED": ErrorType.HTTP_429,
        "UNAVAILABLE": ErrorType.OVERLOADED,
        "DEADLINE_EXCEEDED": ErrorType.TIMEOUT,
        "INTERNAL": ErrorType.SERVER_ERROR,
        "UNKNOWN": ErrorType.SERVER_ERROR,
        "ABORTED": ErrorType.SERVER_ERROR,
        "CANCELLED": ErrorType.SERVER_ERROR,
        "DATA_LOSS": ErrorType.SERVER_ERROR,
    }
)


def error_of(status: int, data: Any, *, precondition: ErrorType = ErrorType.UNSUPPORTED_REGION) -> ProviderError:
    """Return what an error body, or an error event of a stream, says.

    `data` is the body's JSON, or its text where it is no JSON. A quota per day that is used up is final; any other
    429 may be tried again after its RetryInfo. A status that the body names counts where the HTTP status is a success.
    `precondition` is what FAILED_PRECONDITION means, which comes without details: for the Gemini API, Google documents
    one meaning, that it does not serve the caller's country.
    """
    fields = _fields(data)
    details = [detail for detail in _list(fields.get("details")) if isinstance(detail, Mapping)]
    word = fields.get("status")
    reason = next((found for detail in details if isinstance(found := detail.get("reason"), str)), "")
    code = fields.get("code")
    if status < 400:
        status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    error_type = (
        _BY_REASON.get(reason)
        or (precondition if word == "FAILED_PRECONDITION" else None)
        or (_BY_STATUS_WORD.get(word) if isinstance(word, str) else None)
        or error_type_of(status)
    )
    if error_type is ErrorType.HTTP_429 and _lasts_for_the_day(details):
        error_type = ErrorType.INSUFFICIENT_QUOTA
    words = ", ".join(text for text in (word, reason) if isinstance(text, str) and text)
    message = message_of(data) or "no message"
    return ProviderError(
        f"{message} ({words})" if words else message,
        error_type,
        status_code=status,
        retry_after_s=_retry_delay(details),
    )


def _fields(data: Any) -> Mapping[str, Any]:
    """Return the google.rpc.Status of an error; a stream that is no event stream holds it in a list."""
    if isinstance(data, list) and data:
        data = data[0]
    inner = data.get("error") if isinstance(data, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _lasts_for_the_day(details: list[Mapping[str, Any]]) -> bool:
    """Say whether a QuotaFailure names a quota that no wait of minutes refills: one per day, or one of nothing."""
    return any(
        "PerDay" in str(violation.get("quotaId")) or violation.get("quotaValue") == "0"
        for detail in details
        for violation in _list(detail.get("violations"))
        if isinstance(violation, Mapping)
    )


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds of a RetryInfo, which the API gives instead of a header."""
    delay = next((found for detail in details if isinstance(found := detail.get("retryDelay"), str)), None)
    return None if delay is None else parse_duration(delay)
