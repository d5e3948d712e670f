"""A service's figures at one moment, frozen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Self

from attrs import field, frozen

from penstock.schema.serial import FrozenMapping, Record
from penstock.schema.usage import NO_USAGE, ZERO_USD, Usage

__all__ = ["GateSnapshot", "ModelStats", "Percentiles", "SinkSnapshot", "StatsSnapshot"]


@frozen(kw_only=True)
class Percentiles(Record):
    """Recent measurements in milliseconds; None where there were none."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, sample: Iterable[float]) -> Self:
        """Return the nearest-rank percentiles of a sample: each is a value that occurred."""
        ordered = sorted(sample)
        if not ordered:
            return cls()
        p50, p90, p99 = (ordered[math.ceil(len(ordered) * share / 100) - 1] for share in (50, 90, 99))
        return cls(p50=p50, p90=p90, p99=p99)


_NO_PERCENTILES = Percentiles()


@frozen(kw_only=True)
class ModelStats(Record):
    """Totals of one model, or of one operation.

    Attributes:
        cost_usd: the sum of all known costs.
        cost_unknown: how many calls had no known cost; if any, the sum is a lower bound.
    """

    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    attempts: int = 0
    usage: Usage = NO_USAGE
    cost_usd: Decimal = ZERO_USD
    cost_unknown: int = 0


@frozen(kw_only=True)
class GateSnapshot(Record):
    """One gate at one moment.

    Attributes:
        name, match: which gate, and which models it applies to.
        limit: what it allows: per window, or at once.
        used: how much of that is taken now.
        waiting: requests in the queues that this gate stands before.
        blocked_s: seconds for which it, more than any other gate, held the head of a queue.
        wait_ms: how long it held recent requests up.
        pace: the part of its rate that it uses; less than 1 after refusals.
        frozen_s: seconds for which a refusal still stops it.
        admitted, refused: attempts that it let through, and of these the ones that the provider refused with a 429.
        reserved, settled: amounts taken in advance, and what was really used, so far.
    """

    name: str
    match: str = "*"
    limit: float | None = None
    used: float = 0.0
    waiting: int = 0
    blocked_s: float = 0.0
    wait_ms: Percentiles = _NO_PERCENTILES
    pace: float = 1.0
    frozen_s: float = 0.0
    admitted: int = 0
    refused: int = 0
    reserved: float = 0.0
    settled: float = 0.0

    @property
    def used_share(self) -> float | None:
        """The part of the limit that is used now; None without a limit."""
        return self.used / self.limit if self.limit else None

    @property
    def refused_per_thousand(self) -> float:
        """Refusals per thousand attempts."""
        return 1000.0 * self.refused / self.admitted if self.admitted else 0.0


@frozen(kw_only=True)
class SinkSnapshot(Record):
    """What a sink has taken, lost to a full buffer, and failed on; `last_error` is its latest exception."""

    name: str
    recorded: int = 0
    dropped: int = 0
    failed: int = 0
    last_error: str | None = None


@frozen(kw_only=True)
class StatsSnapshot(Record):
    """A service's figures at one moment: consistent among themselves, and unchangeable.

    Attributes:
        rpm: calls sent in the last window, per minute.
        repm: replies received in the last window, per minute.
        tpm: tokens settled in the last window, per minute.
        in_flight: calls that are with a provider now.
        waiting: attempts that are in a queue now.
        succeeded, failed, degraded, cancelled: results so far; a cancelled one is also counted as failed.
        retries: attempts after the first one.
        latency_ms, queue_ms: of recent calls: time with the provider, time in the queue.
        by_model, by_operation: totals; beyond a thousand names the rest is summed under "(other)".
        errors: failed attempts and requests by the value of their ErrorType.
    """

    at: datetime
    uptime_s: float
    rpm: float = 0.0
    repm: float = 0.0
    tpm: float = 0.0
    in_flight: int = 0
    waiting: int = 0
    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    degraded: int = 0
    cancelled: int = 0
    attempts: int = 0
    retries: int = 0
    usage: Usage = NO_USAGE
    cost_usd: Decimal = ZERO_USD
    cost_unknown: int = 0
    latency_ms: Percentiles = _NO_PERCENTILES
    queue_ms: Percentiles = _NO_PERCENTILES
    errors: FrozenMapping[str, int] = field(factory=FrozenMapping)
    by_model: FrozenMapping[str, ModelStats] = field(factory=FrozenMapping)
    by_operation: FrozenMapping[str, ModelStats] = field(factory=FrozenMapping)
    gates: tuple[GateSnapshot, ...] = ()
    sinks: tuple[SinkSnapshot, ...] = ()
