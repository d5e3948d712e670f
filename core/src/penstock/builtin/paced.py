"""The gate behind every "so much per window": exact in any sliding window, spread evenly, and willing to learn."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Callable

from attrs import define

from penstock.builtin.pacing import Bucket, Mirror, Slice, Throttle, WindowLog
from penstock.contracts import Gate, Outcome, Permit
from penstock.errors import ErrorType
from penstock.schema import Demand, GateSnapshot, LimitReading

__all__ = ["PacedGate", "positive"]

BURST_S = 0.5
"""The default burst is what the rate gives in this many seconds: half of what a server that counts in seconds allows,
so that jitter on the way may bunch requests and still trip nothing."""

JITTER_S = 0.2
"""How much the way to the server may vary, in seconds; requests sent a window and this much apart arrive apart."""

FREEZE_S = 1.0
"""How long a refusal without a hint stops the gate; twice as long for each further one in a row."""

LONGEST_FREEZE_S = 30.0
"""The most that a refusal without a hint stops it."""

FREEZE_JITTER = 0.1
"""The part of a freeze that is added at random, so that clients refused together do not come back together."""


def positive(name: str, value: float) -> float:
    """Return `value`; raise ValueError naming `name` unless it is a positive, finite number."""
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be a positive number, got {value!r}; leave the gate out for no limit")
    return value


@define(eq=False)
class _Entry(Permit):
    """One admitted attempt: its place in the log, and at the same time its permit. `total` counts all before it."""

    at: float
    amount: float
    total: float
    slice: Slice
    gate: PacedGate

    def settle(self, outcome: Outcome, now: float) -> None:
        self.gate.settle(self, outcome, now)


class PacedGate(Gate):
    """At most `limit` in any `window_s` seconds, spread evenly with a small burst.

    Two rules hold together. A log of the last window gives exactness: whatever arrives within `jitter_s` of being
    sent, no sliding window at the server sees more than `limit`. A bucket that fills at the same rate paces what the
    log allows, so that servers that enforce their limit per second are not tripped either.

    It learns, and only ever towards caution. A refusal (429) freezes it until the server's hint and slows its pace;
    the pace recovers with what is answered. Limits that answers report, and what they say remains, lower what it lets
    through when they prove a bucket, and so do other programs that use the same key.

    A demand larger than the whole limit waits until the window is empty, passes alone, and leaves the gate in debt.

    Args:
        limit: amount per window.
        window_s: seconds.
        burst: amount that may pass at once after a pause; None takes half a second's worth, at least 1.
        jitter_s: seconds by which the way to the server may vary.
        learn: False holds the gate to its arguments whatever the server says.
        name: how it appears in records, for several gates of one kind.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to, with shell wildcards too.
    """

    dimension: str
    heeds_refusals = True

    def __init__(
        self,
        limit: float,
        *,
        window_s: float = 60.0,
        burst: float | None = None,
        jitter_s: float = JITTER_S,
        learn: bool = True,
        name: str | None = None,
        match: str = "*",
        operation: str = "*",
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.limit = positive("limit", limit)
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self.heeds_refusals = learn
        safe_window = positive("window_s", window_s) + jitter_s
        rate = limit / safe_window
        size = max(1.0, rate * BURST_S) if burst is None else positive("burst", burst)
        self._log = WindowLog(limit, safe_window)
        self._bucket = Bucket(rate, size)
        self._throttle = Throttle()
        self._mirror = Mirror(window_s, jitter_s)
        self._draw = draw
        self._now = self._frozen_until = -math.inf
        self._refusals_in_a_row = 0
        self._total = 0.0
        self._reserved = self._settled = 0.0
        self._admitted = self._refused = 0

    @abstractmethod
    def amount(self, demand: Demand) -> float:
        """Return what `demand` takes from the limit."""

    @abstractmethod
    def charged(self, outcome: Outcome) -> float | None:
        """Return what an attempt that was sent has really taken; None when that is unknown or not corrected."""

    def delay(self, demand: Demand, now: float) -> float:
        """Return the seconds until every rule lets `demand` through."""
        self._advance(now)
        amount = self.amount(demand)
        log = self._log
        if (
            amount <= self._bucket.level
            and log.used + amount <= log.limit
            and self._frozen_until <= now
            and not self._mirror.proven
        ):
            return 0.0
        return max(
            self._frozen_until - now,
            self._bucket.delay(amount, self._throttle.factor),
            self._log.delay(amount, now),
            self._mirror.delay(amount, now),
            0.0,
        )

    def take(self, demand: Demand, now: float) -> Permit:
        """Enter `demand` into the books."""
        self._advance(now)
        amount = self.amount(demand)
        self._bucket.take(amount)
        if self._mirror.proven:
            self._mirror.take(amount, now)
        if self._throttle.factor < 1.0:
            self._throttle.admitted()
        self._total += amount
        self._reserved += amount
        self._admitted += 1
        return _Entry(now, amount, self._total, self._log.add(amount, now), self)

    def settle(self, entry: _Entry, outcome: Outcome, now: float) -> None:
        """Replace what `entry` reserved by what it used, and learn from its outcome."""
        self._advance(now)
        used = self.charged(outcome) if outcome.sent else 0.0
        if used is not None and used != entry.amount:
            surplus = entry.amount - used
            self._log.correct(entry.slice, surplus, now)
            self._bucket.take(-surplus)
            entry.amount = used
            if surplus > 0:
                self.changed()
        self._settled += entry.amount
        if self.heeds_refusals and (outcome.limits or outcome.error_type is not None or self._refusals_in_a_row):
            self._learn(entry, outcome, now)

    def snapshot(self, now: float) -> GateSnapshot:
        """Return what the last window used of the limit, and what was learned."""
        self._advance(now)
        return GateSnapshot(
            name=self.name,
            match=self.match,
            limit=self.limit,
            used=self._log.used,
            pace=self._throttle.factor,
            frozen_s=max(0.0, self._frozen_until - now),
            admitted=self._admitted,
            refused=self._refused,
            reserved=self._reserved,
            settled=self._settled,
        )

    def _advance(self, now: float) -> None:
        if now != self._now:
            self._now = now
            self._log.advance(now)
            self._bucket.advance(now, self._throttle.factor)

    def _learn(self, entry: _Entry, outcome: Outcome, now: float) -> None:
        mine = [reading for reading in outcome.limits if reading.dimension == self.dimension]
        for reading in mine:
            self._mirror.read(reading, self._total - entry.total, now)
            self._follow(self._mirror.limit)
        if outcome.error_type is ErrorType.HTTP_429:
            if self._is_mine(outcome.limits, mine, entry.amount):
                self._freeze(entry, outcome, now)
        elif outcome.error_type is None:
            self._refusals_in_a_row = 0

    def _is_mine(self, readings: tuple[LimitReading, ...], mine: list[LimitReading], amount: float) -> bool:
        """Say whether a refusal was for this gate's dimension: for another one when only that has run out."""
        if any(reading.remaining is not None and reading.remaining < amount for reading in mine):
            return True
        return not any(reading.remaining is not None and reading.remaining <= 0 for reading in readings)

    def _freeze(self, entry: _Entry, outcome: Outcome, now: float) -> None:
        """Stop until the server's hint: once per event, for everyone."""
        self._refused += 1
        hint = outcome.retry_after_s
        if self._throttle.refused(entry.at, now):
            self._refusals_in_a_row += 1
        if hint is None:
            hint = min(LONGEST_FREEZE_S, FREEZE_S * 2.0 ** min(self._refusals_in_a_row - 1, 10))
        self._frozen_until = max(self._frozen_until, now + hint * (1.0 + FREEZE_JITTER * self._draw()))

    def _follow(self, reported: float | None) -> None:
        """Follow the limit that answers prove, up to the configured one."""
        limit = self.limit if reported is None else min(self.limit, reported)
        if limit != self._log.limit:
            self._log.limit = limit
            self._bucket.rate = limit / self._log.window_s
            self.changed()
