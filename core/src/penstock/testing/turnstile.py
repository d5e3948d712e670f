"""The way through gates, with everything else of a service left out: for experiments with thousands of requests."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from penstock.admission import Admission, Admitted
from penstock.contracts import Clock, Gate, Outcome
from penstock.errors import ProviderError
from penstock.forecast import Forecast
from penstock.retry import backoff
from penstock.schema import Demand, GateSnapshot, GateWait, LimitReading, RetryPolicy

__all__ = ["Passage", "Turnstile"]


@define(eq=False)
class Passage:
    """One request on its way through the gates.

    Attributes:
        estimate: what its provider expects it to count.
        waits: what has held it up, as in a result's `backoff.gates`.
        attempts: how many calls are over.
        refusals: how many of them ended in a 429 that a gate heeds.
        keeps_place: whether the last one did, so that the next one goes ahead of everyone.
        admitted: leave for the call under way.
    """

    estimate: Demand
    waits: list[GateWait] = field(factory=list, init=False)
    attempts: int = field(default=0, init=False)
    refusals: int = field(default=0, init=False)
    keeps_place: bool = field(default=False, init=False)
    admitted: Admitted | None = field(default=None, init=False)


class Turnstile:
    """Takes requests for one model through real gates, in the order and with the retries of `penstock.engine`.

    Queues, turns, permits, forecasts and back-off are the service's own; there is no provider, result or record. Let
    a request in, carry it out, then say how it went; after a failure that may be tried again, let it in again::

        await turnstile.admit(passage)
        turnstile.answered(passage, counted)

    Args:
        gates: before every request.
        clock: tells the time; its bells are waited for.
        model: "provider/model", for gates that apply to some models only.
        retry: the policy.
    """

    def __init__(self, gates: Iterable[Gate], clock: Clock, *, model: str, retry: RetryPolicy) -> None:
        self._clock = clock
        self._model = model
        self._retry = retry
        self._forecast = Forecast()
        self._admission = Admission(gates, clock, logger=logging.getLogger("penstock"))
        self._scope = self._admission.scope_of(model)

    async def admit(self, passage: Passage) -> None:
        """Wait for every gate and take the permits.

        Raises GateRefusedError when a gate will never let it pass, and ProviderError when a gate is broken.
        """
        again, passage.keeps_place = passage.keeps_place, False
        passage.admitted = await self._scope.admit(
            lambda: self._forecast.expect(self._model, None, passage.estimate),
            [] if again else passage.waits,
            again=again,
        )

    def answered(self, passage: Passage, counted: Demand | None, limits: tuple[LimitReading, ...] = ()) -> None:
        """Close the books on a call that was answered.

        Args:
            passage: the request.
            counted: what the provider has counted; None leaves the reservation standing, and nothing is learned.
            limits: what the answer's headers say.
        """
        self._settle(passage, counted, limits=limits)
        if counted is not None:
            self._forecast.learn(self._model, None, passage.estimate, counted)

    def failed(self, passage: Passage, failure: ProviderError) -> float | None:
        """Close the books on a call that failed, which has counted no tokens.

        Return the seconds after which to let it in again: 0 when the gates hold everyone back and it keeps its place
        at the head; None when it is not tried again.
        """
        demand = self._settle(
            passage,
            Demand(),
            sent=failure.sent,
            error_type=failure.error_type,
            retry_after_s=failure.retry_after_s,
            limits=failure.limits,
        )
        heeded = self._scope.heeds(failure, demand)
        passage.refusals += heeded
        wait_s = backoff(self._retry, failure, retries=passage.attempts - 1, refusals=passage.refusals)
        passage.keeps_place = heeded and wait_s is not None
        return 0.0 if passage.keeps_place else wait_s

    def snapshot(self) -> tuple[GateSnapshot, ...]:
        """Return the gates' figures."""
        return self._admission.snapshot(self._clock.now())

    def _settle(self, passage: Passage, used: Demand | None, **outcome: Any) -> Demand:
        """Give the permits back and return what they were for."""
        admitted, passage.admitted = passage.admitted, None
        if admitted is None:
            raise RuntimeError("a request is let in before it is over, and is over once")
        now = self._clock.now()
        latency_s = now - admitted.admitted
        admitted.settle(Outcome(used=used, cost_usd=passage.estimate.cost_usd, latency_s=latency_s, **outcome), now)
        passage.attempts += 1
        return admitted.demand
