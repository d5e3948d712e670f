"""What a gate has done, in words: a phrase for the progress line, a line for the summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.cli.amounts import duration_text, share_text
from penstock.schema import GateSnapshot

__all__ = ["gate_data", "gate_lines", "gate_phrase"]


def gate_phrase(gate: GateSnapshot) -> str:
    """Return what a run waits for: "rpm (500), 98 % used, 1,200 queued, 2 429s"."""
    name = _name(gate)
    parts = [name if gate.limit is None else f"{name} ({gate.limit:,.0f})"]
    if gate.used_share is not None:
        parts.append(f"{share_text(gate.used_share)} used")
    parts.append(f"{gate.waiting:,} queued")
    if gate.refused:
        parts.append(f"{gate.refused:,} 429s")
    return ", ".join(parts)


def gate_lines(gates: Iterable[GateSnapshot]) -> Iterator[str]:
    """Yield a line for each gate with a limit that let anything through."""
    for gate in gates:
        if gate.limit is None or not gate.admitted:
            continue
        parts = [f"{share_text(gate.used_share or 0.0)} of {gate.limit:,.0f} used at the end"]
        if gate.blocked_s:
            parts.append(f"in the way for {duration_text(gate.blocked_s)}")
        if gate.wait_ms.p50 is not None and gate.wait_ms.p99 is not None:
            parts.append(f"waits p50 {gate.wait_ms.p50 / 1000:.1f} s, p99 {gate.wait_ms.p99 / 1000:.1f} s")
        if gate.reserved != gate.settled:
            parts.append(f"reserved {gate.reserved:,.0f}, settled {gate.settled:,.0f}")
        parts.append(f"{gate.refused_per_thousand:.1f} 429s per 1,000")
        yield f"  {_name(gate)}: {'; '.join(parts)}"


def _name(gate: GateSnapshot) -> str:
    """Return the gate's name, with the models that it is for where these are not all."""
    return gate.name if gate.match == "*" else f"{gate.name} of {gate.match}"


def gate_data(gate: GateSnapshot) -> dict[str, Any]:
    """Return the same as JSON data."""
    return {
        **gate.to_dict(),
        "used_share": gate.used_share,
        "refused_per_thousand": round(gate.refused_per_thousand, 3),
    }
