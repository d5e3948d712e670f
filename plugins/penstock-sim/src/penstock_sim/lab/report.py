"""What an experiment showed: frozen figures, and how they are worked out from the server's books."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import partial

from attrs import frozen

from penstock.schema import GateSnapshot, Record
from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.ideal import Ideal
from penstock_sim.lab.server import LabServer, Ledger
from penstock_sim.limiters import MINUTE_S

__all__ = ["DimensionReport", "GateReport", "LabReport", "dimension_reports", "gate_reports", "percentile"]


@frozen(kw_only=True)
class DimensionReport(Record):
    """How one limit of the server was used. Percentages are of what the limit allows in that time.

    Attributes:
        dimension: "requests" or "tokens".
        limit: per minute, before any change.
        admitted: what the server let through in the whole run.
        percent: of limit times minutes; a bucket that is full at the start allows up to a minute's worth more.
        percent_first, percent_steady: the same of the first minute, and of everything after it; equal in a run of
            a minute.
        percent_by_minute: the same of each minute.
        percent_ideal: `percent` of a client that sends each request the moment the server takes it, without network:
            what these sizes allow on this server. None for other limits than the one that binds that client.
        percent_ideal_steady: the same after the first minute.
        percent_safe: what of that leaves no refusal to chance, for a client that knows the kind of server and sends at
            an even pace, whatever the network's jitter does to it.
        most_percent: the most that passed in any minute, wherever it began.
        refused: 429s for this limit.
    """

    dimension: str
    limit: int
    admitted: float
    percent: float
    percent_first: float
    percent_steady: float
    percent_by_minute: tuple[float, ...]
    percent_ideal: float | None
    percent_ideal_steady: float | None
    percent_safe: float | None
    most_percent: float
    refused: int


@frozen(kw_only=True)
class GateReport(Record):
    """One gate of the first client.

    Attributes:
        name, match, limit: as it is set; the limit as it stands at the end.
        wait_p50_s, wait_p99_s: how long requests waited for gates of this name, over all clients and all requests.
        blocked_percent: the part of the run in which it held the head of the queue.
    """

    name: str
    match: str
    limit: float | None
    wait_p50_s: float
    wait_p99_s: float
    blocked_percent: float


@frozen(kw_only=True)
class LabReport(Record):
    """The figures of one experiment.

    Attributes:
        dimensions: one for each limit of the server.
        sizes, jitter_s, latency_s: of the experiment.
        binding: the limit that was used most, by its name.
        sent, answered, refused: calls that left, came back with an answer, came back with a 429; the rest was on its
            way when the run ended.
        refused_per_thousand, refused_first, refused_steady: 429s per thousand calls sent: in all, in the first
            minute, after it.
        refused_by_minute: 429s in each minute.
        sent_by_client: calls of each client.
        given_up: requests that failed for good.
        most_in_flight, most_waiting: calls with the server, and requests of a client before its gates, at once.
        wall_s: real seconds that the run took.
    """

    server: str
    minutes: float
    sizes: str
    jitter_s: tuple[float, float]
    latency_s: tuple[float, float]
    dimensions: tuple[DimensionReport, ...]
    gates: tuple[GateReport, ...]
    binding: str
    sent: int
    answered: int
    refused: int
    refused_per_thousand: float
    refused_first: float
    refused_steady: float
    refused_by_minute: tuple[int, ...]
    sent_by_client: tuple[int, ...]
    given_up: int
    most_in_flight: int
    most_waiting: int
    wall_s: float

    @property
    def requests_per_wall_second(self) -> float:
        """How fast the experiment ran."""
        return self.sent / self.wall_s

    @property
    def bound(self) -> DimensionReport:
        """The limit that was used most."""
        return next(each for each in self.dimensions if each.dimension == self.binding)


def dimension_reports(config: LabConfig, server: LabServer, ideal: Ideal) -> tuple[DimensionReport, ...]:
    """Return how each limit of `server` was used; `ideal` is what could have been."""
    books = (("requests", config.rpm, server.requests), ("tokens", config.tpm, server.tokens))
    return tuple(
        _dimension(
            config, name, limit, book, refused=server.refused_by[name], ideal=ideal if ideal.dimension == name else None
        )
        for name, limit, book in books
        if limit is not None
    )


def gate_reports(
    config: LabConfig, snapshots: Sequence[GateSnapshot], waits_s: dict[str, array[float]], finished: int
) -> tuple[GateReport, ...]:
    """Return the gates with their waits; a request that is not in `waits_s` did not wait."""
    return tuple(
        GateReport(
            name=gate.name,
            match=gate.match,
            limit=gate.limit,
            wait_p50_s=percentile(waits_s.get(gate.name, ()), 50, of=finished),
            wait_p99_s=percentile(waits_s.get(gate.name, ()), 99, of=finished),
            blocked_percent=100.0 * gate.blocked_s / config.duration_s,
        )
        for gate in snapshots
    )


def percentile(values: Sequence[float], percent: float, *, of: int) -> float:
    """Return the nearest-rank percentile of `values` and as many zeros as make it `of` numbers."""
    zeros = max(0, of - len(values))
    rank = math.ceil((zeros + len(values)) * percent / 100.0)
    return sorted(values)[rank - zeros - 1] if rank > zeros else 0.0


def per_thousand(part: int, whole: int) -> float:
    """Return `part` of a thousand of `whole`; 0 of nothing."""
    return 1000.0 * part / whole if whole else 0.0


def _dimension(
    config: LabConfig, name: str, limit: int, book: Ledger, *, refused: int, ideal: Ideal | None
) -> DimensionReport:
    end_s = config.duration_s
    starts = [minute * MINUTE_S for minute in range(math.ceil(end_s / MINUTE_S))]

    percent = partial(book.percent, config, limit)
    highest = max(limit, config.limit_after_change(limit))
    return DimensionReport(
        dimension=name,
        limit=limit,
        admitted=book.between(0.0, end_s),
        percent=percent(0.0, end_s),
        percent_first=percent(0.0, min(MINUTE_S, end_s)),
        percent_steady=percent(*config.steady_s),
        percent_by_minute=tuple(percent(start, min(start + MINUTE_S, end_s)) for start in starts),
        percent_ideal=ideal.percent if ideal else None,
        percent_ideal_steady=ideal.percent_steady if ideal else None,
        percent_safe=ideal.percent_safe if ideal else None,
        most_percent=100.0 * book.most_in_a_minute() / highest,
        refused=refused,
    )
