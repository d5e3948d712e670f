"""One experiment from start to report, on a loop whose time is virtual."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from array import array
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import anyio

from penstock import Service
from penstock.schema import GateSnapshot
from penstock.testing import VirtualTimeLoop
from penstock_sim.lab.client import Crew, LabProvider
from penstock_sim.lab.config import Backend, LabConfig
from penstock_sim.lab.ideal import ideal_percent
from penstock_sim.lab.report import LabReport, dimension_reports, gate_reports, per_thousand
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.workload import Workload

__all__ = ["run_lab"]


def run_lab(config: LabConfig) -> LabReport:
    """Run an experiment on a loop of its own and return its figures; not from a running loop.

    The same config gives the same figures on the same backend, but for the real time taken: Python's global random
    numbers, of which the engine draws its back-off, are seeded for the run and then put back.
    """
    began = time.perf_counter()
    with _randomness_from(config.seed), _rare_collections():
        found = anyio.run(_experiment, config, backend=config.backend, backend_options=_virtual_time(config.backend))
    return _report(config, *found, wall_s=time.perf_counter() - began)


@contextmanager
def _randomness_from(seed: int) -> Iterator[None]:
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cyclic garbage less often: with thousands of requests in flight that took a quarter of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _virtual_time(backend: Backend) -> dict[str, Any]:
    """Return the options of a loop that jumps from timer to timer."""
    if backend == "asyncio":
        return {"loop_factory": VirtualTimeLoop}
    from trio.testing import MockClock  # late: trio need not be installed for asyncio

    return {"clock": MockClock(autojump_threshold=0)}


async def _experiment(config: LabConfig) -> tuple[LabServer, list[Crew], tuple[GateSnapshot, ...]]:
    """Let the clients loose on the server; return both, and the gates of the first client as they stood at the end."""
    server = LabServer(config)
    # Asked directly: it is read several times a request, and anyio would look up the backend each time.
    now = asyncio.get_running_loop().time if config.backend == "asyncio" else anyio.current_time
    origin_s = now()

    def clock() -> float:
        return now() - origin_s

    async with AsyncExitStack() as stack:
        clients = []
        for client in range(config.clients):
            provider = LabProvider(config, server, clock, client=client)
            service = Service(
                providers=[provider],
                gates=config.gates(),
                retry=config.retry,
                attempt_timeout_s=None,
                costs={config.model: {"input": 0, "output": 0}},
            )
            clients.append((await stack.enter_async_context(service), provider))
        async with anyio.create_task_group() as tasks:
            crews = [
                Crew(config, service, provider, Workload(config, client), tasks=tasks, clock=clock)
                for client, (service, provider) in enumerate(clients)
            ]
            for crew in crews:
                crew.begin()
            await anyio.sleep(config.duration_s)
            snapshot = clients[0][0].snapshot().gates
            tasks.cancel_scope.cancel()
    return server, crews, snapshot


def _report(
    config: LabConfig, server: LabServer, crews: list[Crew], gates: tuple[GateSnapshot, ...], *, wall_s: float
) -> LabReport:
    waits_s: dict[str, array[float]] = {}
    for crew in crews:
        for name, waits in crew.waits_s.items():
            waits_s.setdefault(name, array("d")).extend(waits)
    # Without a token limit all requests are alike, and the limit can be used in full.
    dimensions = dimension_reports(config, server, ideal_percent(config) if config.tpm is not None else {})
    sent, refused = sum(server.sent), sum(server.refused)
    return LabReport(
        server=config.server,
        minutes=config.minutes,
        dimensions=dimensions,
        gates=gate_reports(config, gates, waits_s, sum(crew.finished for crew in crews)),
        binding=max(dimensions, key=lambda each: each.percent).dimension,
        sent=sent,
        answered=sum(server.answered),
        refused=refused,
        refused_per_thousand=per_thousand(refused, sent),
        refused_first=per_thousand(server.refused[0], server.sent[0]),
        refused_steady=per_thousand(sum(server.refused[1:]), sum(server.sent[1:])),
        refused_by_minute=tuple(server.refused),
        sent_by_client=tuple(crew.provider.sent for crew in crews),
        given_up=sum(crew.given_up for crew in crews),
        most_in_flight=sum(crew.provider.most_in_flight for crew in crews),
        most_waiting=max(crew.most_waiting for crew in crews),
        wall_s=wall_s,
    )
