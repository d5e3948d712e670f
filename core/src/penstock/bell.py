"""How a task waits for another on the running event loop, be it asyncio's or trio's."""

from __future__ import annotations

import math

import anyio

__all__ = ["LoopBell"]


class LoopBell:
    """A `penstock.contracts.Bell` by the timers of the running loop."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """End the wait; or the next one, if nobody waits."""
        self._event.set()

    async def wait(self, at_most_s: float) -> None:
        """Wait until it rings, `at_most_s` seconds at most. It may be waited for again."""
        if at_most_s < math.inf:
            with anyio.move_on_after(at_most_s):
                await self._event.wait()
        else:
            await self._event.wait()
        if self._event.is_set():
            self._event = anyio.Event()
