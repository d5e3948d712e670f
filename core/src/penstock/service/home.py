"""Where a service's books live: one event loop. Calls from other loops and threads are carried there."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

__all__ = ["Home"]

T = TypeVar("T")

MOST_NAMED = 5
"""How many tasks that were left behind a warning names."""


class Home:
    """The loop of a service: the one that entered it, or a thread's of its own when nobody did.

    Nothing is bound to the loop of a caller, so callers' loops may come and go.
    """

    def __init__(self) -> None:
        self._portal: BlockingPortal | None = None
        self._thread: int | None = None
        self._stack: ExitStack | None = None
        self._lock = threading.Lock()

    @property
    def is_here(self) -> bool:
        """Whether the caller is on the home loop's thread."""
        return self._thread == threading.get_ident()

    @property
    def is_settled(self) -> bool:
        """Whether there is a home."""
        return self._portal is not None

    def settle_here(self, portal: BlockingPortal) -> None:
        """Make the running loop the home; `portal` was made on it."""
        self._portal, self._thread = portal, threading.get_ident()

    def settle_in_thread(self, life: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        """Start a loop on a thread of its own and live there, unless there is a home already.

        `life` runs on that loop until `leave`.
        """
        with self._lock:
            if self._portal is None:
                with ExitStack() as stack:
                    portal = stack.enter_context(start_blocking_portal(name="penstock"))
                    self._thread = portal.call(threading.get_ident)
                    stack.enter_context(portal.wrap_async_context_manager(_telling_what_is_left(life())))
                    self._portal, self._stack = portal, stack.pop_all()

    def leave(self) -> None:
        """End the thread that `settle_in_thread` started, after `life` is over. Does nothing for a borrowed loop."""
        with self._lock:
            stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    async def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `function` at home and return what it returns, from whichever loop this is called."""
        if self.is_here or self._portal is None:
            return await function(*args)
        return await self._portal.call_async(function, *args)

    def run_sync(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `function` at home and block until it returns; an interrupt of the wait cancels it there.

        Raises RuntimeError on the home loop's own thread, which must not block.
        """
        if self._portal is None:
            raise RuntimeError("the service has not been started")
        future = self._portal.start_task_soon(function, *args)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def ask(self, function: Callable[[], T]) -> T:
        """Call a plain function at home and return what it returns, from any thread."""
        if self.is_here or self._portal is None:
            return function()
        return self._portal.call(function)

    def tell(self, function: Callable[[], object]) -> None:
        """Have a plain function called at home, without waiting for it; does nothing once the home is gone."""
        if self.is_here:
            function()
        elif self._portal is not None:
            with suppress(RuntimeError):  # the home is closing, and ends everything itself
                self._portal.start_task_soon(function)

    def forget(self) -> None:
        """There is no home any more."""
        self._portal = self._thread = None


@asynccontextmanager
async def _telling_what_is_left(life: AbstractAsyncContextManager[Any]) -> AsyncGenerator[None, None]:
    """Be alive, on a loop that nobody else uses; a task that outlives that was left behind by a plugin, and is named.

    The loop cancels it when it closes.
    """
    before = {task.id for task in anyio.get_running_tasks()}
    async with life:
        yield
    left = [task.name or "?" for task in anyio.get_running_tasks() if task.id not in before]
    if left:
        logging.getLogger(__name__).warning(
            "%d tasks that a provider or a step started still run when the service closes, and are cancelled: %s",
            len(left),
            ", ".join(sorted(set(left))[:MOST_NAMED]),
        )
