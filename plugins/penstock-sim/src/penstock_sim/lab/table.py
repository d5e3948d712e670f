"""Reports for people: one experiment in a few lines, or many with a line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.report import DimensionReport, GateReport, LabReport

__all__ = ["LEGEND", "grid_head", "grid_row", "table"]

_COLUMNS: Final = {
    "limit": 8,
    "unit": 8,
    "size": 9,
    "jitter": 8,
    "latency": 7,
    "server": 7,
    "used %": 6,
    "after": 6,
    "ideal %": 7,
    "after ": 6,
    "safe %": 6,
    "429s": 5,
    "later": 5,
    "wait p50": 8,
    "p99": 7,
    "flying": 6,
}
"""Of a table of many experiments, with their widths."""

LEGEND: Final = """\
after: the same after the first minute; ideal: a client that knows the server's mind, over no network
safe: of that after the first minute, what leaves no 429 to chance for an even pace, whatever jitter does
later: 429s after the first minute; wait: seconds before the gates; flying: the most calls at once"""


def table(config: LabConfig, report: LabReport) -> str:
    """Return the figures of one experiment; the star marks the limit that was used most."""
    limits = [_limit(each, starred=each.dimension == report.binding) for each in report.dimensions]
    gates = [_gate(each) for each in report.gates]
    jitter, latency = (f"{low:g} to {high:g} s" for low, high in (config.jitter_s, config.latency_s))
    clients = "" if config.clients == 1 else f", {config.clients} clients ({_numbers(report.sent_by_client)} calls)"
    change = "" if config.change is None else f", limits x {config.change[0]:g} at minute {config.change[1]:g}"
    rates = (report.refused_per_thousand, report.refused_first, report.refused_steady)
    refused = "{:.2f} of a thousand, {:.2f} in the first minute, {:.2f} after it".format(*rates)
    lines = [
        f"server {report.server!r}, jitter {jitter}, latency {latency}, {report.minutes:g} min{change}{clients}",
        "",
        *_aligned(
            [
                ("limit", "a minute", "used %", "1st min %", "after %", "ideal %", "safe %", "most in 60 s %", "429s"),
                *limits,
            ]
        ),
        "",
        *_aligned([("gate", "limit", "wait p50", "wait p99", "held the queue %"), *gates]),
        "",
        f"{report.sent} calls sent, {report.answered} answered, {report.refused} refused with 429: " + refused,
        f"{report.given_up} requests given up",
        f"at most {report.most_in_flight} in flight, {report.most_waiting} waiting",
        f"{report.wall_s:.1f} s of real time, {report.requests_per_wall_second:,.0f} calls a second",
    ]
    if config.change is not None:
        lines.append(f"used % by minute: {_numbers(report.bound.percent_by_minute)}")
        lines.append(f"429s by minute: {_numbers(report.refused_by_minute)}")
    return "\n".join(lines)


def grid_head() -> str:
    """Return the head of a table of many experiments."""
    return _row(_COLUMNS)


def grid_row(report: LabReport) -> str:
    """Return one experiment as a line of that table, by the limit that was used most."""
    bound = report.bound
    wait = max(report.gates, key=lambda gate: gate.wait_p50_s, default=None)
    return _row(
        (
            str(bound.limit),
            bound.dimension,
            "any" if bound.dimension == "requests" else report.sizes,
            _span(report.jitter_s),
            _span(report.latency_s),
            report.server,
            f"{bound.percent:.1f}",
            f"{bound.percent_steady:.1f}",
            _optional(bound.percent_ideal),
            _optional(bound.percent_ideal_steady),
            _optional(bound.percent_safe),
            str(report.refused),
            str(sum(report.refused_by_minute[1:])),
            f"{wait.wait_p50_s:.2f}" if wait else "-",
            f"{wait.wait_p99_s:.2f}" if wait else "-",
            str(report.most_in_flight),
        )
    )


def _limit(each: DimensionReport, *, starred: bool) -> tuple[str, ...]:
    ideal = (each.percent_ideal, each.percent_safe)
    shares = (each.percent, each.percent_first, each.percent_steady, *ideal, each.most_percent)
    return (f"{each.dimension}{'*' if starred else ''}", str(each.limit), *map(_optional, shares), str(each.refused))


def _gate(each: GateReport) -> tuple[str, ...]:
    limit = "-" if each.limit is None else f"{each.limit:g}"
    return each.name, limit, f"{each.wait_p50_s:.2f} s", f"{each.wait_p99_s:.2f} s", f"{each.blocked_percent:.0f}"


def _optional(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.1f}"


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _span(span: tuple[float, float]) -> str:
    return f"{span[0]:g}" if span[0] == span[1] else f"{span[0]:g}:{span[1]:g}"


def _row(cells: Iterable[str]) -> str:
    """Return cells in the grid's columns; what is too long moves the others to the right."""
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _COLUMNS.values(), strict=True))
