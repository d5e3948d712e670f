"""What OpenAI's wire formats share: the key, the headers, the error bodies, the list of models.

Statuses, types, codes and header names are those of recorded answers of the real API.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import orjson

from penstock_sim.exchange import Failure, FailureKind, Stamp
from penstock_sim.hints import go_duration, retry_info
from penstock_sim.limiters import Admission, LimitState

_INVALID: Final = "invalid_request_error"

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


def credential(headers: Mapping[bytes, bytes]) -> str | None:
    """Take the key from ``Authorization: Bearer KEY``."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip().decode("latin-1") if scheme.lower() == b"bearer" and key.strip() else None


def headers(stamp: Stamp, admission: Admission | None) -> str:
    """Write the request id, the processing time, and the state of the limits that are set."""
    lines = (
        f"x-request-id: req_{stamp.id}\r\nopenai-processing-ms: {stamp.processing_ms}\r\nopenai-version: 2020-10-01\r\n"
    )
    if admission is not None:
        lines += _limit_headers("requests", admission.requests) + _limit_headers("tokens", admission.tokens)
    return lines


def _limit_headers(what: str, state: LimitState | None) -> str:
    if state is None:
        return ""
    return (
        f"x-ratelimit-limit-{what}: {state.limit}\r\n"
        f"x-ratelimit-remaining-{what}: {state.remaining}\r\n"
        f"x-ratelimit-reset-{what}: {go_duration(state.reset_s)}\r\n"
    )


def error(failure: Failure) -> tuple[int, bytes]:
    """Word a failure as ``{"error": {message, type, param, code}}``."""
    status, _, _ = _WORDS[failure.kind]
    return status, orjson.dumps(_error(failure))


def error_event(failure: Failure) -> bytes:
    """Word a failure as one SSE data event, as the API does in mid-stream."""
    return b"data: " + orjson.dumps(_error(failure)) + b"\n\n"


def _error(failure: Failure) -> dict[str, dict[str, object]]:
    _, kind, code = _WORDS[failure.kind]
    fields: dict[str, object] = {
        "message": failure.message,
        "type": kind,
        "param": failure.param,
        "code": failure.code or code,
    }
    if (details := retry_info(failure)) is not None:
        fields["details"] = details
    return {"error": fields}


def model_body(model: str) -> bytes:
    """Write the answer of ``GET /v1/models/MODEL``."""
    return orjson.dumps(_model(model))


def models_body(models: Iterable[str]) -> bytes:
    """Write the answer of ``GET /v1/models``."""
    return orjson.dumps({"object": "list", "data": [_model(model) for model in models]})


def _model(model: str) -> dict[str, object]:
    return {"id": model, "object": "model", "created": 1_735_689_600, "owned_by": "penstock-sim"}
