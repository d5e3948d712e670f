"""A service's own count of everything it does: plain arithmetic, on one event loop, without locks."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from decimal import Decimal

from attrs import define, fields

from penstock.errors import ErrorType
from penstock.metrics.window import Window
from penstock.schema import (
    FrozenMapping,
    GateSnapshot,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    ModelStats,
    Percentiles,
    SinkSnapshot,
    StatsSnapshot,
    Usage,
)
from penstock.schema.usage import EXACT_USD, ZERO_USD

__all__ = ["Meter"]

MOST_NAMES = 1000
OTHER = "(other)"
NO_MODEL = "(none)"
SAMPLE_SIZE = 2000
USED = tuple(each.name for each in fields(Usage) if each.name != "estimated")


@define(eq=False)
class Tally:
    """Running totals of one model or one operation; what was used stands under the names that `Usage` has for it."""

    succeeded: int = 0
    failed: int = 0
    attempts: int = 0
    cost_usd: Decimal = ZERO_USD
    cost_unknown: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_read_input_audio_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    input_video_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    reasoning_output_tokens: int = 0
    web_search_requests: int = 0
    estimated: bool = False

    def add(self, attempt: InvocationAttempt) -> None:
        """Add one call's tokens and cost, unrounded. A failed call that used nothing has nothing unknown about it."""
        usage = attempt.usage
        self.attempts += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cache_read_input_tokens += usage.cache_read_input_tokens
        self.cache_creation_input_tokens += usage.cache_creation_input_tokens
        self.reasoning_output_tokens += usage.reasoning_output_tokens
        self.cache_read_input_audio_tokens += usage.cache_read_input_audio_tokens
        self.cache_creation_1h_input_tokens += usage.cache_creation_1h_input_tokens
        self.input_audio_tokens += usage.input_audio_tokens
        self.input_image_tokens += usage.input_image_tokens
        self.input_video_tokens += usage.input_video_tokens
        self.output_audio_tokens += usage.output_audio_tokens
        self.output_image_tokens += usage.output_image_tokens
        self.web_search_requests += usage.web_search_requests
        if usage.estimated:
            self.estimated = True
        if attempt.cost_usd is not None:
            self.cost_usd = EXACT_USD.add(self.cost_usd, attempt.cost_usd)
        elif attempt.success or usage.total_tokens:
            self.cost_unknown += 1

    def merge(self, other: Tally) -> None:
        """Add another tally's totals."""
        for name in ("succeeded", "failed", "attempts", "cost_unknown", *USED):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.estimated = self.estimated or other.estimated
        self.cost_usd = EXACT_USD.add(self.cost_usd, other.cost_usd)

    def stats(self) -> ModelStats:
        """Return the totals, frozen."""
        return ModelStats(
            requests=self.succeeded + self.failed,
            succeeded=self.succeeded,
            failed=self.failed,
            attempts=self.attempts,
            usage=Usage(**{name: getattr(self, name) for name in USED}, estimated=self.estimated),
            cost_usd=self.cost_usd,
            cost_unknown=self.cost_unknown,
        )


class Meter:
    """Counts what the engine tells it; each call is O(1) and memory is bounded.

    Usage, cost and attempts are summed over real calls, each once, retries and the calls of pipeline steps included.
    Requests are those of callers: a call that a step made on a request's behalf is part of that request. So the sums
    over callers' results equal these totals, exactly: money is never rounded.

    A failed attempt counts in `errors`; a failed request does only when its failure is not its last attempt's.
    A table has at most a thousand names, "(other)" for the rest; percentiles are of the latest 2,000 calls.

    Attributes:
        sent_ts, rcv_ts: deques with the times of the calls sent, and of those over, in the last window.
    """

    def __init__(self, window_s: float = 60.0, *, now: float | None = None) -> None:
        """Start counting over windows of `window_s` seconds, at `now` or else at the first time it is told."""
        self._since = now
        self._sent = Window(window_s)
        self._received = Window(window_s)
        self.sent_ts = self._sent.times
        self.rcv_ts = self._received.times
        self._latency_ms: deque[float] = deque(maxlen=SAMPLE_SIZE)
        self._queue_ms: deque[float] = deque(maxlen=SAMPLE_SIZE)
        self._in_flight = self._requests = self._retries = 0
        self._degraded = self._cancelled = 0
        self._errors: dict[str, int] = {}
        self._models: dict[str, Tally] = {}
        self._operations: dict[str, Tally] = {}

    def started(self, request: GenerationRequest) -> None:
        """Count a request that reached the service."""
        if request.parent_trace_id is None:
            self._requests += 1

    def sent(self, now: float) -> None:
        """Count a call that goes to a provider; a `received` follows, whatever happens."""
        if self._since is None:
            self._since = now
        self._in_flight += 1
        self._sent.add(now)

    def received(self, now: float, *, model: str, operation: str | None, attempt: InvocationAttempt) -> None:
        """Count a call that is over; `model` is "provider/model"."""
        self._in_flight -= 1
        usage = attempt.usage
        self._received.add(now, usage.input_tokens + usage.output_tokens)
        self._latency_ms.append(attempt.duration_ms)
        self._queue_ms.append(attempt.queue_ms)
        if attempt.number > 1:
            self._retries += 1
        (self._models.get(model) or _row(self._models, model)).add(attempt)
        if operation is not None:
            (self._operations.get(operation) or _row(self._operations, operation)).add(attempt)
        if attempt.error_type is not None:
            self._count_error(attempt.error_type)

    def ended(self, result: GenerationResult) -> None:
        """Count a request that is over."""
        if not result.success and result.error_type is not None and not _known_from_attempt(result):
            self._count_error(result.error_type)
        if result.parent_trace_id is not None:
            return
        request = result.request
        name = f"{result.provider}/{result.model}" if result.provider else request.model or NO_MODEL
        rows = [self._models.get(name) or _row(self._models, name)]
        if request.operation is not None:
            rows.append(self._operations.get(request.operation) or _row(self._operations, request.operation))
        if result.success:
            for row in rows:
                row.succeeded += 1
            self._degraded += result.degraded
        else:
            for row in rows:
                row.failed += 1
            self._cancelled += result.error_type is ErrorType.CANCELLED

    def usage(self, operation: str | None = None) -> ModelStats:
        """Return the totals of an operation, zeros for one not seen; None for the totals of everything."""
        if operation is None:
            return self._total().stats()
        return self._operations.get(operation, Tally()).stats()

    def snapshot(
        self,
        *,
        now: float,
        at: datetime,
        waiting: int = 0,
        gates: tuple[GateSnapshot, ...] = (),
        sinks: tuple[SinkSnapshot, ...] = (),
    ) -> StatsSnapshot:
        """Return all figures as they are at `now`; `at` is the same moment on the wall clock."""
        if self._since is None:
            self._since = now
        total = self._total().stats()
        return StatsSnapshot(
            at=at,
            uptime_s=now - self._since,
            rpm=self._sent.count_per_minute(now),
            repm=self._received.count_per_minute(now),
            tpm=self._received.total_per_minute(now),
            in_flight=self._in_flight,
            waiting=waiting,
            requests=self._requests,
            succeeded=total.succeeded,
            failed=total.failed,
            degraded=self._degraded,
            cancelled=self._cancelled,
            attempts=total.attempts,
            retries=self._retries,
            usage=total.usage,
            cost_usd=total.cost_usd,
            cost_unknown=total.cost_unknown,
            latency_ms=Percentiles.of(self._latency_ms),
            queue_ms=Percentiles.of(self._queue_ms),
            errors=FrozenMapping(self._errors),
            by_model=FrozenMapping({name: row.stats() for name, row in self._models.items()}),
            by_operation=FrozenMapping({name: row.stats() for name, row in self._operations.items()}),
            gates=gates,
            sinks=sinks,
        )

    def _total(self) -> Tally:
        total = Tally()
        for row in self._models.values():
            total.merge(row)
        return total

    def _count_error(self, error_type: ErrorType) -> None:
        self._errors[error_type.value] = self._errors.get(error_type.value, 0) + 1


def _row(table: dict[str, Tally], name: str) -> Tally:
    """Return the row of a name that is not in the table; "(other)" when the table is full."""
    return table.setdefault(name if len(table) < MOST_NAMES else OTHER, Tally())


def _known_from_attempt(result: GenerationResult) -> bool:
    return bool(result.attempts) and result.attempts[-1].error_type is result.error_type
