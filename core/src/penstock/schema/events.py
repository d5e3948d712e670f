"""What sinks are told, as it happens."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from penstock.schema.result import GenerationResult, InvocationAttempt
from penstock.schema.serial import Record
from penstock.schema.stats import StatsSnapshot

__all__ = ["AttemptEnded", "Event", "RequestEnded", "RequestStarted", "StatsTaken"]


@frozen(kw_only=True)
class Event(Record):
    """Something that happened, mostly to one request.

    Attributes:
        trace_id: whose it is; empty for what concerns the whole service.
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


@frozen(kw_only=True)
class StatsTaken(Event):
    """The service's figures of this moment, those of every gate among them. Comes with the calls, and at the end."""

    trace_id: str = ""
    stats: StatsSnapshot
