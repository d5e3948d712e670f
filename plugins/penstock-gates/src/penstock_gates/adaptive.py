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
"""What a congestion leaves of the limit."""

STEEP, GENTLE = 0.05, 0.002
"""The part by which the limit rises while each of its places is used once: far from the ceiling, and near it."""

NEAR = 0.05
"""So near the limit that was last too much, as a part of it, the rise is gentle. Beyond, it is steep again: the server
has grown."""

LEAST_BATCH = 50
"""Latency is judged by the mean of so many calls, or of as many as are allowed at once: answers differ in length."""

RECENT_BATCHES = 100
"""The least mean of so many batches is how long calls take when the server is not busy."""

FLAT = 0.9
"""While a cut brings the mean below this part of the one before, the server still had a queue, and is cut again."""


@define(eq=False)
class Pulse:
    """Notices when calls wait within the server: their mean latency is `slowdown` times the least of late."""

    slowdown: float
    recovering: bool = False
    _sum: float = 0.0
    _count: int = 0
    _before: float = math.inf
    _means: deque[float] = field(factory=lambda: deque(maxlen=RECENT_BATCHES))

    def too_slow(self, latency_s: float, batch: int) -> bool:
        """Take note of a call; at the end of a batch of them, say whether the server has too much to do."""
        self._sum += latency_s
        self._count += 1
        if self._count < batch:
            return False
        mean = self._sum / self._count
        self.restart()
        self._means.append(mean)
        slow = mean < FLAT * self._before if self.recovering else mean > self.slowdown * min(self._means)
        self.recovering, self._before = slow, mean
        return slow

    def restart(self) -> None:
        """Forget the calls of an unfinished batch."""
        self._sum, self._count = 0.0, 0


@define(eq=False)
class _Place(Permit):
    gate: AdaptiveGate
    at: float
    places: int

    def settle(self, outcome: Outcome, now: float) -> None:
        self.gate.settle(self, outcome, now)


class AdaptiveGate(Gate):
    """As many calls at once as the server bears: doubles at first, then rises slowly, and falls by a fifth.

    It falls once per congestion: a 429, an overloaded server or a timeout, or answers that take `slowdown` times as
    long as they did when the server was not busy. Calls sent before the last fall belong to the same congestion. It
    rises by answers to calls that were under way while every place was taken; a limit that nobody reaches proves
    nothing. Near the limit that was last too much it rises gently. A provider's hint does not freeze it.

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
        self._cut_at = self._full_at = -math.inf
        self._pulse = Pulse(slowdown)
        self._admitted = self._refused = 0

    @property
    def limit(self) -> int:
        """How many calls it allows at once now."""
        return int(self._limit)

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # places are freed by calls, not by time
        """Return 0 while there is a place; otherwise wait for one to be given back."""
        return 0.0 if self.in_flight + min(demand.requests, self.limit) <= self.limit else NEVER

    def take(self, demand: Demand, now: float) -> Permit:
        """Take a place."""
        self.in_flight += demand.requests
        self._admitted += 1
        if self.in_flight >= self.limit:
            self._full_at = now
        return _Place(self, now, demand.requests)

    def settle(self, place: _Place, outcome: Outcome, now: float) -> None:
        """Give a place back, and learn from how the call went."""
        self.in_flight -= place.places
        self._refused += outcome.error_type is ErrorType.HTTP_429
        if outcome.sent and place.at > self._cut_at:
            self._learn(place, outcome, now)
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

    def _learn(self, place: _Place, outcome: Outcome, now: float) -> None:
        if outcome.error_type in CONGESTED:
            self._fall(now)
        elif outcome.error_type is None:
            if self._pulse.too_slow(outcome.latency_s, max(LEAST_BATCH, self.limit)):
                self._fall(now)
            elif place.at <= self._full_at and not self._pulse.recovering:
                self._rise()

    def _fall(self, now: float) -> None:
        self._ceiling = self._limit
        self._limit = max(self.minimum, self._limit * CUT)
        self._cut_at = now
        self._pulse.restart()

    def _rise(self) -> None:
        """Add what one answer is worth: a whole place at first, later a share that makes a round trip add its part."""
        if self._ceiling == math.inf:
            gain = 1.0
        else:
            share = GENTLE if abs(self._limit - self._ceiling) <= NEAR * self._ceiling else STEEP
            gain = max(share, 0.25 / self._limit)
        self._limit = min(self.maximum, self._limit + gain)
