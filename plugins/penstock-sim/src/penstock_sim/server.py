"""The simulated server on a real socket: in this event loop, in a thread of its own, or in a process of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from penstock_sim.config import SimConfig
from penstock_sim.limiters import Clock
from penstock_sim.protocol import Connection
from penstock_sim.simulation import Simulation
from penstock_sim.stats import Stats

try:
    import uvloop
except ImportError:  # the extra "fast" is not installed
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

T = TypeVar("T")

_BACKLOG: Final = 4096


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


class SimServer:
    """A simulated model server, listening while the context is open.

    `async with SimServer(SimConfig(rpm=600)) as server: ... server.url` serves in
    the running asyncio loop; `with SimServer.in_thread(config) as server` serves from
    trio or synchronous code. Entering raises OSError if the address cannot be had, and
    FaultError for faults that do not exist. Leaving stops listening, waits up to
    `grace_s` for answers under way, and closes every connection.
    """

    def __init__(self, config: SimConfig | None = None, *, clock: Clock | None = None) -> None:
        self.config: Final = config or SimConfig()
        self._simulation = Simulation(self.config, clock)
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The address, without a path: `http://127.0.0.1:8080`. OpenAI clients want `/v1` after it."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self._port}"

    @property
    def stats(self) -> Stats:
        """The live counters; read them only."""
        return self._simulation.stats

    def script(self, steps: str) -> None:
        """Set the faults of the next requests, one for each: `"ok*3,429"`. Raises FaultError, and changes nothing.

        May be called from any thread; what is left of an earlier script is dropped.
        """
        self._simulation.script(steps)

    def reset(self) -> None:
        """Start counters, limits and faults again, as `POST /sim/reset` does.

        May be called from any thread while no request is being answered.
        """
        self._simulation.reset()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._simulation, self._connections),
            self.config.host,
            self.config.port,
            backlog=_BACKLOG,
        )
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self._connections):
            connection.stop()
        await self._closed(self.config.grace_s)
        for connection in list(self._connections):
            connection.abort()
        await self._closed(None)

    async def _closed(self, timeout_s: float | None) -> None:
        """Wait until no connection is open, or the time is up."""
        if self._connections:
            await asyncio.wait([connection.closed for connection in self._connections], timeout=timeout_s)

    @classmethod
    @contextmanager
    def in_thread(cls, config: SimConfig | None = None, *, clock: Clock | None = None) -> Iterator[Self]:
        """Serve from a thread with an event loop of its own, until the context is left."""
        server = cls(config, clock=clock)
        runner = _Runner(server)
        runner.start()
        try:
            yield server
        finally:
            runner.stop()


class _Runner:
    """A thread that runs one server on its own loop."""

    def __init__(self, server: SimServer) -> None:
        self._server = server
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="penstock-sim", daemon=True)

    def start(self) -> None:
        """Return when the server listens. Raises what kept it from that."""
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._join()

    def stop(self) -> None:
        """Return when the server has stopped. Raises what went wrong in its thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._join()

    def _join(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        try:
            async with self._server:
                self._started.set()
                await self._end.wait()
        except Exception as error:  # noqa: BLE001  # raised in the thread that waits for it
            self._error = error
        finally:
            self._started.set()
