"""One streamed answer, chunk by chunk, and then its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from penstock.schema import GenerationChunk, GenerationResult
from penstock.service.home import Home

__all__ = ["GenerationStream", "HomeStream"]


class HomeStream:
    """The half of a stream that lives on the home loop: a task runs the request and hands over its chunks.

    The hand-over has no buffer: a slow reader slows the connection down instead of filling memory.
    """

    def __init__(self, generate: Callable[..., Awaitable[GenerationResult]], tasks: TaskGroup) -> None:
        self.result: GenerationResult | None = None
        self._scope = anyio.CancelScope()
        self._finished = anyio.Event()
        self._send: MemoryObjectSendStream[GenerationChunk]
        self._receive: MemoryObjectReceiveStream[GenerationChunk]
        self._send, self._receive = anyio.create_memory_object_stream[GenerationChunk](0)
        tasks.start_soon(self._run, generate)

    async def _run(self, generate: Callable[..., Awaitable[GenerationResult]]) -> None:
        try:
            with self._scope:
                self._done(await generate(deliver=self._send.send, done=self._done))
        finally:
            self._send.close()
            self._finished.set()

    def _done(self, result: GenerationResult) -> None:
        self.result = result

    async def next(self) -> GenerationChunk | None:
        """Return the next chunk; None when there are no more and the result is there."""
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            return None

    async def close(self) -> None:
        """Cut short what still runs, and wait until its books are closed."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._finished.wait()
        self._receive.close()


class GenerationStream:
    """A streamed answer: `async with`, then `async for`; from sync code `with`, then `for`.

    Failures are values here too: chunks end, and `result` says why. Leaving the block early cancels the call,
    settles and prices it by what had arrived, and leaves a result of type `CANCELLED`.
    """

    def __init__(self, home: Home, start: Callable[[], None], make: Callable[[], HomeStream]) -> None:
        self._home = home
        self._start = start
        self._make = make
        self._inner: HomeStream | None = None

    @property
    def result(self) -> GenerationResult:
        """The result; there once the chunks have ended or the block was left. Raises RuntimeError before."""
        if self._inner is None or self._inner.result is None:
            raise RuntimeError("the stream is still under way; its result comes after the last chunk")
        return self._inner.result

    async def __aenter__(self) -> Self:
        self._start()
        self._inner = await self._home.run(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._home.run(self._opened.close)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationChunk:
        chunk = await self._home.run(self._opened.next)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def __enter__(self) -> Self:
        self._start()
        self._inner = self._home.run_sync(self._open)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._home.run_sync(self._opened.close)

    def __iter__(self) -> Generator[GenerationChunk, None, None]:
        while (chunk := self._home.run_sync(self._opened.next)) is not None:
            yield chunk

    async def _open(self) -> HomeStream:
        return self._make()

    @property
    def _opened(self) -> HomeStream:
        if self._inner is None:
            raise RuntimeError("enter the stream first: `async with service.stream(request) as stream:`")
        return self._inner
