"""The books of an attempt: what it is expected to use, and what it has used, counted, cost and left on record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from attrs import define, field

from penstock.admission import Admitted, Scope
from penstock.contracts import CHARS_PER_TOKEN, Outcome
from penstock.errors import ErrorType, ProviderError
from penstock.flight import Flight, Route
from penstock.forecast import Forecast, at_most
from penstock.schema import Demand, GenerationResult, InvocationAttempt, Usage
from penstock.schema.makers import maker_of
from penstock.schema.usage import NO_USAGE, ZERO_USD

__all__ = ["Ledger", "Recorder"]

UNANSWERED = frozenset({ErrorType.TIMEOUT, ErrorType.CONNECTION, ErrorType.CANCELLED, ErrorType.DEADLINE_EXCEEDED})
"""Failures after which nobody knows what the provider has done, counted and billed: reservations stand."""

BILLED = frozenset({ErrorType.TIMEOUT, ErrorType.CANCELLED, ErrorType.DEADLINE_EXCEEDED, ErrorType.MALFORMED_RESPONSE})
"""Failures before which the provider was at work: the cost of the input is estimated rather than left out."""

_make_attempt = maker_of(InvocationAttempt)
_make_outcome = maker_of(Outcome)


class Recorder(Protocol):
    """Who keeps the books of what happens: `penstock.service` has one for metrics and sinks."""

    def started(self, flight: Flight) -> None:
        """A request began."""

    def sent(self, flight: Flight, now: float) -> None:
        """A call left for a provider."""

    def received(self, flight: Flight, attempt: InvocationAttempt, now: float) -> None:
        """That call is over."""

    def ended(self, flight: Flight, result: GenerationResult) -> None:
        """A request is over."""


@define(eq=False, kw_only=True)
class Ledger:
    """Keeps the books of attempts. `close` runs whatever happened to one, awaits nothing, and leaves no permit open.

    Attributes:
        price: gives the cost of a usage in USD, or None when the price is unknown.
        recorder: is told of every attempt and request.
        forecast: learns what calls really count.
    """

    price: Callable[[str, str, Usage], Decimal | None]
    recorder: Recorder
    forecast: Forecast = field(factory=Forecast)
    logger: logging.Logger = field(factory=lambda: logging.getLogger(__name__))

    def expect(self, flight: Flight, route: Route, scope: Scope) -> Demand:
        """Return what the next attempt will probably count, and cost where a gate keeps a budget."""
        demand = self.forecast.expect(route.full_model, flight.request.operation, flight.estimate)
        if scope.needs_cost:
            usage = at_most(demand, flight.estimate, flight.request)
            demand = demand.replace(cost_usd=self._cost(route, usage))
        return demand

    def close(self, flight: Flight, route: Route, admitted: Admitted, failure: ProviderError | None) -> None:
        """Close the books on an attempt: usage, permits, cost, record. Runs whatever happened; awaits nothing."""
        ended = flight.mark("last_invoke_ended_at")
        started = flight.marks["last_invoke_started_at"]
        usage = self._usage_of(flight, failure)
        cost = self._cost(route, usage)
        answer = flight.answer
        unknown = failure is not None and failure.error_type in UNANSWERED and failure.usage is None
        admitted.settle(
            _make_outcome(
                used=None if unknown else self._charge(flight, route, usage, failure),
                cost_usd=None if unknown else cost,
                sent=failure.sent if failure else True,
                error_type=failure.error_type if failure else None,
                retry_after_s=failure.retry_after_s if failure else None,
                limits=failure.limits if failure else answer.limits if answer else (),
                latency_s=ended - started,
            ),
            ended,
        )
        flight.marks["cost_calculated_at"] = flight.mark("usage_settled_at")
        attempt = _make_attempt(
            number=len(flight.attempts) + 1,
            success=failure is None,
            enqueued_at=flight.utc(admitted.enqueued),
            started_at=flight.utc(started),
            ended_at=flight.utc(ended),
            queue_ms=(started - admitted.enqueued) * 1000.0,
            duration_ms=(ended - started) * 1000.0,
            first_chunk_ms=(flight.marks["response_started_at"] - started) * 1000.0 if flight.chunks else None,
            error_type=failure.error_type if failure else None,
            error_message=str(failure) if failure else None,
            status_code=failure.status_code if failure else None,
            retry_after_s=failure.retry_after_s if failure else None,
            request_id=failure.request_id if failure else answer.request_id if answer else None,
            usage=usage,
            cost_usd=cost,
        )
        flight.attempts.append(attempt)
        self.recorder.received(flight, attempt, ended)

    def _usage_of(self, flight: Flight, failure: ProviderError | None) -> Usage:
        """Return what the last call used: as reported; estimated where nothing was; nothing where it was refused.

        Of a stream that was cut short, what its provider had estimated counts, with the output that came if it is more.
        """
        if failure is not None and isinstance(failure.usage, Usage):
            return failure.usage
        answer = flight.answer
        reported = answer.usage if answer is not None and isinstance(answer.usage, Usage) else None
        if reported is not None and not (reported.estimated and failure):
            return reported
        if answer is None and (failure is None or failure.error_type not in BILLED or not failure.sent):
            return NO_USAGE
        written = len(answer.content or "") + len(answer.reasoning or "") if answer else 0
        output = -(-written // CHARS_PER_TOKEN)
        if reported is not None:
            return reported.replace(output_tokens=max(reported.output_tokens, output))
        return Usage(input_tokens=flight.demand.input_tokens, output_tokens=output, estimated=True)

    def _charge(self, flight: Flight, route: Route, usage: Usage, failure: ProviderError | None) -> Demand | None:
        """Return what the provider has counted; None when it cannot say, so that reservations stand."""
        try:
            counted = route.provider.charge(usage)
            if failure is None and counted is not None and not usage.estimated:
                self.forecast.learn(route.full_model, flight.request.operation, flight.estimate, counted)
        except Exception:  # a provider's fault here must not keep permits from coming back
            self.logger.exception("provider %r could not say what it charges", route.provider.name)
            return None
        return counted

    def _cost(self, route: Route, usage: Usage) -> Decimal | None:
        """Return the cost of `usage` in USD; None when the price is unknown, or cannot be worked out."""
        if not usage.total_tokens:
            return ZERO_USD
        try:
            return self.price(route.provider.name, route.model, usage)
        except Exception:  # nor must a price's fault
            self.logger.exception("the cost of a call of %r could not be worked out", route.full_model)
            return None
