"""What OpenAI's wire formats share: the key, the charges, the headers, the error bodies, the list of models.

Statuses, types, codes and header names are those of recorded answers of the real API.
"""

from http import HTTPStatus
from typing import ClassVar, Final

import orjson

from penstock_sim.exchange import (
    Charge,
    Failure,
    FailureKind,
    HintDialect,
    HttpRequest,
    SimRequest,
    Stamp,
)
from penstock_sim.hints import go_duration, hint_headers, retry_info
from penstock_sim.limiters import Admission, LimitState
from penstock_sim.text import count_tokens
from penstock_sim.wire import sse
from penstock_sim.wire.base import Wire

_INVALID: Final = "invalid_request_error"
_HINT: Final = HintDialect.BOTH

_WORDS: Final[dict[FailureKind, tuple[HTTPStatus, str, str | None]]] = {
    FailureKind.REQUEST_LIMIT: (HTTPStatus.TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded"),
    FailureKind.TOKEN_LIMIT: (HTTPStatus.TOO_MANY_REQUESTS, "tokens", "rate_limit_exceeded"),
    FailureKind.QUOTA: (HTTPStatus.TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota"),
    FailureKind.NO_KEY: (HTTPStatus.UNAUTHORIZED, _INVALID, None),
    FailureKind.WRONG_KEY: (HTTPStatus.UNAUTHORIZED, _INVALID, "invalid_api_key"),
    FailureKind.REGION: (HTTPStatus.FORBIDDEN, "request_forbidden", "unsupported_country_region_territory"),
    FailureKind.UNKNOWN_MODEL: (HTTPStatus.NOT_FOUND, _INVALID, "model_not_found"),
    FailureKind.CONTEXT_LENGTH: (HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded"),
    FailureKind.INVALID_JSON: (HTTPStatus.BAD_REQUEST, _INVALID, None),
    FailureKind.INVALID_REQUEST: (HTTPStatus.BAD_REQUEST, _INVALID, None),
    FailureKind.INVALID_HTTP: (HTTPStatus.BAD_REQUEST, _INVALID, None),
    FailureKind.HEADERS_TOO_LARGE: (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _INVALID, None),
    FailureKind.BODY_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _INVALID, None),
    FailureKind.UNKNOWN_URL: (HTTPStatus.NOT_FOUND, _INVALID, "unknown_url"),
    FailureKind.WRONG_METHOD: (HTTPStatus.METHOD_NOT_ALLOWED, _INVALID, "method_not_supported"),
    FailureKind.SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", None),
    FailureKind.OVERLOADED: (HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable_error", "service_unavailable"),
}


class OpenAIWire(Wire):
    """A format of OpenAI's.

    Attributes:
        prompt_field: where the API has the prompt, which may be too long.
    """

    prompt_field: ClassVar[str | None] = None

    def credential(self, request: HttpRequest) -> str | None:
        """Take the key from `Authorization: Bearer KEY`."""
        return request.bearer

    def charge(self, request: SimRequest, assumed_max_tokens: int) -> Charge:
        """Prompt plus the most it may answer, as OpenAI charges in advance, for each choice asked for."""
        max_tokens = assumed_max_tokens if request.max_tokens is None else request.max_tokens
        return Charge(count_tokens(request.prompt), max_tokens * request.choices)

    def headers(self, stamp: Stamp, admission: Admission | None, failure: Failure | None = None) -> str:
        """Write the request id, the processing time, the state of the limits that are set, and how long to wait."""
        lines = f"x-request-id: req_{stamp.id}\r\nopenai-processing-ms: {stamp.processing_ms}\r\n"
        lines += "openai-version: 2020-10-01\r\n"
        if admission is not None:
            lines += _limit_headers("requests", admission.requests) + _limit_headers("tokens", admission.tokens)
        return lines if failure is None else lines + hint_headers(failure, _HINT)

    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure."""
        return int(_WORDS[failure.kind][0])

    def error(self, failure: Failure, stamp: Stamp) -> bytes:  # noqa: ARG002  # the id is in a header
        """Word a failure as `{"error": {message, type, param, code}}`."""
        return orjson.dumps(self._error(failure))

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:  # noqa: ARG002  # events have no numbers
        """Word a failure as one SSE data event, as the API does in mid-stream."""
        return sse.data(self._error(failure))

    def _error(self, failure: Failure) -> dict[str, dict[str, object]]:
        _, kind, code = _WORDS[failure.kind]
        fields: dict[str, object] = {
            "message": failure.message,
            "type": kind,
            "param": self.prompt_field if failure.kind is FailureKind.CONTEXT_LENGTH else failure.param,
            "code": failure.code or code,
        }
        if (details := retry_info(failure, _HINT)) is not None:
            fields["details"] = details
        return {"error": fields}


def _limit_headers(what: str, state: LimitState | None) -> str:
    if state is None:
        return ""
    return (
        f"x-ratelimit-limit-{what}: {state.limit}\r\n"
        f"x-ratelimit-remaining-{what}: {state.remaining}\r\n"
        f"x-ratelimit-reset-{what}: {go_duration(state.reset_s)}\r\n"
    )


def error_code(failure: Failure) -> str | None:
    """Give the API's code for a failure; where it has none, its type in a stream."""
    _, kind, code = _WORDS[failure.kind]
    return failure.code or code or (None if kind == _INVALID else kind)
