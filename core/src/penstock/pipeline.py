"""The pipeline: steps in configured order; the first failure stops it, and the raw content stands."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from anyio import to_thread
from attrs import define

from penstock.contracts import PipelineStep, StepContext
from penstock.schema import GenerationRequest, GenerationResult, PipelineStepResult, Usage
from penstock.schema.usage import NO_USAGE, ZERO_USD, add_usd

__all__ = ["FunctionStep", "as_step", "run_pipeline"]


class FunctionStep(PipelineStep):
    """A plain function of the content, as a step; its name is the function's."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # a plain function needs none
        """Return what the function makes of `content`."""
        return self._function(content)


def as_step(step: PipelineStep | Callable[[Any], Any]) -> PipelineStep:
    """Return `step`, or a function as a step."""
    return step if isinstance(step, PipelineStep) else FunctionStep(step)


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


async def run_pipeline(
    steps: Sequence[PipelineStep],
    content: Any,
    context: StepContext,
    *,
    stamp: Callable[[], datetime],
    results: list[PipelineStepResult],
) -> Any:
    """Run `steps` over `content` and return the last one's output, or `content` itself when a step failed.

    Any exception of a step is that step's failure. Cancellation passes through, after it is on record as well.

    Args:
        steps: in the order in which they run.
        content: the model's raw output.
        context: what the steps may know and do.
        stamp: tells the time.
        results: gets an entry for each step that ran; the failed one is the last.
    """
    raw = content
    for step in steps:
        content = await _run_step(step, content, context, stamp=stamp, results=results)
        if not results[-1].success:
            return raw
    return content


async def _run_step(
    step: PipelineStep,
    content: Any,
    context: StepContext,
    *,
    stamp: Callable[[], datetime],
    results: list[PipelineStepResult],
) -> Any:
    spending = _Spending(context.generate)
    started, after, message = stamp(), content, "cancelled while the step ran"
    try:
        after = await _process(
            step,
            content,
            StepContext(request=context.request, reply=context.reply, trace_id=context.trace_id, generate=spending),
        )
        message = ""
    except Exception as error:  # noqa: BLE001  # whatever a step raises is its failure, not the request's
        message = str(error) or type(error).__name__
    finally:
        ended = stamp()
        result = PipelineStepResult(
            step_name=step.name,
            success=not message,
            started_at=started,
            ended_at=ended,
            duration_ms=(ended - started).total_seconds() * 1000.0,
            content_before=content,
            content_after=after,
            error_message=message or None,
            usage=spending.usage,
            cost_usd=spending.cost_usd,
        )
        results.append(result)
    return after


async def _process(step: PipelineStep, content: Any, context: StepContext) -> Any:
    if step.slow and not inspect.iscoroutinefunction(step.process):
        return await to_thread.run_sync(step.process, content, context, abandon_on_cancel=True)
    after = step.process(content, context)
    return await after if inspect.isawaitable(after) else after
