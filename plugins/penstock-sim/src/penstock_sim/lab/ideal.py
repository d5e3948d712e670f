"""The yardstick: a client that knows the server's mind."""

from __future__ import annotations

from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.workload import Workload

__all__ = ["ideal_percent"]


def ideal_percent(config: LabConfig) -> dict[str, float]:
    """Return what one client could have used of the limit that binds it: its dimension, and percent.

    It sends the same requests in the same order, each at the very moment at which the server takes it, over no
    network. Large requests leave room unused even so: a sliding minute of 60,000 tokens has no place for an eighth
    request of 8,000. Output that is charged as it comes is charged with the request here.
    """
    server, workload = LabServer(config), Workload(config, client=0)
    at_s = 0.0
    while True:
        load = workload.next(at_s)
        while wait_s := server.arrive(load, at_s).wait_s:
            at_s += wait_s
            if at_s >= config.duration_s:
                return _percent(config, server)
        server.answer(load, at_s)


def _percent(config: LabConfig, server: LabServer) -> dict[str, float]:
    books = (("requests", config.rpm, server.requests), ("tokens", config.tpm, server.tokens))
    end_s = config.duration_s
    used = {
        name: 100.0 * book.between(0.0, end_s) / config.allowed(limit, 0.0, end_s)
        for name, limit, book in books
        if limit is not None
    }
    binding = max(used, key=lambda name: used[name])
    return {binding: used[binding]}
