"""What penstock gives back: always a result, with everything that happened on record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypeVar

from attrs import frozen

from penstock.errors import ErrorType
from penstock.schema.messages import ToolCall
from penstock.schema.reply import TokenLogprob
from penstock.schema.request import GenerationRequest
from penstock.schema.serial import Record
from penstock.schema.usage import NO_USAGE, ZERO_USD, Usage

__all__ = [
    "NO_BACKOFF",
    "BackoffStats",
    "EventTimestamps",
    "GateWait",
    "GenerationResult",
    "InvocationAttempt",
    "PipelineStepResult",
]

T = TypeVar("T")


class _LateTimes(Record):
    """Times that are worked out when they are first read: most requests' are never looked at."""

    __slots__ = ("_began", "_marks")
    _began: datetime
    _marks: Mapping[str, float]

    @classmethod
    def at(cls, began: datetime, marks: Mapping[str, float]) -> Self:
        """Return the times of `marks`, monotonic seconds by point; the first one was at `began`."""
        self = cls.__new__(cls)
        object.__setattr__(self, "_began", began)
        object.__setattr__(self, "_marks", marks)
        return self

    def __getattr__(self, point: str) -> datetime | None:
        """Work out a point that `at` left open; Python asks only while its slot is empty."""
        if point not in type(self).__slots__:
            raise AttributeError(f"{type(self).__name__} has no point {point!r}")
        first, mark = next(iter(self._marks.values())), self._marks.get(point)
        time = None if mark is None else self._began + timedelta(seconds=mark - first)
        object.__setattr__(self, point, time)
        return time


@frozen(kw_only=True)
class EventTimestamps(_LateTimes):
    """The points a request passes, in the order it passes them; all timezone-aware UTC.

    The first point is read from the wall clock and the others are that plus monotonic time, so they never run
    backwards. A point that was not reached is None; a request that reached the model has them all.

    Attributes:
        generation_requested_at: the call reached the service.
        provider_resolved_at: the provider for the model was found.
        request_converted_at: the provider had made its payload.
        generation_enqueued_at: the first attempt entered the queue of its gates.
        semaphore_acquired_at: the last attempt held every permit; the gates decide together, so this is one moment.
        generation_dequeued_at: the last attempt left the queue.
        first_invoke_started_at: the provider was first called.
        last_invoke_started_at: the provider was last called.
        response_started_at: the first chunk, or the whole reply, of the last call arrived.
        last_invoke_ended_at: the last call was over.
        usage_settled_at: the gates had learned what the last call really used.
        cost_calculated_at: its price was known.
        postprocessing_started_at: the pipeline began; each step's own times are in its result.
        postprocessing_ended_at: the pipeline was over.
        generation_completed_at: the result was made.
    """

    generation_requested_at: datetime | None = None
    provider_resolved_at: datetime | None = None
    request_converted_at: datetime | None = None
    generation_enqueued_at: datetime | None = None
    semaphore_acquired_at: datetime | None = None
    generation_dequeued_at: datetime | None = None
    first_invoke_started_at: datetime | None = None
    last_invoke_started_at: datetime | None = None
    response_started_at: datetime | None = None
    last_invoke_ended_at: datetime | None = None
    usage_settled_at: datetime | None = None
    cost_calculated_at: datetime | None = None
    postprocessing_started_at: datetime | None = None
    postprocessing_ended_at: datetime | None = None
    generation_completed_at: datetime | None = None


@frozen
class GateWait(Record):
    """How one gate held a request up: `loops` attempts were held, for `ms` milliseconds in all, as measured."""

    gate: str
    loops: int
    ms: float


@frozen(kw_only=True)
class BackoffStats(Record):
    """Where a request waited, as measured: on this side at the gates, on the server's account between tries.

    Attributes:
        gates: one entry for each gate that held the request up, the queue behind others included.
        retry_loops: waits between attempts.
        retry_ms: milliseconds really slept between attempts.
    """

    gates: tuple[GateWait, ...] = ()
    retry_loops: int = 0
    retry_ms: float = 0.0

    def of(self, gate: str) -> GateWait:
        """Return the waits at the gates of that name, added up."""
        waits = [wait for wait in self.gates if wait.gate == gate]
        return GateWait(gate, sum(wait.loops for wait in waits), sum(wait.ms for wait in waits))

    @property
    def rpm_loops(self) -> int:
        """Attempts that the requests-per-minute gate held."""
        return self.of("rpm").loops

    @property
    def rpm_ms(self) -> float:
        """Milliseconds waited for the requests-per-minute gate."""
        return self.of("rpm").ms

    @property
    def tpm_loops(self) -> int:
        """Attempts that the tokens-per-minute gate held."""
        return self.of("tpm").loops

    @property
    def tpm_ms(self) -> float:
        """Milliseconds waited for the tokens-per-minute gate."""
        return self.of("tpm").ms

    @property
    def client_ms(self) -> float:
        """Milliseconds waited on this side, at all gates."""
        return sum(wait.ms for wait in self.gates)

    @property
    def server_ms(self) -> float:
        """Milliseconds waited on the server's account: the same as `retry_ms`."""
        return self.retry_ms

    @property
    def total_ms(self) -> float:
        """Client and server together."""
        return self.client_ms + self.retry_ms


@frozen(kw_only=True)
class InvocationAttempt(Record):
    """One real call of a provider, whatever became of it.

    Attributes:
        number: 1 for the first attempt.
        enqueued_at, started_at, ended_at: when it joined the gates' queue, was sent, and was over.
        queue_ms: milliseconds between joining the queue and being sent.
        duration_ms: milliseconds between being sent and being over.
        first_chunk_ms: milliseconds from being sent to the first chunk of a stream.
        backoff_ms: milliseconds really slept after this attempt, before the next one.
        retry_after_s: the provider's hint in seconds.
        request_id: the provider's own id of the call.
        cost_usd: what the attempt cost; None when the model's price is unknown.
    """

    number: int
    success: bool
    enqueued_at: datetime
    started_at: datetime
    ended_at: datetime
    queue_ms: float
    duration_ms: float
    first_chunk_ms: float | None = None
    error_type: ErrorType | None = None
    error_message: str | None = None
    status_code: int | None = None
    retry_after_s: float | None = None
    backoff_ms: float = 0.0
    request_id: str | None = None
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = None


@frozen(kw_only=True)
class PipelineStepResult(Record):
    """What one step did.

    Attributes:
        content_before, content_after: what went in and what came out; after a failure both are what went in.
        duration_ms: milliseconds.
        usage, cost_usd: of the calls that the step made itself; cost is None when a price is unknown.
    """

    step_name: str
    success: bool
    started_at: datetime
    ended_at: datetime
    duration_ms: float
    content_before: Any = None
    content_after: Any = None
    error_message: str | None = None
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = ZERO_USD


_NO_TIMESTAMPS = EventTimestamps()
NO_BACKOFF = BackoffStats()


@frozen(kw_only=True)
class GenerationResult(Record):
    """The outcome of a request: success with content, or failure with a type and a message; never an exception.

    Attributes:
        success: the model answered. Post-processing that failed afterwards leaves it True and sets `degraded`.
        content: the pipeline's output; the raw text when there are no steps or one failed; what arrived of a stream
            that was cut short; None otherwise.
        raw_content: the model's text as it came.
        error_type, error_message: both set when, and only when, `success` is False.
        degraded: a pipeline step failed; the last of `pipeline_results` says why.
        trace_id: a random UUID, the same in result, events and logs.
        parent_trace_id: the trace id of the request on whose behalf this one ran.
        model, provider: what the request was sent to: the two sides of the first slash in "provider/model".
        response_model, response_id: how the provider names the model that answered, and its answer.
        logprobs: of the tokens of the raw content, or of the refusal, where the request's `extra` asked for them.
        embeddings: the vectors of the request's `inputs`, in their order; there is no content then.
        usage, cost_usd: over all attempts and the steps' own calls. The cost is None, never 0, when a price is unknown.
        elapsed_ms: milliseconds from request to result.
    """

    success: bool
    trace_id: str
    request: GenerationRequest
    content: Any = None
    raw_content: str | None = None
    error_type: ErrorType | None = None
    error_message: str | None = None
    degraded: bool = False
    parent_trace_id: str | None = None
    model: str | None = None
    provider: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    embeddings: tuple[tuple[float, ...], ...] = ()
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = ZERO_USD
    attempts: tuple[InvocationAttempt, ...] = ()
    pipeline_results: tuple[PipelineStepResult, ...] = ()
    timestamps: EventTimestamps = _NO_TIMESTAMPS
    backoff: BackoffStats = NO_BACKOFF
    elapsed_ms: float = 0.0

    @property
    def cost_known(self) -> bool:
        """Whether every price that this result needed was known."""
        return self.cost_usd is not None

    def unwrap_or(self, default: T) -> Any | T:
        """Return the content of a success, `default` otherwise."""
        return self.content if self.success else default
