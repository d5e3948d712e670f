"""The yardstick: a client that knows the server's mind; and one that knows its kind, but not the network's."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.server import LabServer, Ledger
from penstock_sim.lab.workload import Workload
from penstock_sim.limiters import MINUTE_S, ServerModel

__all__ = ["Ideal", "ideal_of"]

_WINDOWS_S: Final[dict[ServerModel, float]] = {
    "full": MINUTE_S,
    "second": 1.0,
    "sliding": MINUTE_S,
    "fixed": MINUTE_S,
    "tenths": 10.0,
}
"""The seconds' worth that each server holds at once."""

_BUCKETS: Final = ("full", "second")


@frozen
class Ideal:
    """What could have been used of the limit that binds, in percent of what it allows.

    Attributes:
        dimension: "requests" or "tokens".
        percent: in the whole run.
        percent_steady: after the first minute, in which a server may let through what it had saved.
        percent_safe: the most of that which leaves no refusal to chance, whatever jitter does to an even pace.
    """

    dimension: str
    percent: float
    percent_steady: float
    percent_safe: float


def ideal_of(config: LabConfig) -> Ideal:
    """Return what one client could have used of the limit that binds it.

    It sends the same requests in the same order, each at the very moment at which the server takes it, over no
    network. Large requests leave room unused even so: a sliding minute of 60,000 tokens has no place for an eighth
    request of 8,000. Output that is charged as it comes is charged with the request here.
    """
    server, workload = LabServer(config), Workload(config, client=0)
    at_s = 0.0
    while at_s < config.duration_s:
        load = workload.next(at_s)
        while at_s < config.duration_s and (wait_s := server.arrive(load, at_s).wait_s):
            at_s += wait_s
        if at_s < config.duration_s:
            server.answer(load, at_s)
    books = (("requests", config.rpm, server.requests), ("tokens", config.tpm, server.tokens))
    found = [_ideal(config, name, limit, book) for name, limit, book in books if limit is not None]
    return max(found, key=lambda each: each.percent)


def _ideal(config: LabConfig, dimension: str, limit: int, book: Ledger) -> Ideal:
    steady = book.percent(config, limit, *config.steady_s)
    return Ideal(
        dimension=dimension,
        percent=book.percent(config, limit, 0.0, config.duration_s),
        percent_steady=steady,
        percent_safe=steady * _left_by_jitter(config, dimension, limit),
    )


def _left_by_jitter(config: LabConfig, dimension: str, limit: int) -> float:
    """Return the part of the limit that an even pace can use when requests may come `spread_s` closer than they left.

    In a window there is room for what comes within the window and that much more. A bucket holds what is bunched, and
    what it does not hold is distance: of 60 a minute, at a server with room for one, those a second apart must leave
    another `spread_s` apart.
    """
    window_s, spread_s = _WINDOWS_S[config.server], config.jitter_s[1] - config.jitter_s[0]
    if config.server not in _BUCKETS:
        return window_s / (window_s + spread_s)
    rate = limit / MINUTE_S
    mean, largest = (config.sizes.mean, max(config.sizes.tokens)) if dimension == "tokens" else (1.0, 1)
    spare = max(1.0, rate * window_s) - largest
    return mean / (mean + max(0.0, rate * spread_s - max(0.0, spare)))
