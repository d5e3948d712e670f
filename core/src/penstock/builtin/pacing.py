"""The arithmetic inside a paced gate. Each part is plain state and `now`; none knows the others.

A log that is exact, a bucket that spreads, a throttle that learns from refusals, a mirror of the server's own bucket.
"""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

from penstock.schema import LimitReading

__all__ = ["Bucket", "Mirror", "Slice", "Throttle", "WindowLog"]

ROUNDING = 1e-9
"""Amounts this close to each other are the same; sums of floats are not exact."""

SLICES = 1000
"""A window's log has at most about this many entries: admissions within a thousandth of a window share one, which
counts as late as its latest admission. The log stays exact to the safe side, at a cost of 0.1 % of the limit."""

CUTS = (0.985, 0.93, 0.92, 0.85)
"""What the first, second, third and every further refusal of a series leaves of the pace. One refusal often means that
jitter bunched a few requests, which a little less pace cures; more of them mean less room, or another program."""

DEEPEST_FIRST = 0.8
"""A first cut that keeps any two requests apart, whatever jitter does, may leave so little of the pace, and no less."""

SERIES = 500
"""Refusals fewer than so many admissions apart belong to one series."""

LOWEST = 0.05
"""The pace never falls below this part of the limit, so that a recovery is noticed."""

STEP = 20
"""The pace is reconsidered after so many admissions without a refusal."""

CREEP, STRIDE = 1.001, 1.02
"""By what the pace rises at each step: slowly near the pace that was refused, faster where there is room."""

NEAR = 0.85
"""Below this part of the refused pace there is room."""

CONSISTENT = 5
"""So many readings in a row must agree with a bucket that refills continuously before they are believed."""

TOLERANCE = 0.15
"""By which part a reading may miss the bucket's formula: resets are rounded to milliseconds, and clocks differ."""


@define(eq=False)
class Slice:
    """Admissions of about the same moment."""

    since: float
    at: float
    amount: float


@define(eq=False)
class WindowLog:
    """What was admitted in the last `window_s` seconds, so that no window ever holds more than `limit`.

    Attributes:
        used: the sum of what it holds.
        expires: when its oldest entry leaves the window; `advance` has nothing to do before.
    """

    limit: float
    window_s: float
    used: float = 0.0
    expires: float = math.inf
    _slices: deque[Slice] = field(factory=deque)

    def advance(self, now: float) -> None:
        """Forget what has left the window: an entry exactly one window old is out."""
        slices = self._slices
        while slices and slices[0].at <= now - self.window_s:
            self.used -= slices.popleft().amount
        if slices:
            self.expires = slices[0].at + self.window_s
        else:
            self.used, self.expires = 0.0, math.inf  # drop what rounding left behind

    def delay(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` fits; an amount larger than the limit fits an empty window."""
        excess = self.used + min(amount, self.limit) - self.limit
        if excess <= ROUNDING:
            return 0.0
        for entry in self._slices:
            excess -= entry.amount
            if excess <= ROUNDING:
                return entry.at + self.window_s - now
        return self._slices[-1].at + self.window_s - now

    def add(self, amount: float, now: float) -> Slice:
        """Enter `amount` and return the slice that holds it."""
        slices = self._slices
        self.used += amount
        if slices and now - slices[-1].since < self.window_s / SLICES:
            last = slices[-1]
            last.at = now
            last.amount += amount
        else:
            last = Slice(now, now, amount)
            slices.append(last)
        if len(slices) == 1:
            self.expires = now + self.window_s
        return last

    def correct(self, entry: Slice, surplus: float, now: float) -> None:
        """Take `surplus` out of a slice; after it has left the window there is nothing to take it from."""
        entry.amount -= surplus
        if entry.at > now - self.window_s:
            self.used -= surplus


@define(eq=False)
class Bucket:
    """A level that rises at `rate` up to `size`. It may go below zero: a debt that time pays."""

    rate: float
    size: float
    level: float = field(init=False)
    _at: float = -math.inf

    def __attrs_post_init__(self) -> None:
        self.level = self.size

    def advance(self, now: float, factor: float = 1.0) -> None:
        """Let the level rise until `now` at `factor` times the rate."""
        if now > self._at:
            self.level = min(self.size, self.level + (now - self._at) * self.rate * factor)
            self._at = now

    def delay(self, amount: float, factor: float = 1.0) -> float:
        """Return the seconds until `amount` is there; a larger one than the bucket waits for a full bucket."""
        missing = min(amount, self.size) - self.level
        return missing / (self.rate * factor) if missing > ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Lower the level; a negative amount gives back."""
        self.level = min(self.size, self.level - amount)


@define(eq=False)
class Throttle:
    """Which part of its rate a gate dares to use: all of it until it is refused, then less, and slowly more again.

    Refusals of requests that were sent before the last cut belong to the same event and cut nothing.
    """

    factor: float = 1.0
    ceiling: float = 1.0
    _cut_at: float = -math.inf
    _clean: int = 0
    _series: int = -1

    def admitted(self) -> None:
        """Count an admission at less than the full pace; every so many, dare a little more."""
        self._clean += 1
        if self._clean % STEP == 0:
            roomy = (
                self._clean > SERIES or self.factor < NEAR * self.ceiling or self.factor > self.ceiling * CREEP**STEP
            )
            self.factor = min(1.0, self.factor * (STRIDE if roomy else CREEP))

    @property
    def wary(self) -> bool:
        """Whether there was a refusal not long ago."""
        return self._series >= 0 and self._clean < SERIES

    def spare(self, now: float) -> None:
        """Count what was sent until now as one event that is dealt with."""
        self._cut_at = now

    def refused(self, sent_at: float, now: float, *, apart: float = 1.0) -> bool:
        """Dare less, unless it was dared before the last cut; say whether this was a new event.

        `apart` is the part of the pace that keeps any two requests apart at the server as well.
        """
        if sent_at <= self._cut_at:
            return False
        self._series = self._series + 1 if self.wary else 0
        self.ceiling = self.factor
        cut = CUTS[min(self._series, len(CUTS) - 1)]
        if not self._series and apart >= DEEPEST_FIRST:
            cut = min(cut, apart)
        self.factor = max(LOWEST, self.factor * cut)
        self._cut_at, self._clean = now, 0
        return True


@define(eq=False)
class Mirror:
    """The server's bucket as its answers describe it, once they prove that there is one.

    A bucket of `limit` that refills in a window says reset = (limit - remaining) / limit * window in every answer.
    Only then is `remaining` a level that can be reckoned with; it is believed downwards only, less what was sent since.
    That a bucket is full proves something only where a window would not be empty.

    Attributes:
        limit: what the server allows per window, by its latest consistent answer; None while nothing was proven.
    """

    window_s: float
    jitter_s: float
    limit: float | None = None
    _streak: int = 0
    _bucket: Bucket | None = None

    @property
    def proven(self) -> bool:
        """Whether answers have proved that there is a bucket."""
        return self._bucket is not None

    def doubt(self) -> None:
        """Believe in no bucket until many more answers agree with one: the server refused what it says it has."""
        self._streak, self._bucket = -SERIES, None

    def read(self, reading: LimitReading, *, sent_since: float, used: float, now: float) -> None:
        """Learn from an answer.

        Args:
            reading: what it says.
            sent_since: what was admitted after the request that it answers.
            used: what was admitted in the last window.
            now: monotonic seconds.
        """
        limit, remaining, reset = reading.limit, reading.remaining, reading.reset_s
        if not limit or remaining is None or reset is None or (remaining >= limit and used < limit / 2):
            return
        expected = max(0.0, limit - remaining) / limit * self.window_s
        miss = max(0.002, TOLERANCE * expected)
        if not expected - self.window_s / limit - miss <= reset <= expected + miss:  # `remaining` is rounded down
            self._streak, self.limit, self._bucket = min(0, self._streak), None, None
            return
        if self._bucket is None and expected > self.window_s / 2:
            return  # of a limit that is almost used up, a window says the same
        self._streak += 1
        if self.limit is not None and self._bucket is None:
            self.limit = limit
        if self._streak < CONSISTENT:
            return
        rate = limit / self.window_s
        if self._bucket is None or self.limit != limit:
            self.limit, self._bucket = limit, Bucket(rate, limit)
        level = remaining - sent_since - rate * self.jitter_s
        self._bucket.advance(now)
        self._bucket.level = min(self._bucket.level, level)

    def delay(self, amount: float, now: float) -> float:
        """Return the seconds until the server's bucket holds `amount`; 0 while it is unknown."""
        if self._bucket is None:
            return 0.0
        self._bucket.advance(now)
        return self._bucket.delay(amount)

    def take(self, amount: float, now: float) -> None:
        """Take `amount` from what the server is believed to have."""
        if self._bucket is not None:
            self._bucket.advance(now)
            self._bucket.take(amount)
