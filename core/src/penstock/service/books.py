"""The books of a service: what the engine reports goes to the meter and, as events, to every sink."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from penstock.contracts import MetricsSink
from penstock.flight import Flight
from penstock.metrics import Meter, SinkPump
from penstock.schema import (
    AttemptEnded,
    Event,
    GenerationResult,
    InvocationAttempt,
    RequestEnded,
    RequestStarted,
    StatsSnapshot,
    StatsTaken,
)
from penstock.schema.makers import maker_of

__all__ = ["Books"]

_make_started = maker_of(RequestStarted)
_make_attempt_ended = maker_of(AttemptEnded)
_make_ended = maker_of(RequestEnded)


class Books:
    """The engine's recorder. It never raises and never waits: each sink has a buffer and a thread of its own."""

    def __init__(self, meter: Meter, sinks: Iterable[MetricsSink], *, logger: logging.Logger) -> None:
        self.meter = meter
        self.pumps = tuple(SinkPump(sink, logger=logger) for sink in sinks)
        wishes: dict[SinkPump, float] = {}
        for pump in self.pumps:
            every_s = getattr(pump.sink, "stats_every_s", None)  # some sinks only behave like one
            if every_s is not None:
                wishes[pump] = every_s
        self._wants_stats = tuple(wishes)
        self._stats_every_s = min(wishes.values(), default=math.inf)
        self._stats_due = math.inf
        self._take: Callable[[], StatsSnapshot] | None = None

    def started(self, flight: Flight) -> None:
        """Note that a request began."""
        request = flight.request
        self.meter.started(request)
        if self.pumps:
            self._tell(
                _make_started(
                    trace_id=flight.trace_id,
                    at=flight.started_at,
                    model=request.model,
                    operation=request.operation,
                    parent_trace_id=request.parent_trace_id,
                )
            )

    def sent(self, flight: Flight, now: float) -> None:  # noqa: ARG002  # the recorder's contract
        """Note that a call left for a provider."""
        self.meter.sent(now)

    def received(self, flight: Flight, attempt: InvocationAttempt, now: float) -> None:
        """Note that a call is over."""
        route = flight.route
        if route is None:
            return
        self.meter.received(now, model=route.full_model, operation=flight.request.operation, attempt=attempt)
        if self.pumps:
            self._tell(
                _make_attempt_ended(
                    trace_id=flight.trace_id,
                    at=attempt.ended_at,
                    provider=route.name,
                    model=route.model,
                    attempt=attempt,
                )
            )
            if now >= self._stats_due:
                self._tell_stats(now)

    def ended(self, flight: Flight, result: GenerationResult) -> None:
        """Note that a request is over."""
        self.meter.ended(result)
        if self.pumps:
            at = flight.utc(flight.marks["generation_completed_at"])
            self._tell(_make_ended(trace_id=result.trace_id, at=at, result=result))

    def report(self, take: Callable[[], StatsSnapshot], now: float) -> None:
        """Report what `take` returns to the sinks that want it, as often as the most eager of them does."""
        self._take = take
        self._stats_due = now + self._stats_every_s

    def last_report(self) -> None:
        """Report the figures of the end."""
        self._tell_stats(math.inf)

    def close(self) -> None:
        """Drain every sink and close it; blocks, but not for ever."""
        for pump in self.pumps:
            pump.close()

    def _tell_stats(self, now: float) -> None:
        if self._take is not None and self._wants_stats:
            self._stats_due = now + self._stats_every_s
            stats = self._take()
            for pump in self._wants_stats:
                pump.put(StatsTaken(at=stats.at, stats=stats))

    def _tell(self, event: Event) -> None:
        for pump in self.pumps:
            pump.put(event)
