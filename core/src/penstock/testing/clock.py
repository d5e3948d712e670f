"""Time under a test's control: a clock to turn by hand, and an asyncio loop that jumps from timer to timer."""

from __future__ import annotations

import asyncio
import selectors
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from anyio import to_thread

from penstock.contracts import Clock

__all__ = ["ManualClock", "VirtualTimeLoop", "virtual_time"]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
AWAY_FROM_REAL_TIME_S = 1_000_000.0
"""So far from `time.monotonic` does virtual time begin that nobody can take the one for the other."""

TURNS_PER_POLL = 32
"""How many turns of a busy virtual loop go by between looks at its files: a look costs more than most turns."""

PATIENCE_S = 1.0
"""Seconds for which a thread at work is really waited for before time passes: one may wait for that very thing."""


class ManualClock(Clock):
    """Stands still until it is told to `advance`."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = self._start = now

    def now(self) -> float:
        """Return the seconds that the test has let pass."""
        return self._now

    def utc(self) -> datetime:
        """Return that time as a date in 2026."""
        return EPOCH + timedelta(seconds=self._now - self._start)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps while there is a timer: instead of waiting for it, it lets the time pass."""

    passed = 0.0
    _turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if timeout == 0 and self._turns % TURNS_PER_POLL:
            return []  # there is work to do at once; files are looked at now and then
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        if to_thread.current_default_thread_limiter().borrowed_tokens and (ready := super().select(PATIENCE_S)):
            return ready
        self.passed += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on which an hour of timers takes a moment, in the right order.

    Use it as `anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop})`. Work in anyio's threads takes no
    virtual time, unless it takes more than a second: while there is some, the loop really waits before it jumps. trio's
    clock does not.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._origin = time.monotonic() + AWAY_FROM_REAL_TIME_S
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual monotonic seconds."""
        return self._origin + self._jumping.passed


def virtual_time(backend: str) -> dict[str, Any]:
    """Return anyio's options for a loop of `backend`, "asyncio" or "trio", on which waiting takes a moment."""
    if backend == "asyncio":
        return {"loop_factory": VirtualTimeLoop}
    from trio.testing import MockClock  # late: trio is optional

    return {"clock": MockClock(autojump_threshold=0)}
