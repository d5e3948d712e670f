"""What Gemini's wire formats share: the key, the charges, errors as a google.rpc.Status; no headers for the limits.

Sources: recorded errors, Google's troubleshooting page of the Gemini API, and the google.rpc error details.
"""

from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from penstock_sim.exchange import Charge, Failure, FailureKind, HintDialect, HttpRequest, SimRequest, Stamp
from penstock_sim.hints import hint_headers, retry_info
from penstock_sim.limiters import Admission
from penstock_sim.text import count_tokens
from penstock_sim.wire.base import Wire

_HINT: Final = HintDialect.RETRY_INFO

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


class GeminiWire(Wire):
    """A format of Gemini's."""

    def credential(self, request: HttpRequest) -> str | None:
        """Take the key from `x-goog-api-key`, else from `key` in the URL."""
        if key := request.headers.get(b"x-goog-api-key"):
            return key.decode("latin-1")
        return parse_qs(request.query).get("key", [None])[-1]

    def charge(self, request: SimRequest, assumed_max_tokens: int) -> Charge:  # noqa: ARG002  # max_tokens does not count
        """The prompt alone: Gemini limits input tokens."""
        return Charge(count_tokens(request.prompt), 0)

    def headers(
        self,
        stamp: Stamp,  # noqa: ARG002  # the id of an answer is in its body
        admission: Admission | None,  # noqa: ARG002  # the API does not tell how its limits stand
        failure: Failure | None = None,
    ) -> str:
        """Write nothing of limits; how long to wait, where a fault wants that told in a header."""
        lines = "x-gemini-service-tier: standard\r\nvary: Origin, X-Origin, Referer\r\n"
        return lines if failure is None else lines + hint_headers(failure, _HINT)

    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure."""
        return _WORDS[failure.kind][0]

    def error(self, failure: Failure, stamp: Stamp) -> bytes:  # noqa: ARG002  # errors have no id
        """Word a failure as `{"error": {code, message, status, details}}`."""
        code, word, message = _WORDS[failure.kind]
        fields: dict[str, Any] = {"code": code, "message": message or _message(failure), "status": word}
        if details := _details(failure):
            fields["details"] = details
        return orjson.dumps({"error": fields}, option=orjson.OPT_INDENT_2)

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:  # noqa: ARG002  # events have no numbers
        """Word a failure as the API does in mid-stream: line by line, and not as an event, as its client knows."""
        return self.error(failure, stamp) + b"\r\n\r\n"


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
    return details + (retry_info(failure, _HINT) or [])


def _violation(failure: Failure) -> dict[str, Any]:
    metric, quota_id = _QUOTAS[failure.kind]
    violation: dict[str, Any] = {"quotaMetric": f"{_SERVICE}/{metric}", "quotaId": quota_id}
    if failure.model is not None:
        violation["quotaDimensions"] = {"location": "global", "model": failure.model}
    if failure.limit is not None:
        violation["quotaValue"] = str(failure.limit)
    return violation
