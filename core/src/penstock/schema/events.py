"""What sinks are told, as it happens."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from penstock.schema.result import GenerationResult, InvocationAttempt
from penstock.schema.serial import Record

__all__ = ["AttemptEnded", "Event", "RequestEnded", "RequestStarted"]


@frozen(kw_only=True)
class Event(Record):
    """Something that happened to one request.

    Attributes:
        trace_id: whose it is.
        at: when, timezone-aware UTC.
    """

    trace_id: str
    at: datetime


@frozen(kw_only=True)
class RequestStarted(Event):
    """A request reached the service; `model` is as the caller wrote it."""

    model: str | None = None
    operation: str | None = None
    parent_trace_id: str | None = None


@frozen(kw_only=True)
class AttemptEnded(Event):
    """A call of a provider is over; retries show here while the request goes on."""

    provider: str
    model: str
    attempt: InvocationAttempt


@frozen(kw_only=True)
class RequestEnded(Event):
    """A request is over, with all that is known of it."""

    result: GenerationResult
