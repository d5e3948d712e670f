"""Concurrency for servers whose capacity nobody states: as many calls at once as go well, found out by going there."""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

from penstock import Demand, ErrorType, Gate, Outcome, Permit
from penstock.contracts import NEVER
from penstock.schema import GateSnapshot
from penstock_gates.checks import positive

__all__ = ["AdaptiveGate"]

CONGESTED = frozenset({ErrorType.HTTP_429, ErrorType.OVERLOADED, ErrorType.TIMEOUT})
"""Failures that say "too much"; any other one says nothing about capacity."""

CUT = 0.8
"""What a congestion leaves of the limit; of what the server can work on without a queue, after slow answers."""

STEEP, GENTLE = 0.05, 0.002
"""The part by which the limit rises while each of its places is used once: far from the ceiling, and near it."""

NEAR = 0.05
"""So near the limit that was last too much, as a part of it, the rise is gentle. Beyond, it is steep again: the server
has grown."""

FIRST_BATCH = 10
LEAST_BATCH = 100
"""Latency is judged by the mean of so many calls, or of as many as are allowed at once: answers differ in length.
The first calls of all are judged sooner, while there is no queue yet."""

RECENT_BATCHES = 100
AT_BEST = 0.1
"""A tenth of the last hundred batches were faster than what counts as the server at its best."""


@define(eq=False)
class Batch:
    """Calls that were sent one after the other. Judged when all have ended: those that end first are the short ones."""

    size: int
    sent: int = 0
    ended: int = 0
    answered: int = 0
    seconds: float = 0.0


@define(eq=False)
class Pulse:
    """Notices when calls wait within the server: on average they take `slowdown` times as long as at its best."""

    slowdown: float
    resting: bool = False
    _batch: Batch = field(factory=lambda: Batch(FIRST_BATCH))
    _means: deque[float] = field(factory=lambda: deque(maxlen=RECENT_BATCHES))

    def sent(self, at_once: int) -> Batch:
        """Return the batch of a call that is sent now."""
        if self._batch.sent >= self._batch.size:
            self._batch = Batch(max(LEAST_BATCH, at_once))
        self._batch.sent += 1
        return self._batch

    def fit(self, batch: Batch, latency_s: float | None) -> float:
        """Take note of the end of a call, `latency_s` None if it was not answered; judge its batch if it was the last.

        Returns what part of the limit fits the server: 1, unless the batch shows a queue. By Little's law calls at
        once and latency grow together once a server is busy, so the one has to fall by as much as the other should.
        """
        batch.ended += 1
        if latency_s is not None:
            batch.answered += 1
            batch.seconds += latency_s
        if batch.ended < batch.size:
            return 1.0
        resting, self.resting = self.resting, False
        if batch.answered < batch.size / 2:
            return 1.0
        mean = batch.seconds / batch.answered
        if resting:
            self._means.clear()
        self._means.append(mean)
        best = sorted(self._means)[int(len(self._means) * AT_BEST)]
        return best / mean if mean > self.slowdown * best else 1.0

    def restart(self, at_once: int, *, resting: bool) -> None:
        """Begin a batch with the next call; if resting, one that shows anew what the server at its best is."""
        self.resting = resting
        self._batch = Batch(max(LEAST_BATCH, at_once))


@define(eq=False)
class _Place(Permit):
    """A place among the calls under way; `era` counts the falls of the limit before it was taken."""

    gate: AdaptiveGate
    at: float
    era: int
    batch: Batch

    def settle(self, outcome: Outcome, now: float) -> None:  # noqa: ARG002  # places are freed by calls, not by time
        self.gate.settle(self, outcome)


class AdaptiveGate(Gate):
    """As many calls at once as the server bears: doubles at first, then rises slowly, and falls at once.

    It falls once per congestion: by a fifth after a 429, an overloaded server or a timeout; and to a fifth below what
    the server works on without a queue, when answers take `slowdown` times as long as they did at its best, on average
    over a batch. Calls sent before the last fall belong to the same congestion. It rises by answers to calls that were
    under way while every place was taken; a limit that nobody reaches proves nothing. Near the limit that was last
    refused it rises gently. A hint does not freeze it.

    Args:
        start: calls at once in the beginning.
        minimum, maximum: between which it stays.
        slowdown: how many times longer than at its best the server may take.
        name: how it appears in records.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to.
    """

    name = "adaptive"

    def __init__(
        self,
        *,
        start: int = 4,
        minimum: int = 1,
        maximum: int = 1000,
        slowdown: float = 2.0,
        name: str | None = None,
        match: str = "*",
        operation: str = "*",
    ) -> None:
        self.minimum = int(positive("minimum", minimum))
        self.maximum = int(positive("maximum", maximum))
        if not self.minimum <= start <= self.maximum:
            raise ValueError(f"start must be between minimum and maximum, {minimum} and {maximum}; got {start!r}")
        if not slowdown > 1:
            raise ValueError(f"slowdown must be more than 1, got {slowdown!r}")
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self.in_flight = 0
        self._limit = float(start)
        self._ceiling = math.inf  # until the first congestion the limit doubles
        self._full_at = -math.inf
        self._era = 0
        self._pulse = Pulse(slowdown)
        self._admitted = self._refused = 0

    @property
    def limit(self) -> int:
        """How many calls it allows at once now."""
        return int(self._limit)

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # a call is a place, freed by its end
        """Return 0 while there is a place; otherwise wait for one to be given back."""
        return 0.0 if self.in_flight < self.limit else NEVER

    def take(self, demand: Demand, now: float) -> Permit:  # noqa: ARG002  # likewise
        """Take a place."""
        self.in_flight += 1
        self._admitted += 1
        if self.in_flight >= self.limit:
            self._full_at = now
        return _Place(self, now, self._era, self._pulse.sent(self.limit))

    def settle(self, place: _Place, outcome: Outcome) -> None:
        """Give a place back, and learn from how the call went."""
        self.in_flight -= 1
        self._refused += outcome.error_type is ErrorType.HTTP_429
        if place.era == self._era:
            self._learn(place, outcome)
        self.changed()

    def snapshot(self, now: float) -> GateSnapshot:  # noqa: ARG002  # places are freed by calls, not by time
        """Return the places taken, of those there are now."""
        return GateSnapshot(
            name=self.name,
            match=self.match,
            limit=self.limit,
            used=self.in_flight,
            admitted=self._admitted,
            refused=self._refused,
        )

    def _learn(self, place: _Place, outcome: Outcome) -> None:
        answered = outcome.sent and outcome.error_type is None
        fit = self._pulse.fit(place.batch, outcome.latency_s if answered else None)
        if outcome.sent and outcome.error_type in CONGESTED:
            self._fall(CUT, ceiling=self._limit)
        elif fit < 1.0:
            self._fall(CUT * fit, ceiling=0.0)  # a queue refuses nothing: there is no ceiling to be careful of
        elif answered and place.at <= self._full_at and not self._pulse.resting:
            self._rise()

    def _fall(self, part: float, *, ceiling: float) -> None:
        self._ceiling = ceiling
        self._limit = max(self.minimum, self._limit * part)
        self._era += 1
        self._pulse.restart(self.limit, resting=ceiling == 0.0)

    def _rise(self) -> None:
        """Add what one answer is worth: a whole place at first, later a share that makes a round trip add its part."""
        if self._ceiling == math.inf:
            gain = 1.0
        else:
            share = GENTLE if abs(self._limit - self._ceiling) <= NEAR * self._ceiling else STEEP
            gain = max(share, 0.25 / self._limit)
        self._limit = min(self.maximum, self._limit + gain)
