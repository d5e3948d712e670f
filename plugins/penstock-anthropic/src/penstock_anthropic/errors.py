"""What an error of the Messages API means: a table over error code, type and status. Pure; prose decides nothing.

Sources: Anthropic's page on errors, and the error classes of its published Python SDK, which name every code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from penstock.errors import ErrorType, ProviderError
from penstock_http import error_type_of, message_of

__all__ = ["error_of"]

_BY_CODE: Mapping[str, ErrorType] = MappingProxyType(
    {
        # Money has run out. The first two come with status 429 and type rate_limit_error, but no wait helps.
        "enforced_spend_limit_reached": ErrorType.INSUFFICIENT_QUOTA,
        "contract_spend_limit_reached": ErrorType.INSUFFICIENT_QUOTA,
        "linked_organization_spend_limit_reached": ErrorType.INSUFFICIENT_QUOTA,
        "linked_organization_billing_unavailable": ErrorType.INSUFFICIENT_QUOTA,
        # The account may not; these come with status 400 and type invalid_request_error.
        "organization_on_hold": ErrorType.PERMISSION,
        "organization_type_not_supported": ErrorType.PERMISSION,
        "organization_not_enrolled_in_beta": ErrorType.PERMISSION,
        "parent_organization_required": ErrorType.PERMISSION,
        "claude_code_key_creator_not_member": ErrorType.PERMISSION,
        # The customer's own encryption key: what the customer must change comes with 400, what passes with 503.
        "cmek_key_disabled": ErrorType.PERMISSION,
        "cmek_key_network_blocked": ErrorType.PERMISSION,
        "cmek_context_unavailable": ErrorType.SERVER_ERROR,
        "cmek_key_unreachable": ErrorType.SERVER_ERROR,
        "user_profile_not_found": ErrorType.NOT_FOUND,
        "request_body_timeout": ErrorType.TIMEOUT,
    }
)
"""By `error.details.error_code`, where it says more than type and status do."""

_BY_TYPE: Mapping[str, ErrorType] = MappingProxyType(
    {
        "authentication_error": ErrorType.AUTHENTICATION,
        "billing_error": ErrorType.INSUFFICIENT_QUOTA,
        "permission_error": ErrorType.PERMISSION,
        "not_found_error": ErrorType.NOT_FOUND,
        "request_too_large": ErrorType.INVALID_REQUEST,  # 32 MB: a limit on the body, not on the context
        "rate_limit_error": ErrorType.HTTP_429,
        "timeout_error": ErrorType.TIMEOUT,
        "overloaded_error": ErrorType.OVERLOADED,
        "exceed_context_size_error": ErrorType.CONTEXT_LENGTH,  # llama.cpp's; Anthropic has no word for it
    }
)

_BY_TYPE_ALONE: Mapping[str, ErrorType] = MappingProxyType(
    {
        "invalid_request_error": ErrorType.INVALID_REQUEST,
        "api_error": ErrorType.SERVER_ERROR,
    }
)
"""For an error event in mid-stream, where no status helps; these words go with several statuses."""


def error_of(status: int, data: Any) -> ProviderError:
    """Return what an error body, or an error event of a stream, says; `data` is its JSON, or its text where it is none.

    The code is looked up before the type, and the type before the status.
    """
    fields = data.get("error") if isinstance(data, Mapping) else None
    fields = fields if isinstance(fields, Mapping) else {}
    details = fields.get("details")
    kind = _word(fields.get("type"))
    code = _word(details.get("error_code")) if isinstance(details, Mapping) else ""
    error_type = (
        _BY_CODE.get(code)
        or _BY_TYPE.get(kind)
        or (_BY_TYPE_ALONE.get(kind, ErrorType.SERVER_ERROR) if status < 400 else error_type_of(status))
    )
    message = message_of(data) or "no message"
    word = code or kind
    return ProviderError(
        f"{message} ({word})" if word else message,
        error_type,
        status_code=status if status >= 400 else None,
        request_id=_word(data.get("request_id")) or None if isinstance(data, Mapping) else None,
    )


def _word(value: Any) -> str:
    """Return a code, a type or an id that is a word; anything longer is none."""
    return value if isinstance(value, str) and len(value) <= 64 else ""
