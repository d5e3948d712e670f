"""What lives on a service's home loop: the engine with its gates, books and tasks, from start to clean close."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from penstock.admission import Admission
from penstock.clock import LoopClock
from penstock.contracts import Gate
from penstock.costs import load_prices
from penstock.engine import Engine
from penstock.errors import ErrorType, ProviderError
from penstock.flight import new_trace_id
from penstock.schema import GenerationRequest, GenerationResult, StatsSnapshot, request_from
from penstock.service.books import Books
from penstock.service.routing import Routes

__all__ = ["Request", "Works", "refusal"]

Request = GenerationRequest | str | Mapping[str, Any]

LAST_WORDS_S = 1.0
"""How long a service that ends by an exception waits for calls that are not its own to cancel."""


class Works:
    """The working half of a service. Everything here runs on one event loop, so nothing needs a lock.

    Args:
        gates: what every attempt passes.
        routes: finds providers; they are closed with the works.
        books: gets everything on record; its sinks are drained and closed with the works.
        make_engine: makes the engine from a clock and an admission.
        logger: takes what goes wrong while closing.
    """

    def __init__(
        self,
        *,
        gates: Sequence[Gate],
        routes: Routes,
        books: Books,
        make_engine: Callable[[LoopClock, Admission], Engine],
        logger: logging.Logger,
    ) -> None:
        self.closed = False
        self.hurried = False  # set to end without waiting for what is under way
        self.gates = tuple(gates)
        self._routes = routes
        self._books = books
        self._make_engine = make_engine
        self._logger = logger
        self._engine: Engine | None = None
        self._tasks: TaskGroup | None = None
        self._under_way = 0
        self._idle = anyio.Event()
        self._last_snapshot: StatsSnapshot | None = None

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None, None]:
        """Be alive on the running loop; on the way out wait for what is under way, then close everything."""
        clock = LoopClock()
        await to_thread.run_sync(load_prices)  # now, so that the first request does not stall the loop with an import
        async with anyio.create_task_group() as self._tasks:
            self._engine = self._make_engine(clock, Admission(self.gates, clock, logger=self._logger))
            self._tasks.start_soon(self._engine.watch.run)
            self._books.report(self.snapshot, clock.now())
            try:
                yield
                self.closed = True
                if not self.hurried:
                    await self._drain()
            finally:
                self.closed = True
                self._tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._shut()

    @property
    def tasks(self) -> TaskGroup:
        """Where streams and feeds run. Raises RuntimeError once the service is closed."""
        if self._tasks is None or self.closed:
            raise RuntimeError("the service is closed")
        return self._tasks

    async def generate(self, request: Request, **options: Any) -> GenerationResult:
        """Run one request, whatever it is; `options` are those of `Engine.run`."""
        engine = self._engine
        if self.closed or engine is None:
            return refusal(request, ErrorType.SERVICE_CLOSED, "the service is closed")
        try:
            work = request_from(request)
        except Exception as error:  # noqa: BLE001  # whatever was passed, the caller gets a result
            return engine.refuse(_shown(request), ProviderError(str(error), ErrorType.INVALID_REQUEST))
        self._under_way += 1
        try:
            return await engine.run(work, **options)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def snapshot(self) -> StatsSnapshot:
        """Return the figures of this moment; after the close, those of the end."""
        engine = self._engine
        if self._last_snapshot is not None:
            return self._last_snapshot
        if engine is None:
            return StatsSnapshot(
                at=datetime.now(UTC), uptime_s=0.0, gates=tuple(gate.snapshot(0.0) for gate in self.gates)
            )
        now = engine.clock.now()
        return self._books.meter.snapshot(
            now=now,
            at=engine.clock.utc(),
            waiting=engine.admission.waiting,
            gates=engine.admission.snapshot(now),
            sinks=tuple(pump.snapshot() for pump in self._books.pumps),
        )

    async def _drain(self) -> None:
        while self._under_way:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def _shut(self) -> None:
        """Close what was opened, each thing whatever becomes of the others.

        Calls that other tasks still wait for lose their provider here, and get a moment to put that on record.
        """
        for provider in self._routes.built:
            try:
                await provider.aclose()
            except Exception:  # a plugin that cannot close must not keep the others open
                self._logger.exception("provider %r could not be closed", provider.name)
        with anyio.move_on_after(LAST_WORDS_S):
            await self._drain()
        self._books.last_report()
        await to_thread.run_sync(self._books.close)
        self._last_snapshot = self.snapshot()


def refusal(request: object, error_type: ErrorType, message: str) -> GenerationResult:
    """Return the result of a request that never got under way."""
    return GenerationResult(
        success=False, trace_id=new_trace_id(), request=_shown(request), error_type=error_type, error_message=message
    )


def _shown(request: object) -> GenerationRequest:
    """Return `request`, or what stands for something that is none in a result."""
    return request if isinstance(request, GenerationRequest) else GenerationRequest(prompt=str(request))
