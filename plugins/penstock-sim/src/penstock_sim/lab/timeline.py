"""Virtual time without an event loop: what is due next happens next, and time jumps there."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import coroutine
from typing import Any

from penstock.contracts import Clock

__all__ = ["Timeline"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Steps = Coroutine[Any, Any, None]


class Timeline(Clock):
    """A clock that runs what it has been told to, a discrete event simulation: calls at their time, and coroutines.

    Coroutines may wait for the timeline's bells and for nothing else, and so for gates, but not for a network. That is
    what makes it several times as fast as an event loop. Times are seconds since it was made. What is due at the same
    moment happens in the order in which it was said.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()
        self._ready: deque[Steps] = deque()
        self._waiting: set[Steps] = set()
        self._running: Steps | None = None

    def now(self) -> float:
        """Return the seconds that have passed."""
        return self._now

    def utc(self) -> datetime:
        """Return that time as a date in 2026."""
        return _EPOCH + timedelta(seconds=self._now)

    def bell(self) -> _TimelineBell:
        """Return what one coroutine can wait for."""
        return _TimelineBell(self)

    def call(self, do: Callable[..., None], *args: Any, after_s: float) -> None:
        """Call `do` with `args` when `after_s` seconds have passed."""
        heappush(self._due, (self._now + after_s, next(self._numbers), do, args))

    def start(self, steps: Steps) -> None:
        """Have a coroutine run, once everything that is under way at this moment has had its turn."""
        self._ready.append(steps)

    def run(self, until_s: float) -> None:
        """Let time pass until `until_s`; what a call or a coroutine raises comes out here."""
        due, ready = self._due, self._ready
        while True:
            while ready:
                self._step(ready.popleft())
            if not due or due[0][0] >= until_s:
                break
            self._now, _, do, args = heappop(due)
            do(*args)
        self._now = until_s

    def close(self) -> None:
        """Close the coroutines that are not done."""
        for steps in [*self._waiting, *self._ready]:
            steps.close()

    def _step(self, steps: Steps) -> None:
        self._running = steps
        try:  # noqa: SIM105  # contextlib.suppress takes longer than most steps
            steps.send(None)
        except StopIteration:
            pass

    def sleep(self) -> Steps:
        """Note that the coroutine of this moment waits from now on, and return it."""
        steps = self._running
        if steps is None:
            raise RuntimeError("only what the timeline has started can wait for its bells")
        self._waiting.add(steps)
        return steps

    def wake(self, steps: Steps) -> None:
        """Have a coroutine that waits go on."""
        self._waiting.remove(steps)
        self._ready.append(steps)


class _TimelineBell:
    """A bell for one coroutine."""

    __slots__ = ("_rung", "_sleeper", "_timeline", "_wait")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._sleeper: Steps | None = None
        self._rung = False
        self._wait = 0  # a number for each wait, by which the timer of an earlier one is known

    def ring(self) -> None:
        """End the wait; or the next one, if nobody waits."""
        if self._sleeper is None:
            self._rung = True
        else:
            self._timeline.wake(self._sleeper)
            self._sleeper = None

    async def wait(self, at_most_s: float) -> None:
        """Wait until it rings, `at_most_s` seconds at most."""
        if not self._rung:
            self._wait += 1
            self._sleeper = self._timeline.sleep()
            if at_most_s < math.inf:
                self._timeline.call(self._is_over, self._wait, after_s=at_most_s)
            await _to_be_woken()
        self._rung = False

    def _is_over(self, wait: int) -> None:
        if wait == self._wait and self._sleeper is not None:
            self.ring()


@coroutine
def _to_be_woken() -> Generator[None, None, None]:
    yield
