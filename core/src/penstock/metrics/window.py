"""What happened lately: sliding windows on a monotonic clock."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Window"]

MOST_ENTRIES = 100_000


class Window:
    """The events of the last `window_s` seconds and the sum of their amounts; adding one is O(1) amortised.

    An event exactly `window_s` old is out. There are no fixed minutes: each reading looks back from its own `now`.
    Beyond `limit` events the oldest are dropped; rates then come from the shorter time that the rest cover, so they
    stay right unless that many events fall into one instant, where they are a lower bound.

    Attributes:
        times: when each event happened, the oldest first, in the caller's monotonic seconds.
        total: the sum of the amounts of those events.
    """

    __slots__ = ("_amounts", "_cut_at", "_limit", "_window_s", "times", "total")

    def __init__(self, window_s: float = 60.0, *, limit: int = MOST_ENTRIES) -> None:
        if not window_s > 0 or not limit > 0:
            raise ValueError(f"a window needs a length and a limit above 0, not {window_s!r} s and {limit!r} events")
        self._window_s = window_s
        self._limit = limit
        self._cut_at = -math.inf
        self._amounts: deque[int] = deque()
        self.times: deque[float] = deque()
        self.total = 0

    def add(self, now: float, amount: int = 0) -> None:
        """Enter one event; `now` must not be earlier than the last one's."""
        times = self.times
        times.append(now)
        self._amounts.append(amount)
        self.total += amount
        if now - times[0] >= self._window_s or len(times) > self._limit:
            self._trim(now)

    def count_per_minute(self, now: float) -> float:
        """Return how many events a minute there were."""
        self._trim(now)
        return len(self.times) * 60 / self._span_s(now)

    def total_per_minute(self, now: float) -> float:
        """Return how much a minute their amounts came to."""
        self._trim(now)
        return self.total * 60 / self._span_s(now)

    def _span_s(self, now: float) -> float:
        """Return the seconds that the kept events cover."""
        covered = now - self._cut_at
        return covered if 0 < covered < self._window_s else self._window_s

    def _trim(self, now: float) -> None:
        times, amounts, window_s = self.times, self._amounts, self._window_s
        while times and now - times[0] >= window_s:
            times.popleft()
            self.total -= amounts.popleft()
        while len(times) > self._limit:
            self._cut_at = times.popleft()
            self.total -= amounts.popleft()
