"""What Gemini answers where it fails: a google.rpc.Status with its details. It has no headers for its limits.

Sources: recorded errors, Google's troubleshooting page of the Gemini API, and the google.rpc error details.
"""

from types import MappingProxyType
from typing import Any, Final

from penstock_sim.exchange import Failure, FailureKind, HintDialect
from penstock_sim.hints import retry_info

HINT: Final = HintDialect.RETRY_INFO

_SERVICE: Final = "generativelanguage.googleapis.com"
_TYPES: Final = "type.googleapis.com/google.rpc."
_NO_KEY: Final = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)
_WRONG_KEY: Final = "API key not valid. Please pass a valid API key."
_REGION: Final = "User location is not supported for the API use."

_WORDS: Final[MappingProxyType[FailureKind, tuple[int, str, str | None]]] = MappingProxyType(
    {
        FailureKind.REQUEST_LIMIT: (429, "RESOURCE_EXHAUSTED", None),
        FailureKind.TOKEN_LIMIT: (429, "RESOURCE_EXHAUSTED", None),
        FailureKind.QUOTA: (429, "RESOURCE_EXHAUSTED", None),
        FailureKind.NO_KEY: (403, "PERMISSION_DENIED", _NO_KEY),
        FailureKind.WRONG_KEY: (400, "INVALID_ARGUMENT", _WRONG_KEY),
        FailureKind.REGION: (400, "FAILED_PRECONDITION", _REGION),
        FailureKind.UNKNOWN_MODEL: (404, "NOT_FOUND", None),
        FailureKind.CONTEXT_LENGTH: (400, "INVALID_ARGUMENT", None),
        FailureKind.INVALID_JSON: (400, "INVALID_ARGUMENT", None),
        FailureKind.INVALID_REQUEST: (400, "INVALID_ARGUMENT", None),
        FailureKind.INVALID_HTTP: (400, "INVALID_ARGUMENT", None),
        FailureKind.HEADERS_TOO_LARGE: (431, "INVALID_ARGUMENT", None),
        FailureKind.BODY_TOO_LARGE: (413, "INVALID_ARGUMENT", None),
        FailureKind.UNKNOWN_URL: (404, "NOT_FOUND", None),
        FailureKind.WRONG_METHOD: (405, "INVALID_ARGUMENT", None),
        FailureKind.SERVER_ERROR: (500, "INTERNAL", None),
        FailureKind.OVERLOADED: (503, "UNAVAILABLE", None),
    }
)
"""Status, status word, and the sentence where the API has always the same."""

_QUOTAS: Final[MappingProxyType[FailureKind, tuple[str, str]]] = MappingProxyType(
    {
        FailureKind.REQUEST_LIMIT: (
            "generate_content_free_tier_requests",
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        ),
        FailureKind.TOKEN_LIMIT: (
            "generate_content_paid_tier_input_token_count",
            "GenerateContentPaidTierInputTokensPerModelPerMinute",
        ),
        FailureKind.QUOTA: (
            "generate_content_free_tier_requests",
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        ),
    }
)
"""The metric and the id of the quota that is used up."""


def status(failure: Failure) -> int:
    """Give the HTTP status of a failure."""
    return _WORDS[failure.kind][0]


def error_fields(failure: Failure) -> dict[str, Any]:
    """Build the body of an error: ``{"error": {code, message, status, details}}``."""
    code, word, message = _WORDS[failure.kind]
    fields: dict[str, Any] = {"code": code, "message": message or _message(failure), "status": word}
    if details := _details(failure):
        fields["details"] = details
    return {"error": fields}


def _message(failure: Failure) -> str:
    """Say which model is unknown, or which quota is used up until when; else what the failure says."""
    if failure.kind is FailureKind.UNKNOWN_MODEL and failure.model is not None:
        return f"models/{failure.model} is not found for API version v1beta, or is not supported for generateContent."
    if failure.limit is None or failure.kind not in _QUOTAS:
        return failure.message
    metric, _ = _QUOTAS[failure.kind]
    return (
        f"You exceeded your current quota.\n* Quota exceeded for metric: {_SERVICE}/{metric}, "
        f"limit: {failure.limit}, model: {failure.model}\nPlease retry in {failure.retry_after_s:.3f}s."
    )


def _details(failure: Failure) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if failure.kind is FailureKind.WRONG_KEY:
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": {"service": _SERVICE}}
        details.append({"@type": f"{_TYPES}ErrorInfo", **reason})
        details.append({"@type": f"{_TYPES}LocalizedMessage", "locale": "en-US", "message": _WRONG_KEY})
    if failure.kind in _QUOTAS:
        details.append({"@type": f"{_TYPES}QuotaFailure", "violations": [_violation(failure)]})
    if failure.kind is FailureKind.INVALID_REQUEST and failure.param:
        violation = {"field": failure.param, "description": failure.message}
        details.append({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})
    return details + (retry_info(failure, HINT) or [])


def _violation(failure: Failure) -> dict[str, Any]:
    metric, quota_id = _QUOTAS[failure.kind]
    violation: dict[str, Any] = {"quotaMetric": f"{_SERVICE}/{metric}", "quotaId": quota_id}
    if failure.model is not None:
        violation["quotaDimensions"] = {"location": "global", "model": failure.model}
    if failure.limit is not None:
        violation["quotaValue"] = str(failure.limit)
    return violation
