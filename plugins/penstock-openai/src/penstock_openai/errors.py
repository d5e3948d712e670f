"""What an error of the API means: a table over status, code and type. Pure; prose decides nothing.

Sources: OpenAI's guide to error codes and its published specification, recorded errors of the services named below,
and the error types that vLLM, llama.cpp and LiteLLM write.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from penstock.errors import ErrorType, ProviderError
from penstock_http import error_type_of, message_of, parse_duration

__all__ = ["error_of"]

_BY_CODE: Mapping[str, ErrorType] = MappingProxyType(
    {
        # An account that has run dry; not the same as a rate limit, though both come with status 429.
        "insufficient_quota": ErrorType.INSUFFICIENT_QUOTA,
        "billing_hard_limit_reached": ErrorType.INSUFFICIENT_QUOTA,
        "billing_not_active": ErrorType.INSUFFICIENT_QUOTA,
        "rate_limit_exceeded": ErrorType.HTTP_429,
        "rate_limit_error": ErrorType.HTTP_429,
        "RateLimitReached": ErrorType.HTTP_429,  # Azure
        "invalid_api_key": ErrorType.AUTHENTICATION,
        "account_deactivated": ErrorType.AUTHENTICATION,
        "authentication_error": ErrorType.AUTHENTICATION,
        "unsupported_country_region_territory": ErrorType.UNSUPPORTED_REGION,
        "permission_error": ErrorType.PERMISSION,
        "model_not_found": ErrorType.NOT_FOUND,
        "model_decommissioned": ErrorType.NOT_FOUND,  # Groq
        "not_found_error": ErrorType.NOT_FOUND,
        "DeploymentNotFound": ErrorType.NOT_FOUND,  # Azure
        "context_length_exceeded": ErrorType.CONTEXT_LENGTH,
        "string_above_max_length": ErrorType.CONTEXT_LENGTH,
        "exceed_context_size_error": ErrorType.CONTEXT_LENGTH,  # llama.cpp
        "too_many_prompt_tokens": ErrorType.CONTEXT_LENGTH,  # Perplexity
        "content_filter": ErrorType.CONTENT_FILTER,
        "content_policy_violation": ErrorType.CONTENT_FILTER,
        "invalid_prompt": ErrorType.CONTENT_FILTER,  # reasoning models: the prompt was flagged
        "ResponsibleAIPolicyViolation": ErrorType.CONTENT_FILTER,  # Azure
        # What a failed response says of an image; none of these comes with a status.
        "image_content_policy_violation": ErrorType.CONTENT_FILTER,
        "invalid_image": ErrorType.INVALID_REQUEST,
        "invalid_image_format": ErrorType.INVALID_REQUEST,
        "invalid_base64_image": ErrorType.INVALID_REQUEST,
        "invalid_image_url": ErrorType.INVALID_REQUEST,
        "image_too_large": ErrorType.INVALID_REQUEST,
        "image_too_small": ErrorType.INVALID_REQUEST,
        "image_parse_error": ErrorType.INVALID_REQUEST,
        "invalid_image_mode": ErrorType.INVALID_REQUEST,
        "image_file_too_large": ErrorType.INVALID_REQUEST,
        "unsupported_image_media_type": ErrorType.INVALID_REQUEST,
        "empty_image_file": ErrorType.INVALID_REQUEST,
        "failed_to_download_image": ErrorType.INVALID_REQUEST,
        "image_file_not_found": ErrorType.INVALID_REQUEST,
        "bio_policy": ErrorType.CONTENT_FILTER,
        "data_residency_mismatch": ErrorType.PERMISSION,
        "slow_down": ErrorType.OVERLOADED,
        "overloaded_error": ErrorType.OVERLOADED,
        "engine_overloaded_error": ErrorType.OVERLOADED,
        "service_unavailable": ErrorType.OVERLOADED,
        "service_unavailable_error": ErrorType.OVERLOADED,
    }
)
"""By the error's code, else by its type: some services put the word in the one, some in the other."""

_BY_STATUS_AND_CODE: Mapping[tuple[int, str], ErrorType] = MappingProxyType(
    {
        # Groq: this one request is larger than the limit per minute, so that no wait helps.
        (413, "rate_limit_exceeded"): ErrorType.CONTEXT_LENGTH,
    }
)

_BY_TYPE_ALONE: Mapping[str, ErrorType] = MappingProxyType(
    {
        "invalid_request_error": ErrorType.INVALID_REQUEST,
        "requests": ErrorType.HTTP_429,
        "tokens": ErrorType.HTTP_429,
    }
)
"""For an error inside an answer of status 200, where no status helps; these words go with several statuses."""


def error_of(status: int, data: Any) -> ProviderError:
    """Return what an error body, or an error event of a stream, says.

    `data` is the body's JSON, or its text where it is no JSON. A status that the body names counts where the HTTP
    status is a success. Code and type are looked up before the status.
    """
    fields = _fields(data)
    code, kind = _word(fields.get("code")), _word(fields.get("type"))
    if status < 400:
        status = _status_in(fields) or status
    error_type = (
        _BY_STATUS_AND_CODE.get((status, code))
        or _BY_CODE.get(code)
        or _BY_CODE.get(kind)
        or (_BY_TYPE_ALONE.get(kind, ErrorType.SERVER_ERROR) if status < 400 else error_type_of(status))
    )
    message = message_of(data)
    word = code or kind
    return ProviderError(
        f"{message or 'no message'} ({word})" if word else message or "no message",
        error_type,
        status_code=status if status >= 400 else None,
        retry_after_s=_retry_delay(fields),
    )


def _fields(data: Any) -> Mapping[str, Any]:
    """Return the object that holds code and type: `{"error": {...}}`, or all of `{"error": "...", "code": ...}`."""
    if isinstance(data, list) and data:  # Gemini's compatible endpoint
        data = data[0]
    if not isinstance(data, Mapping):
        return {}
    inner = data.get("error")
    return inner if isinstance(inner, Mapping) else data


def _word(value: Any) -> str:
    """Return a code or type that is a word; numbers are statuses, and long texts are no codes."""
    return value if isinstance(value, str) and not value.isdecimal() and len(value) <= 64 else ""


def _status_in(fields: Mapping[str, Any]) -> int | None:
    """Return the HTTP status that an error inside an answer names, as OpenRouter, Groq and LiteLLM do."""
    for name in ("status_code", "code", "status"):
        text = str(fields.get(name))
        if len(text) == 3 and text.isdecimal() and 400 <= int(text) <= 599:
            return int(text)
    return None


def _retry_delay(fields: Mapping[str, Any]) -> float | None:
    """Return the seconds of a google.rpc.RetryInfo, which Gemini's compatible endpoint gives instead of a header."""
    details = fields.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and isinstance(delay := detail.get("retryDelay"), str):
            return parse_duration(delay)
    return None
