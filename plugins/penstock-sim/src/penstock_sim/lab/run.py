"""One experiment from start to report, in virtual time."""

from __future__ import annotations

import gc
import random
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from penstock.schema import GateSnapshot
from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.crew import Crew
from penstock_sim.lab.ideal import ideal_of
from penstock_sim.lab.report import LabReport, dimension_reports, gate_reports, per_thousand
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.through_gates import run_through_gates
from penstock_sim.lab.through_service import run_through_service

__all__ = ["run_lab"]


def run_lab(config: LabConfig) -> LabReport:
    """Run an experiment and return its figures; with a `backend`, on a loop of its own, so not from a running one.

    The same config gives the same figures, but for the real time taken: Python's global random numbers, of which gates
    and retries draw their waits, are seeded for the run and then put back.
    """
    began = time.perf_counter()
    server = LabServer(config)
    crews: Sequence[Crew]
    with _randomness_from(config.seed), _rare_collections():
        if config.backend is None:
            crews, gates = run_through_gates(config, server)
        else:
            crews, gates = run_through_service(config, server, config.backend)
    return _report(config, server, crews, gates, wall_s=time.perf_counter() - began)


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


def _report(
    config: LabConfig, server: LabServer, crews: Sequence[Crew], gates: tuple[GateSnapshot, ...], *, wall_s: float
) -> LabReport:
    waits_s: dict[str, array[float]] = {}
    for crew in crews:
        for name, waits in crew.waits_s.items():
            waits_s.setdefault(name, array("d")).extend(waits)
    dimensions = dimension_reports(config, server, ideal_of(config))
    sent, refused = sum(server.sent), sum(server.refused)
    return LabReport(
        server=config.server,
        minutes=config.minutes,
        sizes=str(config.sizes),
        jitter_s=config.jitter_s,
        latency_s=config.latency_s,
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
        sent_by_client=tuple(crew.sent for crew in crews),
        given_up=sum(crew.given_up for crew in crews),
        most_in_flight=sum(crew.most_in_flight for crew in crews),
        most_waiting=max(crew.most_waiting for crew in crews),
        wall_s=wall_s,
    )
