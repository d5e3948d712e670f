"""The bottom room: what can go wrong, by name. Imports nothing of penstock.

The exception tree::

    PenstockError
    ├── ConfigError (also ValueError)   settings that cannot be used; carries every problem found
    ├── PluginError                     a plugin that cannot be registered or built
    ├── ProviderError                   raised by a provider; becomes a failed attempt, typed by ErrorType
    ├── GateRefusedError                raised by a gate that will never let a request through
    └── StepError                       raised by a pipeline step to fail with a plain message
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

__all__ = [
    "ConfigError",
    "ErrorType",
    "GateRefusedError",
    "PenstockError",
    "PluginError",
    "ProviderError",
    "StepError",
]


class ErrorType(Enum):
    """Why a request or an attempt failed: the value that is recorded, and whether trying again can help.

    Attributes:
        value: the stable string that appears in records and metrics.
        retryable: whether the engine may try again; a provider's explicit hint (`ProviderError.should_retry`) wins.
        remedy: one sentence that tells the user what to do.
    """

    retryable: bool
    remedy: str

    def __new__(cls, value: str, retryable: bool = False, remedy: str = "") -> Self:  # noqa: FBT001, FBT002  # members are written as tuples
        """Make a member whose value is the string alone, with its two facts as attributes."""
        member = object.__new__(cls)
        member._value_ = value
        member.retryable = retryable
        member.remedy = remedy
        return member

    # The seed's three.
    UNSUPPORTED_REGION = "unsupported_region", False, "Call from a country or region that the provider serves."
    INSUFFICIENT_QUOTA = "insufficient_quota", False, "Add credit or raise the spending limit of the account."
    HTTP_429 = "http_429", True, "Retried after the provider's hint; lower the gates' limits if it happens often."
    # What the caller must change.
    AUTHENTICATION = "authentication", False, "Set the provider's API key, or replace a wrong or expired one."
    PERMISSION = "permission", False, "Use a key, project or account that may use this model or feature."
    NOT_FOUND = "not_found", False, "Check the provider's name, the model's name and the base URL."
    INVALID_REQUEST = "invalid_request", False, "Correct the request; the message names the field."
    CONTEXT_LENGTH = "context_length", False, "Shorten the input or choose a smaller max_tokens."
    CONTENT_FILTER = "content_filter", False, "Change the input; the provider refuses to answer it."
    # What time may mend.
    OVERLOADED = "overloaded", True, "Retried with backoff; the provider has no capacity at the moment."
    SERVER_ERROR = "server_error", True, "Retried with backoff; report it to the provider if it lasts."
    TIMEOUT = "timeout", True, "Retried; raise the timeout that the message names if answers are simply long."
    CONNECTION = "connection", True, "Retried; check the network, the proxy and the base URL if it lasts."
    MALFORMED_RESPONSE = (
        "malformed_response",
        True,
        "Retried; if it lasts, the base URL may not be what the provider speaks.",
    )
    # What penstock itself decided.
    DEADLINE_EXCEEDED = "deadline_exceeded", False, "Raise the request's timeout or the gates' limits."
    GATE_REFUSED = "gate_refused", False, "A gate will not let this request through; the message names the gate."
    CANCELLED = "cancelled", False, "The caller cancelled the request or left its stream early."
    SERVICE_CLOSED = "service_closed", False, "Send requests before the service is closed."
    UNKNOWN = (
        "unknown",
        False,
        "An unexpected exception; the message names it. Please report it to the plugin's author.",
    )


class PenstockError(Exception):
    """The root of every exception that penstock raises on purpose."""


class ConfigError(PenstockError, ValueError):
    """Settings that cannot be used.

    Attributes:
        problems: every problem found, each one a line that starts with the path of the key.
    """

    def __init__(self, problems: Sequence[str], *, source: str | None = None) -> None:
        """Collect `problems`; `source` is the file or object they were found in."""
        self.problems = tuple(problems)
        self.source = source
        where = f" in {source}" if source else ""
        count = f"{len(self.problems)} problems" if len(self.problems) != 1 else "1 problem"
        super().__init__("\n  ".join([f"{count}{where}:", *self.problems]))


class PluginError(PenstockError):
    """A plugin that cannot be loaded, registered or built; the message names it and its dist."""


class ProviderError(PenstockError):
    """What a provider raises when a call did not give an answer; the engine turns it into a failed attempt.

    Attributes:
        error_type: the class of the failure, from status, type and code, never from prose.
        status_code: HTTP status, if there was one.
        retry_after_s: the provider's hint in seconds; a floor for the next try.
        should_retry: the provider's explicit word, which wins over `error_type.retryable`; None when it said nothing.
        request_id: the provider's own id of the call.
        sent: False when the call cannot have reached the provider, so that it takes nothing from any limit.
        limits: what the answer said of the provider's limits, as `LimitReading`.
        usage: what the call used all the same, as `Usage`, where the provider reports and bills it; None otherwise.
    """

    def __init__(
        self,
        message: str,
        error_type: ErrorType = ErrorType.UNKNOWN,
        *,
        status_code: int | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
        request_id: str | None = None,
        sent: bool = True,
        limits: tuple[Any, ...] = (),
        usage: Any = None,
    ) -> None:
        """Describe the failure in `message`, which ends up in the record: no credentials."""
        super().__init__(message or error_type.value)
        self.error_type = error_type
        self.status_code = status_code
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry
        self.request_id = request_id
        self.sent = sent
        self.limits = limits
        self.usage = usage

    @property
    def retryable(self) -> bool:
        """Whether the engine may try again."""
        return self.error_type.retryable if self.should_retry is None else self.should_retry


class GateRefusedError(PenstockError):
    """Raised by a gate's `delay` for a request it will never let through; the request fails with `GATE_REFUSED`."""


class StepError(PenstockError):
    """Raised by a pipeline step to fail with a plain message; any other exception fails the step as well.

    Attributes:
        feedback: what the model must be told to mend its answer, such as "the field 'price' is missing"; it is told
            where a `RepairPolicy` allows it. None where asking again would not help.
    """

    def __init__(self, message: str, *, feedback: str | None = None) -> None:
        """Describe the failure in `message`, which ends up in the record."""
        super().__init__(message)
        self.feedback = feedback
