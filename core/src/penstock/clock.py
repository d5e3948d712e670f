"""The clock of the running event loop: real time in production, whatever the loop says under test."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import anyio

from penstock.contracts import Clock

__all__ = ["LoopClock"]

SAME_TIME_S = 1.0
"""A loop whose time is this close to `time.monotonic` keeps real time; virtual loops are years away from it."""


class LoopClock(Clock):
    """Reads the time that the running loop's timers use.

    On a loop that keeps real time that is `time.monotonic`, read directly because some loops cache theirs for a
    millisecond. A loop that keeps a time of its own is asked, and `utc` moves with it.

    Attributes:
        real: whether the loop keeps real time.
    """

    def __init__(self) -> None:
        self._epoch: datetime | None = None
        self.real = abs(anyio.current_time() - time.monotonic()) < SAME_TIME_S
        if self.real:
            self.now = time.monotonic  # type: ignore[method-assign]  # read twenty times a request: one call less each
        else:
            self._epoch = datetime.now(UTC) - timedelta(seconds=anyio.current_time())

    def now(self) -> float:
        """Return monotonic seconds on the loop's scale."""
        return anyio.current_time()

    def utc(self) -> datetime:
        """Return the wall clock's time, or virtual time counted from when the clock was made."""
        return datetime.now(UTC) if self._epoch is None else self._epoch + timedelta(seconds=self.now())
