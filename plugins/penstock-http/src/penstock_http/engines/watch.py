"""Time limits for asyncio that cost next to nothing while nothing is late; used by the aiohttp engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from attrs import define, field

from penstock_http.errors import TransportFault, fault_error
from penstock_http.patience import Limit

T = TypeVar("T")


@define(eq=False)
class Watch:
    """Bounds every wait by the same `limit_s`, with one timer for all of them; None bounds nothing.

    All waits being equally long, they end in the order they began, and only the oldest needs a timer. That costs
    1.5 µs a wait; `asyncio.timeout` costs 8 µs. A task may be in one wait at a time.
    """

    fault: TransportFault
    limit_s: float | None
    _deadlines: dict[asyncio.Task[Any], float] = field(factory=dict, init=False)
    _late: set[asyncio.Task[Any]] = field(factory=set, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    async def over(self, waiting: Awaitable[T], url: str) -> T:
        """Await `waiting`. Raises `TransportError` when it takes longer, having cancelled it."""
        task = asyncio.current_task()
        if self.limit_s is None or task is None:
            return await waiting
        cancelling = task.cancelling()
        self._deadlines[task] = deadline = self._loop.time() + self.limit_s
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)
        try:
            return await waiting
        except asyncio.CancelledError:
            if task in self._late and task.cancelling() == cancelling + 1:  # nobody else cancelled it as well
                raise fault_error(self.fault, url, seconds=self.limit_s) from None
            raise
        finally:
            self._deadlines.pop(task, None)
            if task in self._late:
                self._late.remove(task)
                task.uncancel()

    def _look(self) -> None:
        """Cancel what is late, and come back for the oldest of the others."""
        self._timer = None
        now = self._loop.time()
        while self._deadlines:
            task, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._look)
                return
            del self._deadlines[task]
            self._late.add(task)
            task.cancel()


async def within(limit: Limit, waiting: Awaitable[T], url: str) -> T:
    """Await `waiting` for a time of its own. Raises `TransportError` when it takes longer."""
    timer = asyncio.timeout(limit.wait_s)
    try:
        async with timer:
            return await waiting
    except TimeoutError:
        if timer.expired():
            raise fault_error(limit.fault, url, seconds=limit.named_s) from None
        raise  # the engine's own timeout
