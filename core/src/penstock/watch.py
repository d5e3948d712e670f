"""One timer for all calls that have the same limit. A timer for each would cost more than most of what it guards."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from penstock.contracts import Clock

__all__ = ["Watch"]


class Watch:
    """Cancels the scopes that are still open `limit_s` seconds after they were entered.

    All limits are alike, so the oldest scope is the next one due: a dict in order of entry is the whole schedule, and
    `run`, one task, sleeps until the oldest is due. What is entered while it sleeps is due later than that.

    Args:
        limit_s: seconds; infinity for no limit.
        clock: tells the time.
        shared: False gives each scope a timer of its own after all. Virtual time needs that: it jumps to the next
            timer, and must find none that nobody waits for.
    """

    def __init__(self, limit_s: float, clock: Clock, *, shared: bool = True) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._shared = shared and limit_s < math.inf
        self._make_scope: Callable[[], anyio.CancelScope] = anyio.CancelScope
        self._due: dict[anyio.CancelScope, float] = {}

    def enter(self, now: float) -> anyio.CancelScope:
        """Return a scope to be entered now; give it to `leave` afterwards."""
        if not self._shared:
            return anyio.CancelScope(deadline=now + self.limit_s)
        scope = self._make_scope()
        self._make_scope = type(scope)  # the loop's own kind, which anyio would look up, and set up twice, each time
        self._due[scope] = now + self.limit_s
        return scope

    def leave(self, scope: anyio.CancelScope) -> None:
        """Forget `scope`: it was left."""
        self._due.pop(scope, None)

    async def run(self) -> None:
        """Cancel what is due, for ever."""
        while self._shared:
            now = self._clock.now()
            for scope, due in list(self._due.items()):
                if due > now:
                    break
                del self._due[scope]
                scope.cancel()
            await anyio.sleep(next(iter(self._due.values()), now + self.limit_s) - now)
