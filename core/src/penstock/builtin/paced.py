"""The gate behind every "so much per window": exact in any sliding window, spread evenly, and willing to learn."""

from __future__ import annotations

import math
import random
from abc import abstractmethod

from attrs import define

from penstock.builtin.pacing import Bucket, Mirror, Slice, Throttle, WindowLog
from penstock.contracts import NEVER, Gate, Outcome, Permit
from penstock.errors import ErrorType
from penstock.schema import Demand, GateSnapshot, LimitReading

__all__ = ["PacedGate", "positive"]

BURST_S = 0.75
"""The default burst is what the rate gives in this many seconds: so much less than a server that counts in seconds
allows that jitter on the way may bunch requests and still trip nothing."""

SHARES = 6
"""Some servers check a sixth of the limit in every sixth of the window, such as Azure in 10 seconds of a minute.
The pace keeps to that, and a second log does where it costs little:"""

JITTER_SHARE = 0.02
"""where the jitter is at most this part of a sixth of the window. By as much, at most, is the pace below the limit
while answers do not prove a bucket."""

SMALL = 1 / 40
"""and where no recent amount is more than this part of a sixth of the limit, so that what does not fit is little."""

SOON_S = 1.0
"""A refusal that is over so soon was the doing of jitter, not of a share or a window. Hints may be whole seconds."""

AT_ONCE_S = 1.0
"""A whole burst that passed within this time, at a proven bucket, and was answered, may be twice as large next time."""

FADE = 0.999
"""How slowly the largest recent amount is forgotten, per admission."""

JITTER_S = 0.2
"""How much the way to the server may vary, in seconds; requests sent a window and this much apart arrive apart."""

FREEZE_S = 1.0
"""How long a refusal without a hint stops the gate; twice as long for each further one in a row."""

LONGEST_FREEZE_S = 30.0
"""The most that a refusal without a hint stops it."""

LONGEST_HINT_S = 600.0
"""The most that a hint stops it; a longer one is a matter of days and quotas, which each request may find out."""

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
    slices: tuple[Slice, ...]
    gate: PacedGate

    def settle(self, outcome: Outcome, now: float) -> None:
        self.gate.settle(self, outcome, now)


class PacedGate(Gate):
    """At most `limit` in any `window_s` seconds, spread evenly with a small burst.

    Two rules hold together. A log of the last window gives exactness: whatever arrives within `jitter_s` of being
    sent, no sliding window at the server sees more than `limit`. A bucket that fills at the same rate paces what the
    log allows, so that servers that enforce their limit per second are not tripped either. Where amounts are small, a
    log of a sixth of the window does the same for servers that check in shorter windows.

    It learns, and only ever towards caution. A refusal (429) freezes it until the server's hint and slows its pace;
    the pace recovers with what is answered. Limits that answers report, and what they say remains, lower what it lets
    through when they prove a bucket, and so do other programs that use the same key. A bucket that is proven takes
    the place of the log: it has no window.

    A demand larger than the whole limit waits until the window is empty, passes alone, and leaves the gate in debt.

    Args:
        limit: amount per window.
        window_s: seconds.
        burst: amount that may pass at once after a pause; None takes three quarters of a second's worth, at least 1.
        jitter_s: seconds by which the way to the server may vary.
        learn: False holds the gate to its arguments whatever the server says.
        name: how it appears in records, for several gates of one kind.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to, with shell wildcards too.
    """

    dimension: str

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
    ) -> None:
        self.limit = positive("limit", limit)
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self._learns = learn
        self._window_s = positive("window_s", window_s)
        rate = limit / window_s
        self._burst = max(1.0, rate * BURST_S) if burst is None else positive("burst", burst)
        self._learns_burst = learn and burst is None
        self._by_share = self._needs_scout = False
        self._scout: Permit | None = None
        self._full_at = -math.inf
        self._emptied_by: Permit | None = None
        self._log = WindowLog(limit, window_s + jitter_s)
        share_s = window_s / SHARES
        shared = burst is None and jitter_s <= JITTER_SHARE * share_s
        self._slack = 1.0 + min(JITTER_SHARE, jitter_s / share_s)
        self._bunch = rate * jitter_s  # the amount by which jitter may bunch what was sent apart
        self._logs = (self._log, WindowLog(limit / SHARES, share_s + jitter_s)) if shared else (self._log,)
        self._largest = 0.0
        self._bucket = Bucket(rate / self._slack, self._burst)
        self._throttle = Throttle()
        self._mirror = Mirror(window_s, jitter_s)
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
        wait = self._bucket.delay(amount, self._throttle.factor)
        if self._frozen_until > now:
            wait = max(wait, self._frozen_until - now)
        elif self._scout is not None:
            return NEVER  # until it is settled
        if self._mirror.proven:
            return max(wait, self._mirror.delay(amount, now))
        for log in self._logs:
            if log.used + amount > log.limit and self._obeys(log):
                wait = max(wait, log.delay(amount, now))
        return wait

    def take(self, demand: Demand, now: float) -> Permit:
        """Enter `demand` into the books."""
        self._advance(now)
        amount = self.amount(demand)
        if self._bucket.level >= self._bucket.size:
            self._full_at = now
        self._bucket.take(amount)
        if self._throttle.factor < 1.0:
            self._throttle.admitted()
        self._total += amount
        self._reserved += amount
        self._admitted += 1
        self._largest = max(amount, self._largest * FADE)
        entry = _Entry(now, amount, self._total, tuple([log.add(amount, now) for log in self._logs]), self)
        if self._mirror.proven:
            self._mirror.take(amount, now)
            if self._bucket.level < amount and now - self._full_at < AT_ONCE_S:
                self._emptied_by, self._full_at = entry, -math.inf
        if self._needs_scout:
            self._scout = entry
        return entry

    def settle(self, entry: _Entry, outcome: Outcome, now: float) -> None:
        """Replace what `entry` reserved by what it used, and learn from its outcome."""
        used = self.charged(outcome) if outcome.sent else 0.0
        if used is not None and used != entry.amount:
            self._advance(now)
            surplus = entry.amount - used
            for log, part in zip(self._logs, entry.slices, strict=True):
                log.correct(part, surplus, now)
            self._bucket.take(-surplus)
            entry.amount = used
            if surplus > 0:
                self.changed()
        self._settled += entry.amount
        if entry is self._scout:
            self._scout, self._needs_scout = None, False
            self.changed()
        if self._learns and (outcome.limits or outcome.error_type is not None or self._refusals_in_a_row):
            self._advance(now)
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
            for log in self._logs:
                if log.expires <= now:
                    log.advance(now)
            self._bucket.advance(now, self._throttle.factor)

    def _obeys(self, log: WindowLog) -> bool:
        """Say whether `log` counts: the one of the whole window always, that of a share where it costs little.

        And for a while after a refusal that may have come from a server that checks by the share.
        """
        return log is self._log or self._largest <= SMALL * log.limit or (self._by_share and self._throttle.wary)

    def _learn(self, entry: _Entry, outcome: Outcome, now: float) -> None:
        mine = [reading for reading in outcome.limits if reading.dimension == self.dimension]
        known = self._mirror.limit, self._mirror.proven
        for reading in mine:
            self._mirror.read(reading, sent_since=self._total - entry.total, used=self._log.used, now=now)
        if outcome.error_type is ErrorType.HTTP_429:
            if self._is_mine(outcome.limits, mine, entry.amount):
                self._heed(entry, outcome, mine, now)
        elif outcome.error_type is None:
            self._refusals_in_a_row = 0
            if entry is self._emptied_by and self._learns_burst and self._mirror.proven:
                self._bucket.size = min(self.limit, 2.0 * self._bucket.size)
        if known != (self._mirror.limit, self._mirror.proven):
            self._follow(self._mirror.limit)

    def _is_mine(self, readings: tuple[LimitReading, ...], mine: list[LimitReading], amount: float) -> bool:
        """Say whether a refusal was for this gate's dimension: for another one when only that has run out."""
        if _are_short(mine, amount):
            return True
        return not any(reading.remaining is not None and reading.remaining <= 0 for reading in readings)

    def _heed(self, entry: _Entry, outcome: Outcome, mine: list[LimitReading], now: float) -> None:
        """Stop until the server's hint: once per event, for everyone; and dare less."""
        self._refused += 1
        if self._mirror.proven and not _are_short(mine, entry.amount):
            self._mirror.doubt()  # it was the bucket that deceived, and what was dared for its sake is over
            self._throttle.spare(now)
            self._refusals_in_a_row = 1
        else:
            hint = outcome.retry_after_s
            by_jitter = hint is not None and hint <= SOON_S
            apart = self._largest / (self._largest + self._bunch) if by_jitter or hint is None else 1.0
            if self._throttle.refused(entry.at, now, apart=apart):
                self._refusals_in_a_row += 1
                self._by_share = not by_jitter
        self._freeze(outcome.retry_after_s, now)

    def _freeze(self, hint: float | None, now: float) -> None:
        self._needs_scout = hint is None
        if hint is None:
            hint = min(LONGEST_FREEZE_S, FREEZE_S * 2.0 ** min(self._refusals_in_a_row - 1, 10))
        late = 1.0 + FREEZE_JITTER * random.random()  # noqa: S311  # spreads wake-ups, guards nothing
        self._frozen_until = max(self._frozen_until, now + min(hint, LONGEST_HINT_S) * late)

    def _follow(self, stated: float | None) -> None:
        """Follow the limit that answers state, up to the configured one, and at the whole rate while it is proven."""
        limit = self.limit if stated is None else min(self.limit, stated)
        self._log.limit = limit
        for log in self._logs[1:]:
            log.limit = limit / SHARES
        self._bucket.rate = limit / self._window_s / (1.0 if self._mirror.proven else self._slack)
        if not self._mirror.proven:
            self._bucket.size = self._burst
        self.changed()


def _are_short(readings: list[LimitReading], amount: float) -> bool:
    """Whether a reading says that `amount` was not there."""
    return any(reading.remaining is not None and reading.remaining < amount for reading in readings)
