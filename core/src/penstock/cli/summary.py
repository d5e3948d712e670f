"""What a bulk run says when it is over, for people and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.bulk.estimate import Estimate
from penstock.bulk.output import LineFile
from penstock.bulk.run import BulkRun, StopCause
from penstock.bulk.tally import Failures, Tally
from penstock.cli.amounts import duration_text, rate_text, rows_text, usd_text
from penstock.cli.gates_text import gate_data, gate_lines
from penstock.schema import SinkSnapshot, StatsSnapshot

__all__ = ["estimate_text", "summary_data", "summary_text"]


def summary_text(bulk: BulkRun, elapsed_s: float, figures: StatsSnapshot) -> str:
    """Return the summary of a run, a few lines; `figures` are its service's at the end."""
    tally = bulk.tally
    rate = rate_text(tally.done, elapsed_s)
    lines = [
        f"{rows_text(tally.done)} in {duration_text(elapsed_s)} ({rate}): {tally.ok:,} ok, {tally.failed:,} failed"
    ]
    lines += _failures(sorted(tally.failures.values(), key=lambda one: -one.rows))
    lines += _degraded(tally)
    if tally.attempts:
        lines.append(
            f"calls: {tally.attempts:,}, of them {tally.retries:,} retries; answered with 429: {tally.rate_limited:,}"
        )
        usage = tally.usage
        lines.append(f"tokens: {usage.input_tokens:,} in, {usage.output_tokens:,} out")
        lines.append(f"cost: {usd_text(tally.cost_usd, tally.cost_unknown)}")
        lines.extend(_waits(bulk))
        lines.extend(gate_lines(figures.gates))
    lines.extend(_sinks(figures.sinks))
    lines.extend(_where(bulk))
    return "\n".join(lines)


def _failures(found: Iterable[Failures]) -> Iterator[str]:
    for each in found:
        yield f"  {each.rows:,} {each.code}: {each.remedy}"
        yield f"    first in line {each.first_line}: {each.first_message}"


def _degraded(tally: Tally) -> Iterator[str]:
    if tally.degraded:
        yield f"  {tally.degraded:,} degraded: a pipeline step failed and the model's own text stands"
    if (first := tally.first_degraded) is not None:
        yield f"    first in line {first.line}: {first.step_name}: {first.message}"


def _waits(bulk: BulkRun) -> Iterator[str]:
    """Say what held rows up, on the mean of all rows that were sent."""
    tally = bulk.tally
    sent = max(1, tally.finished)
    waits = [
        f"{ms / sent / 1000:.2f} s at {gate}" for gate, ms in sorted(tally.gate_ms.items(), key=lambda item: -item[1])
    ]
    if tally.retry_ms:
        waits.append(f"{tally.retry_ms / sent / 1000:.2f} s between tries")
    if waits:
        yield f"a row waited: {', '.join(waits)} (mean)"


def _sinks(sinks: Iterable[SinkSnapshot]) -> Iterator[str]:
    """Say which sinks have not taken all events."""
    for sink in sinks:
        if sink.failed or sink.dropped:
            lost = f", and {sink.dropped:,} events did not reach it" if sink.dropped else ""
            yield f"sink {sink.name} failed {sink.failed:,} times{lost}: {sink.last_error}"


def _where(bulk: BulkRun) -> Iterator[str]:
    """Say where the results are, and what is not there."""
    writer = bulk.writer
    yield f"results: {writer.out.name} ({rows_text(writer.out.lines)})"
    if writer.errors.lines:
        yield f"failed rows, ready to be run again: {writer.errors.name} ({rows_text(writer.errors.lines)})"
    for rescued in writer.rescued:
        yield f"results that came back after that: {rescued.name} ({rows_text(rescued.lines)})"
    if bulk.stop is None:
        return
    yield f"stopped early: {bulk.stop.message}"
    if bulk.stop.cause is StopCause.OUTPUT:
        yield "rows that none of these files has were not sent"
    elif bulk.stop.cause in (StopCause.INTERRUPTED, StopCause.INPUT):
        yield f"{bulk.source.name} was read up to line {bulk.last_line:,}"


def summary_data(bulk: BulkRun, elapsed_s: float, figures: StatsSnapshot) -> dict[str, Any]:
    """Return the summary as JSON data."""
    writer, stop = bulk.writer, bulk.stop
    return {
        **bulk.tally.to_dict(),
        "last_line": bulk.last_line,
        "elapsed_s": round(elapsed_s, 3),
        "rows_per_s": round(bulk.tally.done / elapsed_s, 3) if elapsed_s > 0 else None,
        "stopped": None if stop is None else {"cause": stop.cause.value, "message": stop.message},
        "gates": [gate_data(gate) for gate in figures.gates if gate.limit is not None],
        "sinks": [sink.to_dict() for sink in figures.sinks],
        "output": _file_data(writer.out),
        "error_file": _file_data(writer.errors) if writer.errors.lines else None,
        "rescue_files": [_file_data(file) for file in writer.rescued],
    }


def _file_data(file: LineFile) -> dict[str, Any]:
    return {"path": file.name, "rows": file.lines}


def estimate_text(estimate: Estimate) -> str:
    """Return what a dry run found, a few lines."""
    tally = estimate.tally
    lines = [f"{rows_text(tally.read)}, {tally.failed:,} of them malformed; nothing was sent"]
    lines += _failures(tally.failures.values())
    for name, model in estimate.models.items():
        cost = "no known price" if model.cost_usd is None else f"at most {usd_text(model.cost_usd)}"
        usage = model.usage
        lines.append(
            f"{name or 'default model'}: {rows_text(model.rows)}, about {usage.input_tokens:,} tokens in, "
            f"at most about {usage.output_tokens:,} out, {cost}"
        )
    return "\n".join(lines)
