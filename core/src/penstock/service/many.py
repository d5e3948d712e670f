"""Many requests, lazily: a bounded number under way, whatever the length of the input."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Self

import anyio
from anyio import from_thread, to_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import EventLoopToken, current_token

from penstock.schema import GenerationResult
from penstock.service.home import Home

__all__ = ["HomeFeed", "ResultStream", "Source"]

Source = Iterable[Any] | AsyncIterable[Any]
Work = Callable[[Any], Awaitable[GenerationResult]]


class HomeFeed:
    """The half that lives on the home loop: workers pull requests and put results, at most `limit` of them unread.

    Workers are hired one by one as long as there is input, so a short list costs few, and a long one is never read
    further ahead than `limit`. When the input raises, what is under way is still answered; then `next` raises.
    """

    def __init__(self, source: AsyncGenerator[Any, None], work: Work, *, limit: int, ordered: bool) -> None:
        self._source = source
        self._work = work
        self._limit = limit
        self._ordered = ordered
        self._crew = anyio.create_task_group()
        self._hired = self._pulled = self._given = 0
        self._slots = anyio.Semaphore(limit, fast_acquire=True)
        self._pulling = anyio.Lock(fast_acquire=True)
        self._exhausted = False
        self._error: Exception | None = None
        self._early: dict[int, GenerationResult] = {}
        self._send, self._receive = anyio.create_memory_object_stream[tuple[int, GenerationResult]](limit)

    async def run(self) -> None:
        """Work until the input is exhausted or the feed is cancelled."""
        try:
            with self._send:
                async with aclosing(self._source), self._crew:
                    self._hire()
        except BaseException:  # the service itself ends: nobody will read any more
            self._receive.close()
            raise

    def cancel(self) -> None:
        """Stop pulling and cancel what is under way."""
        self._crew.cancel_scope.cancel()
        self._receive.close()

    async def next(self) -> GenerationResult | None:
        """Return the next result; None at the end. Raises what the input raised."""
        while self._given not in self._early:
            try:
                number, result = await self._receive.receive()  # goes round the loop: a busy reader holds nobody up
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                self._receive.close()
                if self._error is not None:
                    raise self._error from None
                return None
            self._early[number if self._ordered else self._given] = result
        result = self._early.pop(self._given)
        self._given += 1
        self._slots.release()
        return result

    def _hire(self) -> None:
        if self._hired < self._limit:
            self._hired += 1
            self._crew.start_soon(self._labour)

    async def _labour(self) -> None:
        while True:
            await self._slots.acquire()
            pulled = await self._pull()
            if pulled is None:
                self._slots.release()
                return
            self._hire()
            number, request = pulled
            result = await self._work(request)
            with suppress(anyio.BrokenResourceError):  # the reader has left, and this worker is about to be cancelled
                self._send.send_nowait((number, result))

    async def _pull(self) -> tuple[int, Any] | None:
        """Return the next request with its number; None when the input has ended, in whatever way."""
        async with self._pulling:
            if self._exhausted:
                return None
            try:
                request = await anext(self._source)
            except StopAsyncIteration:
                self._exhausted = True
                return None
            except Exception as error:  # noqa: BLE001  # the caller's input: told to the caller, after the rest
                self._exhausted, self._error = True, error
                return None
            self._pulled += 1
            return self._pulled - 1, request


class ResultStream:
    """The results of many requests, for `async for`, and from sync code for `for`.

    Leaving the loop early cancels what is under way.
    """

    def __init__(
        self,
        home: Home,
        source: Source,
        *,
        start: Callable[[], None],
        make: Callable[[AsyncGenerator[Any, None]], HomeFeed],
        tasks: Callable[[], TaskGroup],
    ) -> None:
        self._home = home
        self._source = source
        self._start = start
        self._make = make
        self._tasks = tasks
        self._feed: HomeFeed | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationResult:
        if self._feed is None:
            self._start()
            self._feed = await self._home.run(self._open, None if self._home.is_here else current_token())
        result = await self._home.run(self._feed.next)
        if result is None:
            raise StopAsyncIteration
        return result

    def __iter__(self) -> Generator[GenerationResult, None, None]:
        self._start()
        self._feed = feed = self._home.run_sync(self._open, None)
        while (result := self._home.run_sync(feed.next)) is not None:
            yield result

    def __del__(self) -> None:
        if self._feed is not None:
            self._home.tell(self._feed.cancel)

    async def _open(self, caller: EventLoopToken | None) -> HomeFeed:
        feed = self._make(_each(self._source, caller))
        self._tasks().start_soon(feed.run)
        return feed


async def _each(source: Source, caller: EventLoopToken | None) -> AsyncGenerator[Any, None]:
    """Iterate `source` at home; an async one that belongs to another loop is asked over there, item by item."""
    if not isinstance(source, AsyncIterable):
        for item in source:
            yield item
    elif caller is None:
        async for item in source:
            yield item
    else:
        items = aiter(source)
        ask = partial(from_thread.run, _next_of, items, token=caller)
        while found := await to_thread.run_sync(ask, abandon_on_cancel=True):
            yield found[0]


async def _next_of(items: AsyncIterator[Any]) -> tuple[Any, ...]:
    """Return the next item as a tuple of one; an empty tuple at the end."""
    try:
        return (await anext(items),)
    except StopAsyncIteration:
        return ()
