"""The suite of pipeline steps."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import anyio
import pytest
from anyio import to_thread

from penstock.contracts import PipelineStep, StepContext
from penstock.errors import ErrorType, StepError
from penstock.pipeline import FunctionStep
from penstock.schema import GenerationRequest
from penstock.service import Service
from penstock.testing.contract import Contract, living_tasks, on_each_loop, tasks_left
from penstock.testing.fakes import Answer, ScriptedGenerate, ScriptedProvider, step_context
from penstock.testing.samples import ODD_TEXTS, REQUEST, sample_result

__all__ = ["StepContract"]

NAME = re.compile(r"[a-z][a-z0-9_.-]*")
ODD_CONTENTS: tuple[Any, ...] = (*ODD_TEXTS, 0, -1.5, float("nan"), True, [], [None], {}, {"a": {"b": []}}, b"bytes")
"""What earlier steps may hand on, and what models say."""

_NOTHING = object()

ROUNDS = 5
"""How often a call is timed; the quickest one counts, so that a busy machine is not taken for a slow step."""


class StepContract(Contract[PipelineStep | Callable[[Any], Any]], suite=True):
    """Checks a pipeline step, or a function that is one. Define `make` and `examples`.

    Attributes:
        examples: pairs of a content and what the step makes of it; of these most checks are made.
        failures: contents on which it must fail.
        errors: what it raises when it fails on purpose.
        answers: what calls through `context.generate` are answered, as `ScriptedGenerate` takes them; anew each time.
        request: what the user asked.
        repeatable: False for a step that may make something else of the same content the next time.
        limit_ms: how long it may hold up the event loop at a time, in milliseconds.
        limit_s: seconds of virtual time, in which each call of a model takes one, after which it is taken to hang.
    """

    examples: Iterable[tuple[Any, Any]] = ()
    failures: Iterable[Any] = ()
    errors: type[Exception] | tuple[type[Exception], ...] = StepError
    answers: Sequence[Answer] = ("ok",)
    request: GenerationRequest = REQUEST
    repeatable: bool = True
    limit_ms: float = 5.0

    # ---------------------------------------------------------------- the checks

    def test_its_name_is_an_identifier(self) -> None:
        """A step has a name of lower-case letters, digits, "_", "." and "-", by which results speak of it."""
        step = self._step()
        assert isinstance(step.name, str), f"name is {step.name!r}; make it a str"
        assert NAME.fullmatch(step.name), f"name is {step.name!r}; make it match {NAME.pattern}, such as 'to_dict'"
        assert step.name != PipelineStep.name, "the step has no name of its own; set the class attribute `name`"

    @on_each_loop
    async def test_it_makes_of_each_example_what_it_should(self) -> None:
        """A step makes of each example's content what the example says."""
        step = self._step()
        for content, expected in self._examples():
            made = await self._process(step, content)
            assert _same(made, expected), (
                f"of {content!r:.200} it makes {made!r:.200}, and should make {expected!r:.200}"
            )

    @on_each_loop
    async def test_it_fails_where_it_should(self) -> None:
        """A step that cannot do its work says so: it raises StepError with a message for the user."""
        if not tuple(self.failures):
            pytest.skip(f"{type(self).__name__} names no `failures`: contents on which the step must fail")
        step = self._step()
        for content in deepcopy(tuple(self.failures)):
            try:
                made = await self._process(step, content)
            except self.errors as error:
                assert str(error).strip(), f"on {content!r:.200} it raises {error!r}; give the error a message"
            except Exception as error:
                raise AssertionError(
                    f"on {content!r:.200} it raises {error!r:.200}, by accident as it seems; raise StepError with a "
                    f"message for the user, or name the type in `errors`"
                ) from error
            else:
                raise AssertionError(f"on {content!r:.200} it must raise StepError, and returns {made!r:.200}")

    @on_each_loop
    async def test_whatever_it_is_given_it_ends(self) -> None:
        """Whatever the content, a step returns or raises an Exception, in time: models say anything."""
        for content in (*self._contents(), *deepcopy(ODD_CONTENTS)):
            try:
                await self._process(self._step(), content)
            except TimeoutError:
                raise
            except Exception:  # noqa: BLE001, S112  # any is a step's way to fail
                continue
            except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
                raise AssertionError(f"on {content!r:.100} it raises {error!r}; raise StepError instead") from error

    @on_each_loop
    async def test_it_ends_when_the_calls_of_a_model_fail(self) -> None:
        """A step that calls a model returns or raises an Exception when each such call fails."""
        for content in self._contents():
            failing = ScriptedGenerate([sample_result(error_type=ErrorType.SERVER_ERROR)], latency_s=1.0)
            try:
                await self._process(self._step(), content, failing)
            except TimeoutError:
                raise
            except Exception:  # noqa: BLE001, S112  # any is a step's way to fail
                continue

    @on_each_loop
    async def test_it_lets_cancellation_pass(self) -> None:
        """A step that is cancelled while it waits for a model ends at once, and returns nothing."""
        asked = 0
        for content in self._contents():
            never = ScriptedGenerate(self.answers, latency_s=1e6)
            made = _NOTHING
            with anyio.move_on_after(1.0):
                try:
                    made = await _run(self._step(), content, self._context(content, never))
                except Exception:  # noqa: BLE001, S112  # it failed before, or without, a call
                    continue
            asked += len(never.requests)
            assert not never.requests or made is _NOTHING, (
                f"cancelled while it waited, it returned {made!r:.100}; catch Exception, not BaseException"
            )
        if not asked:
            pytest.skip("it calls no model for any example")

    @on_each_loop
    async def test_it_changes_neither_its_input_nor_its_context(self) -> None:
        """A step leaves the content and the context as they are: both stand in the request's record."""
        step = self._step()
        for content, _ in self._examples():
            context = self._context(content)
            before = deepcopy((content, context.request, context.reply))
            await self._process(step, content, context=context)
            assert _same(content, before[0]), (
                f"it changed its input from {before[0]!r:.200} to {content!r:.200}; copy it and change the copy"
            )
            assert (context.request, context.reply) == before[1:], "it changed its context; copy what is to be changed"

    @on_each_loop
    async def test_it_gives_the_same_answer_again(self) -> None:
        """A step keeps nothing of a request: asked twice it answers the same."""
        self.needs("repeatable")
        step = self._step()
        for content, _ in self._examples():
            first, second = [await self._process(step, deepcopy(content)) for _ in range(2)]
            assert _same(first, second), (
                f"of {content!r:.200} it made {first!r:.200}, then {second!r:.200}; keep nothing of a request on self, "
                f"or say repeatable = False"
            )

    @on_each_loop
    async def test_requests_at_the_same_time_do_not_mix(self) -> None:
        """A step object serves many requests at once, and gives each its own answer."""
        self.needs("repeatable")
        step = self._step()
        contents = [content for _ in range(10) for content, _ in self._examples()]
        alone = [await self._process(self._step(), deepcopy(content)) for content in contents]
        together: dict[int, Any] = {}

        async def one(number: int, content: Any) -> None:
            await anyio.sleep(number % 3)
            together[number] = await self._process(step, content)

        async with anyio.create_task_group() as tasks:
            for number, content in enumerate(deepcopy(contents)):
                tasks.start_soon(one, number, content)
        for number, content in enumerate(contents):
            assert _same(together[number], alone[number]), (
                f"alone it makes {alone[number]!r:.200} of {content!r:.200}, and {together[number]!r:.200} while it "
                f"serves others; keep what belongs to a request in local variables, not on self"
            )

    @on_each_loop
    async def test_it_leaves_no_task_behind(self) -> None:
        """When a step has returned, nothing that it started is still running."""
        step = self._step()
        before = living_tasks()
        for content, _ in self._examples():
            await self._process(step, content)
        left = await tasks_left(before)
        assert not left, f"{left} tasks still run; start tasks in `async with anyio.create_task_group()`"

    def test_it_does_not_hold_up_the_event_loop(self) -> None:
        """A plain `def process` takes about a millisecond at most, or the step says slow = True."""
        step = self._step()
        if step.slow and not inspect.iscoroutinefunction(step.process):
            return
        assert not step.slow, "slow = True moves a plain `def process` to a thread and does nothing for an `async def`"
        for content in self._contents():
            took_ms = min(self._timed_ms(step, content) for _ in range(ROUNDS))
            assert took_ms <= self.limit_ms, (
                f"it holds up the event loop for {took_ms:.1f} ms on {content!r:.100}; write it as a plain def and "
                f"set slow = True on the class: it then runs in a thread"
            )

    def test_a_service_runs_it(self) -> None:
        """In a service's pipeline a step turns the model's text into the result's content."""
        texts = [(content, expected) for content, expected in self._examples() if isinstance(content, str)]
        if not texts:
            pytest.skip("no example starts from a text")
        for content, expected in texts:
            provider = ScriptedProvider([content, *self._lines()])
            with Service(providers=[provider], pipeline=[self.make()], max_rpm=None) as service:
                result = service.generate_output(self.request.replace(model="fake/m", pipeline=None))
            assert not result.degraded, f"on {content!r:.200}: {result.pipeline_results[-1].error_message}"
            assert _same(result.content, expected), (
                f"on {content!r:.200} the result's content is {result.content!r:.200}"
            )

    # ---------------------------------------------------------------- how they are made

    def _step(self) -> PipelineStep:
        made = self.make()
        return made if isinstance(made, PipelineStep) else FunctionStep(made)

    def _examples(self) -> list[tuple[Any, Any]]:
        examples = [(content, expected) for content, expected in self.examples]
        assert examples, f"{type(self).__name__} must give `examples`: pairs of a content and what the step makes of it"
        return deepcopy(examples)

    def _contents(self) -> list[Any]:
        return [*(content for content, _ in self._examples()), *deepcopy(tuple(self.failures))]

    def _context(self, content: Any, generate: ScriptedGenerate | None = None) -> StepContext:
        calls = generate or ScriptedGenerate(self.answers, latency_s=1.0 if self.virtual_time else 0.0)
        return step_context(content, generate=calls, request=self.request)

    async def _process(
        self,
        step: PipelineStep,
        content: Any,
        generate: ScriptedGenerate | None = None,
        context: StepContext | None = None,
    ) -> Any:
        """Run the step as the pipeline does; raise TimeoutError when it hangs."""
        made = _NOTHING
        # A thread takes no virtual time: a timer would not wait for it.
        limit_s = float("inf") if step.slow and self.virtual_time else self.limit_s
        with anyio.move_on_after(limit_s):
            made = await _run(step, content, context or self._context(content, generate))
        if made is _NOTHING:
            raise TimeoutError(
                f"on {content!r:.200} it had not ended after {self.limit_s:g} s; bound its loops and waits. (If it "
                f"waits for a thread or a process, say virtual_time = False.)"
            )
        return made

    def _timed_ms(self, step: PipelineStep, content: Any) -> float:
        async def once() -> float:
            context, given = self._context(content), deepcopy(content)
            began = time.perf_counter()
            try:
                await self._process(step, given, context=context)
            except Exception:  # noqa: BLE001  # a failure takes its time too
                return time.perf_counter() - began
            return time.perf_counter() - began

        return self.run(self.backends[0], once) * 1000.0

    def _lines(self) -> list[Any]:
        return [answer for answer in self.answers if isinstance(answer, str)] or ["ok"]


async def _run(step: PipelineStep, content: Any, context: StepContext) -> Any:
    if step.slow and not inspect.iscoroutinefunction(step.process):
        return await to_thread.run_sync(step.process, content, context)
    made = step.process(content, context)
    return await made if inspect.isawaitable(made) else made


def _same(made: Any, expected: Any) -> bool:
    """Say whether two contents are the same; NaN is the same as NaN."""
    return made is expected or bool(made == expected) or repr(made) == repr(expected)
