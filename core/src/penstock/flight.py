"""One request under way: the scratchpad from which the engine makes the result. Nobody else sees it."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import define, field

from penstock.admission import Admitted
from penstock.contracts import BaseLLMProvider, Clock
from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
    BackoffStats,
    Demand,
    EventTimestamps,
    GateWait,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    PipelineStepResult,
    ProviderReply,
    ReplyBuilder,
    Usage,
)
from penstock.schema.makers import maker_of
from penstock.schema.result import NO_BACKOFF
from penstock.schema.usage import NO_DEMAND, NO_USAGE, ZERO_USD, add_usd

__all__ = ["Flight", "Route", "new_trace_id"]

Deliver = Callable[[GenerationChunk], Awaitable[None]]

_chance = random.Random()  # noqa: S311  # ids must differ, not be secret; seeded by the operating system
os.register_at_fork(after_in_child=_chance.seed)

_make_result = maker_of(GenerationResult)


def new_trace_id() -> str:
    """Return a random UUID, version 4, at a third of the cost of `uuid.uuid4`, which asks the kernel each time."""
    bits = _chance.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@define(frozen=True)
class Route:
    """Where a request goes.

    Attributes:
        provider: may be there under several names.
        name: the one that the request used.
        model: as the provider knows it.
        full_model: "name/model", as gates and books know it.
    """

    provider: BaseLLMProvider
    name: str
    model: str
    full_model: str = field(init=False)

    @full_model.default
    def _joined(self) -> str:
        return f"{self.name}/{self.model}"


@define(eq=False)
class Flight:
    """What is known of a request so far. `clock` stamps it; each `mark` is the latest time of a point on its way."""

    request: GenerationRequest
    clock: Clock
    deliver: Deliver | None = None
    trace_id: str = field(factory=new_trace_id)
    started_at: datetime = field(init=False)
    started: float = field(init=False)
    marks: dict[str, float] = field(factory=dict)
    route: Route | None = None
    estimate: Demand = NO_DEMAND  # the provider's
    demand: Demand = NO_DEMAND  # what the gates are asked for
    attempts: list[InvocationAttempt] = field(factory=list)
    waits: list[GateWait] = field(factory=list)
    retry_loops: int = 0
    retry_ms: float = 0.0
    refused: bool = False  # the last attempt, with a 429 that a gate heeds
    refusals: int = 0  # how often that happened
    chunks: ReplyBuilder | None = None
    reply: ProviderReply | None = None
    content: Any = None
    failure: ProviderError | None = None
    steps: Sequence[PipelineStepResult] = ()
    children: list[GenerationResult] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.started_at = self.clock.utc()
        self.started = self.clock.now()
        self.marks["generation_requested_at"] = self.started

    def mark(self, point: str) -> float:
        """Stamp `point`, a field of `EventTimestamps`, and return the monotonic time."""
        now = self.marks[point] = self.clock.now()
        return now

    def utc(self, now: float) -> datetime:
        """Return the wall clock's time at monotonic `now`, on the scale that began with this request."""
        return self.started_at + timedelta(0, now - self.started)

    def stamp(self) -> datetime:
        """Return the time."""
        return self.utc(self.clock.now())

    def was_admitted(self, admitted: Admitted) -> None:
        """Note when an attempt was let through, and with what."""
        self.demand = admitted.demand
        self.marks["semaphore_acquired_at"] = self.marks["generation_dequeued_at"] = admitted.admitted

    def longest_wait(self) -> str:
        """Return the end of a message: which gate held the request up the longest."""
        wait = max(self.waits, key=lambda wait: wait.ms, default=None)
        return f"; {wait.ms / 1000:.1f} s of it at gate {wait.gate!r}" if wait else ""

    def backed_off(self, seconds: float) -> None:
        """Note the time really slept after the last attempt."""
        self.retry_loops += 1
        self.retry_ms += seconds * 1000.0
        self.attempts[-1] = self.attempts[-1].replace(backoff_ms=seconds * 1000.0)

    @property
    def answer(self) -> ProviderReply | None:
        """The reply; or of a stream that was cut short, what there is of it."""
        if self.reply is None and self.chunks is not None:
            return self.chunks.build()
        return self.reply

    def result(self) -> GenerationResult:
        """Return the result: everything there is to tell."""
        now = self.mark("generation_completed_at")
        answer = self.answer or ProviderReply(None)
        success = self.reply is not None
        failure = None if success else self.failure or ProviderError("the request ended without an answer")
        usage, cost = self._spent()
        return _make_result(
            success=success,
            trace_id=self.trace_id,
            request=self.request,
            content=self.content if success else answer.content,
            raw_content=answer.content,
            error_type=failure.error_type if failure else None,
            error_message=str(failure) if failure else None,
            degraded=bool(self.steps) and not self.steps[-1].success,
            parent_trace_id=self.request.parent_trace_id,
            model=self.route.model if self.route else None,
            provider=self.route.name if self.route else None,
            response_model=answer.response_model,
            response_id=answer.response_id,
            finish_reason=answer.finish_reason,
            reasoning=answer.reasoning,
            refusal=answer.refusal,
            tool_calls=answer.tool_calls,
            logprobs=answer.logprobs,
            embeddings=answer.embeddings,
            usage=usage,
            cost_usd=cost,
            attempts=tuple(self.attempts),
            pipeline_results=tuple(self.steps),
            timestamps=EventTimestamps.at(self.started_at, self.marks),
            backoff=self._backoff(),
            elapsed_ms=(now - self.started) * 1000.0,
        )

    def _backoff(self) -> BackoffStats:
        if not self.waits and not self.retry_loops:
            return NO_BACKOFF
        return BackoffStats(gates=tuple(self.waits), retry_loops=self.retry_loops, retry_ms=self.retry_ms)

    def _spent(self) -> tuple[Usage, Decimal | None]:
        """Return what this request's own attempts, and the requests on its behalf, have used and cost."""
        if len(self.attempts) == 1 and not self.children:
            return self.attempts[0].usage, self.attempts[0].cost_usd
        usage: Usage = NO_USAGE
        cost: Decimal | None = ZERO_USD
        parts: list[InvocationAttempt | GenerationResult] = [*self.attempts, *self.children]
        for part in parts:
            usage, cost = usage + part.usage, add_usd(cost, part.cost_usd)
        return usage, cost

    def cancelled(self) -> None:
        """Note that the caller gave up."""
        self.failure = ProviderError("the request was cancelled before it was answered", ErrorType.CANCELLED)
