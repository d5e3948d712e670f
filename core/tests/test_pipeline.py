"""What steps may do and what becomes of it: timeouts, threads, and answers that are asked for again."""

import json
import logging
import threading
import time

import anyio
import pytest

from penstock import (
    GenerationRequest,
    PipelineStep,
    ProviderError,
    ProviderReply,
    RetryPolicy,
    RpmGate,
    Service,
    StepError,
)
from penstock.contracts import Registration
from penstock.errors import ErrorType
from penstock.hookspecs import hookimpl
from penstock.pipeline import as_step
from penstock.registry import load_registry
from penstock.schema import Message, RepairPolicy, StepSpec
from penstock.testing import ScriptedProvider, step_context

pytestmark = pytest.mark.anyio

COSTS = {"fake/m": {"input": "1", "output": "2"}}
ONCE = RepairPolicy(max_repairs=1)


class Conversations(ScriptedProvider):
    """Keeps whole conversations instead of last messages."""

    def convert_request(self, request):
        return {**super().convert_request(request), "messages": request.messages}


class Load(PipelineStep):
    """Strict JSON, which says what is wrong with an answer that is none."""

    name = "load"

    def process(self, content, context):
        try:
            return json.loads(content)
        except ValueError as error:
            raise StepError(f"no JSON: {content}", feedback="This is not JSON.") from error


class Positive(PipelineStep):
    name = "positive"

    def process(self, content, context):
        if content < 0:
            raise StepError(f"{content} is negative", feedback=f"{content} is negative.")
        return content


def service(*lines, provider=None, **options):
    options = {"max_rpm": None, "default_model": "fake/m", "costs": COSTS, **options}
    return Service(providers=[provider or Conversations(lines or ("ok",))], **options)


# ---------------------------------------------------------------- timeouts


class Forever(PipelineStep):
    name, timeout_s = "forever", 5.0

    async def process(self, content, context):
        await anyio.sleep_forever()


async def test_b19_a_step_that_hangs_fails_after_its_timeout_and_the_raw_text_stands():
    async with service("raw", pipeline=[Forever()]) as s:
        result = await s.generate_output_async("x")
    assert (result.success, result.degraded, result.content) == (True, True, "raw")
    assert result.pipeline_results[-1].error_message == "not done within its timeout of 5 s"
    assert result.pipeline_results[-1].duration_ms == pytest.approx(5000)


class Plugin:
    @hookimpl
    def penstock_steps(self):
        return [Registration("forever", Forever)]


async def test_a_request_and_a_config_file_may_give_a_step_another_timeout(tmp_path):
    registry = load_registry(plugins=[Plugin()], entry_points=False)
    async with service("raw", registry=registry) as s:
        request = GenerationRequest(prompt="x", pipeline=[StepSpec(use="forever", timeout_s=2)])
        result = await s.generate_output_async(request)
    assert result.pipeline_results[-1].duration_ms == pytest.approx(2000)
    file = tmp_path / "penstock.toml"
    file.write_text('[[pipeline]]\nuse = "forever"\ntimeout_s = 3\n')
    async with Service.from_config(file, registry=registry, providers=[ScriptedProvider()]) as s:
        result = await s.generate_output_async(GenerationRequest(model="fake/m", prompt="x"))
    assert result.pipeline_results[-1].duration_ms == pytest.approx(3000)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_slow_step_that_hangs_in_its_thread_fails_after_its_timeout_of_real_time():
    ended = threading.Event()

    class Stuck(PipelineStep):
        name, slow, timeout_s = "stuck", True, 0.01

        def process(self, content, context):
            ended.wait()

    try:
        async with service("raw", pipeline=[Stuck()]) as s:
            result = await s.generate_output_async("x")
    finally:
        ended.set()
    assert result.content == "raw"
    assert result.pipeline_results[-1].error_message == "not done within its timeout of 0.01 s"


async def test_a_plain_step_that_holds_everyone_up_is_named_once_and_then_runs_in_a_thread(monkeypatch, caplog):
    """The loop cannot take a plain call away from a step, but it can see to it that there is no second one."""
    threads, ticks = [], iter([0.0, 10.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))

    def dawdle(content):
        threads.append(threading.current_thread())
        return content

    step = as_step(dawdle)
    with caplog.at_level(logging.WARNING, "penstock"):
        for _ in range(2):
            assert await step.process("x", step_context("x"), logging.getLogger("penstock")) == "x"
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()
    [record] = caplog.records
    assert "'dawdle' held up everyone for 10000 ms" in record.getMessage()


async def test_a_missing_key_is_told_as_one():
    async with service("raw", pipeline=[lambda content: {"text": content}["price"]]) as s:
        result = await s.generate_output_async("x")
    assert result.pipeline_results[-1].error_message == "KeyError: 'price'"


# ---------------------------------------------------------------- repairs


async def test_no_answer_is_asked_for_again_unless_a_policy_says_so():
    provider = Conversations(["no", "1"])
    async with service(provider=provider, pipeline=[Load()]) as s:
        result = await s.generate_output_async("x")
    assert len(provider.calls) == 1
    assert [(step.step_name, step.success) for step in result.pipeline_results] == [("load", False)]


async def test_b19_b48_a_repair_is_one_more_call_through_the_gates_and_its_cost_is_on_record():
    provider, gate = Conversations(["no", "1"]), RpmGate(600)
    async with service(provider=provider, pipeline=[Load(), Positive()], repair=ONCE, gates=[gate]) as s:
        result = await s.generate_output_async("x")
        snapshot = s.snapshot()
    assert (result.content, result.raw_content, result.degraded) == (1, "no", False)
    assert [step.step_name for step in result.pipeline_results] == ["load", "repair", "load", "positive"]
    repair = result.pipeline_results[1]
    assert (repair.content_before, repair.content_after, repair.success) == ("no", "1", True)
    assert repair.cost_usd
    assert result.cost_usd == result.attempts[0].cost_usd + repair.cost_usd == snapshot.cost_usd
    assert gate.snapshot(0).used == snapshot.attempts == 2
    assert provider.calls[1]["messages"] == (
        Message("user", "x"),
        Message("assistant", "no"),
        Message("user", "This is not JSON.\nAnswer again, corrected."),
    )


async def test_repairs_end_at_their_number_and_then_the_first_answer_stands():
    provider = Conversations(["no", "-1", "still no", "1"])
    policy = RepairPolicy(max_repairs=2, prompt="Wrong: {feedback} {Try} again.")
    async with service(provider=provider, pipeline=[Load(), Positive()], repair=policy) as s:
        result = await s.generate_output_async("x")
    assert len(provider.calls) == 3
    assert (result.success, result.degraded, result.content) == (True, True, "no")
    assert result.pipeline_results[-1].error_message == "no JSON: still no"
    assert [message.text for message in provider.calls[2]["messages"]] == [
        "x",
        "no",
        "Wrong: This is not JSON. {Try} again.",
        "-1",
        "Wrong: -1 is negative. {Try} again.",
    ]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (ProviderError("gone", ErrorType.INVALID_REQUEST), "gone"),
        (ProviderReply(None), "the new answer has no text"),
    ],
)
async def test_a_repair_without_an_answer_is_on_record_and_ends_the_repairs(second, message):
    provider = Conversations(["no", second, "1"])
    async with service(provider=provider, pipeline=[Load()], repair=RepairPolicy(max_repairs=5)) as s:
        result = await s.generate_output_async("x")
    assert len(provider.calls) == 2
    assert (result.success, result.degraded, result.content) == (True, True, "no")
    assert (result.pipeline_results[-1].step_name, result.pipeline_results[-1].error_message) == ("repair", message)


async def test_a_failure_without_feedback_is_not_repaired():
    def refuse(content):
        raise StepError("no use")

    provider = Conversations()
    async with service(provider=provider, pipeline=[refuse], repair=ONCE) as s:
        result = await s.generate_output_async("x")
    assert len(provider.calls) == 1
    assert result.degraded


async def test_a_request_brings_a_repair_policy_of_its_own():
    async with service("no", "1", pipeline=[Load()]) as s:
        assert (await s.generate_output_async(GenerationRequest(prompt="x", repair=ONCE))).content == 1
    async with service("no", "1", pipeline=[Load()], repair=ONCE) as s:
        assert (await s.generate_output_async(GenerationRequest(prompt="x", repair=RepairPolicy()))).content == "no"


async def test_cancelling_during_a_repair_records_what_was_spent():
    provider, results = Conversations(["no", "1"], latency_s=10), []
    async with service(provider=provider, pipeline=[Load()], repair=ONCE, retry=RetryPolicy()) as s:
        with anyio.move_on_after(15):
            results.append(await s.generate_output_async("x"))
        snapshot = s.snapshot()
    assert not results
    assert snapshot.attempts == 2
    assert snapshot.cost_usd
