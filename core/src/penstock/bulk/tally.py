"""What a run has done so far, in figures that do not grow with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import asdict, define, field, frozen

from penstock.bulk.lines import RowError, RowFault
from penstock.errors import ErrorType
from penstock.schema import GenerationResult, Usage
from penstock.schema.usage import EXACT_USD, NO_USAGE, ZERO_USD

__all__ = ["Degraded", "Failures", "Tally"]

MESSAGE_CHARS = 300


@define
class Failures:
    """Rows that failed for one reason: how many, what would help, and the first of them as an example."""

    code: str
    remedy: str
    first_line: int
    first_message: str
    rows: int = 0


@frozen
class Degraded:
    """A row whose answer stands as the model wrote it, because a step failed."""

    line: int
    step_name: str
    message: str


@define
class Tally:
    """The sums of a run.

    Attributes:
        read: lines of the input that were not blank.
        ok, failed: rows written as one or the other; `failed` includes those never sent.
        not_sent: failed rows for which no call was made.
        abandoned: failed rows whose answer was not waited for; what they cost is not known.
        degraded, first_degraded: rows of which a step failed, and the first of them: its line, its step and why.
        rate_limited: attempts that the provider answered with 429.
        cost_usd: the sum of known costs; a lower bound where `cost_unknown`, the rows without a known cost, is not 0.
        dearest_usd: the highest cost of a row.
        gate_ms, retry_ms: milliseconds that rows waited, by gate, and between tries.
    """

    read: int = 0
    ok: int = 0
    failed: int = 0
    not_sent: int = 0
    abandoned: int = 0
    degraded: int = 0
    first_degraded: Degraded | None = None
    attempts: int = 0
    retries: int = 0
    rate_limited: int = 0
    usage: Usage = NO_USAGE
    cost_usd: Decimal = ZERO_USD
    dearest_usd: Decimal = ZERO_USD
    cost_unknown: int = 0
    gate_ms: dict[str, float] = field(factory=dict)
    retry_ms: float = 0.0
    failures: dict[str, Failures] = field(factory=dict)

    @property
    def done(self) -> int:
        """Rows that are over, one way or the other."""
        return self.ok + self.failed

    @property
    def finished(self) -> int:
        """Rows that were sent and are over."""
        return self.done - self.not_sent

    def add(self, line: int, result: GenerationResult) -> None:
        """Count a row that was sent."""
        if result.success:
            self.ok += 1
        else:
            error_type = result.error_type or ErrorType.UNKNOWN
            self._failed(error_type, line, result.error_message or "")
        if result.degraded:
            self._degraded(line, result)
        self.attempts += len(result.attempts)
        self.retries += max(0, len(result.attempts) - 1)
        self.rate_limited += sum(1 for attempt in result.attempts if attempt.error_type is ErrorType.HTTP_429)
        self.usage += result.usage
        if result.cost_usd is None:
            self.cost_unknown += 1
        else:
            self.cost_usd = EXACT_USD.add(self.cost_usd, result.cost_usd)
            self.dearest_usd = max(self.dearest_usd, result.cost_usd)
        for wait in result.backoff.gates:
            self.gate_ms[wait.gate] = self.gate_ms.get(wait.gate, 0.0) + wait.ms
        self.retry_ms += result.backoff.retry_ms

    def add_unsent(self, row: RowError) -> None:
        """Count a row that was not sent."""
        self.not_sent += 1
        self._failed(row.fault, row.line, row.message)

    def add_abandoned(self, row: RowError) -> None:
        """Count a row that was under way when the run was cut off."""
        self.abandoned += 1
        self.cost_unknown += 1
        self._failed(row.fault, row.line, row.message)

    def _degraded(self, line: int, result: GenerationResult) -> None:
        self.degraded += 1
        failed = next((step for step in result.pipeline_results if not step.success), None)
        if self.first_degraded is None and failed is not None:
            self.first_degraded = Degraded(line, failed.step_name, (failed.error_message or "")[:MESSAGE_CHARS])

    def _failed(self, reason: ErrorType | RowFault, line: int, message: str) -> None:
        self.failed += 1
        code = reason.value
        if code not in self.failures:
            self.failures[code] = Failures(code, reason.remedy, line, message[:MESSAGE_CHARS])
        self.failures[code].rows += 1

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data; costs are exact strings."""
        return {
            "rows": self.read,
            "ok": self.ok,
            "failed": self.failed,
            "not_sent": self.not_sent,
            "abandoned": self.abandoned,
            "degraded": self.degraded,
            "first_degraded": None if self.first_degraded is None else asdict(self.first_degraded),
            "attempts": self.attempts,
            "retries": self.retries,
            "rate_limited": self.rate_limited,
            "usage": self.usage.to_dict(),
            "cost_usd": f"{self.cost_usd:f}",
            "cost_unknown": self.cost_unknown,
            "gate_wait_ms": {gate: round(ms, 3) for gate, ms in self.gate_ms.items()},
            "retry_wait_ms": round(self.retry_ms, 3),
            "errors": {
                code: {
                    "rows": failures.rows,
                    "remedy": failures.remedy,
                    "first_line": failures.first_line,
                    "first_message": failures.first_message,
                }
                for code, failures in sorted(self.failures.items())
            },
        }
