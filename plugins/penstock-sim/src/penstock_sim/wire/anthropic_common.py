"""What Anthropic's wire formats share: the key, the charges, the headers, the error bodies.

Types and header names are those of recorded answers; statuses those of Anthropic's page on errors.
"""

from types import MappingProxyType
from typing import Any, Final

import orjson

from penstock_sim.exchange import (
    Charge,
    Failure,
    FailureKind,
    HintDialect,
    HttpRequest,
    SimReply,
    SimRequest,
    Stamp,
)
from penstock_sim.hints import hint_headers, retry_info, rfc3339
from penstock_sim.limiters import Admission, LimitState
from penstock_sim.text import count_tokens
from penstock_sim.wire import sse
from penstock_sim.wire.base import Wire

_HINT: Final = HintDialect.SECONDS
_INVALID: Final = "invalid_request_error"
_NOT_FOUND: Final = "not_found_error"

_WORDS: Final[MappingProxyType[FailureKind, tuple[int, str, str | None]]] = MappingProxyType(
    {
        FailureKind.REQUEST_LIMIT: (429, "rate_limit_error", None),
        FailureKind.TOKEN_LIMIT: (429, "rate_limit_error", None),
        FailureKind.QUOTA: (402, "billing_error", None),
        FailureKind.NO_KEY: (401, "authentication_error", "x-api-key header is required"),
        FailureKind.WRONG_KEY: (401, "authentication_error", "invalid x-api-key"),
        FailureKind.REGION: (403, "permission_error", None),
        FailureKind.UNKNOWN_MODEL: (404, _NOT_FOUND, None),
        FailureKind.CONTEXT_LENGTH: (400, _INVALID, None),
        FailureKind.INVALID_JSON: (400, _INVALID, None),
        FailureKind.INVALID_REQUEST: (400, _INVALID, None),
        FailureKind.INVALID_HTTP: (400, _INVALID, None),
        FailureKind.HEADERS_TOO_LARGE: (431, _INVALID, None),
        FailureKind.BODY_TOO_LARGE: (413, "request_too_large", "Request exceeds the maximum size"),
        FailureKind.UNKNOWN_URL: (404, _NOT_FOUND, None),
        FailureKind.WRONG_METHOD: (405, _INVALID, "Method Not Allowed"),
        FailureKind.SERVER_ERROR: (500, "api_error", "Internal server error"),
        FailureKind.OVERLOADED: (529, "overloaded_error", "Overloaded"),
    }
)
"""Status and type, and the sentence where the API has always the same."""


class AnthropicWire(Wire):
    """A format of Anthropic's."""

    def credential(self, request: HttpRequest) -> str | None:
        """Take the key from `x-api-key`, else from `Authorization: Bearer KEY`."""
        key = request.headers.get(b"x-api-key")
        return key.decode("latin-1") if key else request.bearer

    def charge(self, request: SimRequest, assumed_max_tokens: int) -> Charge:  # noqa: ARG002  # max_tokens does not count
        """The prompt alone: `max_tokens` does not factor into Anthropic's limits."""
        return Charge(count_tokens(request.prompt), 0)

    def charge_output(self, reply: SimReply) -> int:
        """The output, which counts as it is generated."""
        return reply.completion_tokens

    def headers(self, stamp: Stamp, admission: Admission | None, failure: Failure | None = None) -> str:
        """Write the request id, the state of the limits that are set, and whether and when to try again."""
        lines = f"request-id: {request_id(stamp)}\r\n"
        if admission is not None:
            lines += (
                _limit_headers("requests", admission.requests, stamp)
                + _limit_headers("tokens", admission.tokens, stamp)
                + _limit_headers("input-tokens", admission.input_tokens, stamp)
                + _limit_headers("output-tokens", admission.output_tokens, stamp)
            )
        if failure is None:
            return lines
        again = "true" if self.status(failure) in (429, 500, 529) else "false"
        return f"{lines}x-should-retry: {again}\r\n{hint_headers(failure, _HINT)}"

    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure."""
        return _WORDS[failure.kind][0]

    def error(self, failure: Failure, stamp: Stamp) -> bytes:
        """Word a failure as `{"type": "error", "error": {type, message}, "request_id"}`."""
        return orjson.dumps(self._error(failure, stamp))

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:  # noqa: ARG002  # events have no numbers
        """Word a failure as an `error` event."""
        return sse.named(self._error(failure, stamp))

    def _error(self, failure: Failure, stamp: Stamp) -> dict[str, Any]:
        _, kind, message = _WORDS[failure.kind]
        if failure.kind is FailureKind.UNKNOWN_MODEL and failure.model is not None:
            message = f"model: {failure.model}"
        fields: dict[str, object] = {"type": kind, "message": message or failure.message}
        if (details := retry_info(failure, _HINT)) is not None:
            fields["details"] = details
        return {"type": "error", "error": fields, "request_id": request_id(stamp)}


def request_id(stamp: Stamp) -> str:
    """Name the request, in a header and in the bodies of errors."""
    return f"req_{stamp.id[:24]}"


def _limit_headers(what: str, state: LimitState | None, stamp: Stamp) -> str:
    if state is None:
        return ""
    return (
        f"anthropic-ratelimit-{what}-limit: {state.limit}\r\n"
        f"anthropic-ratelimit-{what}-remaining: {state.remaining}\r\n"
        f"anthropic-ratelimit-{what}-reset: {rfc3339(stamp.at + state.reset_s)}\r\n"
    )
