"""The pipeline: steps in configured order; the first failure stops it, and the raw content stands.

Where a policy allows it, an answer whose step says what is wrong with it is asked for again, and goes through all
steps anew.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import anyio
from anyio import to_thread
from attrs import define, evolve, field

from penstock.clock import keeps_real_time
from penstock.contracts import PipelineStep, StepContext
from penstock.errors import StepError
from penstock.schema import (
    GenerationRequest,
    GenerationResult,
    Message,
    PipelineStepResult,
    ProviderReply,
    RepairPolicy,
    Usage,
)
from penstock.schema.makers import maker_of
from penstock.schema.usage import NO_USAGE, ZERO_USD, add_usd

__all__ = ["NO_REPAIR", "REPAIR", "FunctionStep", "Pipeline", "PlacedStep", "as_step"]

NO_REPAIR = RepairPolicy()
"""Answers are never asked for again."""

REPAIR = "repair"
"""How a repair appears among the results of the steps."""

BLOCKING_MS = 250.0
"""A plain `def` that held everyone up for so long runs in a worker thread from then on."""

_make_context = maker_of(StepContext)
_make_result = maker_of(PipelineStepResult)


class FunctionStep(PipelineStep):
    """A plain function of the content, as a step; its name is the function's."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # a plain function needs none
        """Return what the function makes of `content`."""
        return self._function(content)


@define(eq=False)
class PlacedStep:
    """A step in its place: with its timeout there, and whether it has turned out to need a thread."""

    step: PipelineStep
    timeout_s: float | None
    slow: bool

    async def process(self, content: Any, context: StepContext, logger: logging.Logger) -> Any:
        """Return what the step makes of `content`. Raises StepError after the timeout, and whatever the step does."""
        timeout_s = self.timeout_s
        if self.slow:
            timeout_s = timeout_s if keeps_real_time() else None
            work = to_thread.run_sync(self.step.process, content, context, abandon_on_cancel=True)
        else:
            work = self._at_once(content, context, logger)
            if isinstance(work, str) or not inspect.isawaitable(work):  # most results are texts, told at a glance
                return work
        with anyio.move_on_after(timeout_s):
            after = await work
            return await after if inspect.isawaitable(after) else after
        raise StepError(f"not done within its timeout of {timeout_s:g} s")

    def _at_once(self, content: Any, context: StepContext, logger: logging.Logger) -> Any:
        """Call the step on the loop, and never again if that took too long."""
        began = time.perf_counter()  # of real time, whatever time the loop keeps
        after = self.step.process(content, context)
        held_ms = (time.perf_counter() - began) * 1000.0
        if held_ms > BLOCKING_MS:
            self.slow = True
            logger.warning(
                "step %r held up everyone for %.0f ms and runs in a thread from now on; it should say slow = True",
                self.step.name,
                held_ms,
            )
        return after


def as_step(step: PipelineStep | PlacedStep | Callable[[Any], Any], timeout_s: float | None = None) -> PlacedStep:
    """Return a step, or a function as a step, in its place; `timeout_s` replaces the step's own."""
    if isinstance(step, PlacedStep):
        return step
    made = step if isinstance(step, PipelineStep) else FunctionStep(step)
    return PlacedStep(made, made.timeout_s if timeout_s is None else timeout_s, made.slow)


@define
class _Spending:
    """Counts what one step spends on calls of its own."""

    generate: Callable[[GenerationRequest], Any]
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = ZERO_USD

    async def __call__(self, request: GenerationRequest) -> GenerationResult:
        result: GenerationResult = await self.generate(request)
        self.usage += result.usage
        self.cost_usd = add_usd(self.cost_usd, result.cost_usd)
        return result


@define(eq=False, kw_only=True)
class Pipeline:
    """One answer's way through the steps.

    Attributes:
        steps: in the order in which they run.
        stamp: tells the time.
        repair: whether, and how often, an answer is asked for again.
        results: an entry for each step that ran and for each repair; a failed one is the last.
    """

    steps: Sequence[PlacedStep]
    stamp: Callable[[], datetime]
    logger: logging.Logger
    repair: RepairPolicy = NO_REPAIR
    results: list[PipelineStepResult] = field(init=False, factory=list)

    async def run(self, content: Any, context: StepContext) -> Any:
        """Return the last step's output, or `content`, the model's raw output, when a step failed.

        Any exception of a step is that step's failure. Cancellation passes through, after it is on record as well.
        """
        repaired = context
        processed, feedback = await self._through(content, context)
        for _ in range(self.repair.max_repairs):
            if feedback is None:
                break
            repaired = await self._mended(repaired, feedback)
            if not self.results[-1].success:
                break
            processed, feedback = await self._through(repaired.reply.content, repaired)
        return processed if not self.results or self.results[-1].success else content

    async def _through(self, content: Any, context: StepContext) -> tuple[Any, str | None]:
        """Return what the steps make of `content`, and what the model must be told if one says so."""
        for place in self.steps:
            content, feedback = await self._run_step(place, content, context)
            if not self.results[-1].success:
                return content, feedback
        return content, None

    async def _run_step(self, place: PlacedStep, content: Any, context: StepContext) -> tuple[Any, str | None]:
        spending = _Spending(context.generate)
        started, after, message, feedback = self.stamp(), content, "cancelled while the step ran", None
        try:
            own = _make_context(
                request=context.request, reply=context.reply, trace_id=context.trace_id, generate=spending
            )
            after = await place.process(content, own, self.logger)
            message = ""
        except Exception as error:  # noqa: BLE001  # whatever a step raises is its failure, not the request's
            message = _words(error)
            feedback = error.feedback if isinstance(error, StepError) else None
        finally:
            self._record(place.step.name, started, (content, after), message, spending)
        return after, feedback

    async def _mended(self, context: StepContext, feedback: str) -> StepContext:
        """Ask the model to mend its answer; return the context of the new one. A failure to answer is on record."""
        spending = _Spending(context.generate)
        before = context.reply.content
        started, after, message = self.stamp(), before, "cancelled while the answer was asked for again"
        conversation = (
            *context.request.conversation,
            Message("assistant", before),
            Message("user", self.repair.prompt.replace("{feedback}", feedback)),
        )
        request = context.request.replace(prompt=None, messages=conversation, pipeline=())
        try:
            result = await spending(request)
            if result.success and result.raw_content is not None:
                after, message = result.raw_content, ""
            else:
                message = result.error_message or "the new answer has no text"
        finally:
            self._record(REPAIR, started, (before, after), message, spending)
        reply = ProviderReply(after, result.usage, result.finish_reason, result.reasoning, result.refusal)
        return evolve(context, request=request, reply=reply)

    def _record(
        self, name: str, started: datetime, contents: tuple[Any, Any], message: str, spending: _Spending
    ) -> None:
        ended = self.stamp()
        self.results.append(
            _make_result(
                step_name=name,
                success=not message,
                started_at=started,
                ended_at=ended,
                duration_ms=(ended - started).total_seconds() * 1000.0,
                content_before=contents[0],
                content_after=contents[1],
                error_message=message or None,
                usage=spending.usage,
                cost_usd=spending.cost_usd,
            )
        )


def _words(error: Exception) -> str:
    """Return what went wrong; of a KeyError the words are a key alone, and some exceptions have none."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, KeyError) else str(error) or kind
