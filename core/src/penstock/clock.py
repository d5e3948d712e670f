"""The clock of the running event loop: real time in production, whatever the loop says under test."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

import anyio

from penstock.contracts import Clock

__all__ = ["LoopClock", "keeps_real_time"]

SAME_TIME_S = 1.0
"""A loop whose time is this close to `time.monotonic` keeps real time; virtual loops are years away from it."""


def _is_monotonic() -> bool:
    """Whether the running loop's time is `time.monotonic`."""
    return abs(anyio.current_time() - time.monotonic()) < SAME_TIME_S


def keeps_real_time() -> bool:
    """Whether the running loop's timers go by real time, which is the only time that work in threads takes."""
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_run():
        return _is_monotonic()
    testing = sys.modules.get("trio.testing")  # trio counts real time from a random start
    return testing is None or not isinstance(trio.lowlevel.current_clock(), testing.MockClock)


class LoopClock(Clock):
    """Reads the time that the running loop's timers use.

    On a loop that keeps real time that is `time.monotonic`, read directly because some loops cache theirs for a
    millisecond. A loop that keeps a time of its own is asked, and `utc` moves with it.

    Attributes:
        real: whether the loop's time is `time.monotonic`.
    """

    def __init__(self) -> None:
        self._epoch: datetime | None = None
        self.real = _is_monotonic()
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
