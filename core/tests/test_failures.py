"""The sixteen failures of the library that penstock learned from, each impossible here, through public names only."""

import json
import logging
import threading
from bisect import bisect_left
from datetime import timedelta
from decimal import Decimal

import anyio
import attrs
import pytest

from penstock import (
    BaseLLMProvider,
    ConcurrencyGate,
    Demand,
    ErrorType,
    GenerationRequest,
    GenerationResult,
    PipelineStep,
    ProviderError,
    ProviderReply,
    RetryPolicy,
    RpmGate,
    Service,
    TpmGate,
    Usage,
)
from penstock.builtin.log_sink import LogSink
from penstock.testing import ManualClock, ScriptedProvider

pytestmark = pytest.mark.anyio

NO_WAIT = RetryPolicy(strategy="constant", base_s=0)


def most_in_a_minute(times):
    times = sorted(times)
    return max(bisect_left(times, at + timedelta(seconds=60)) - i for i, at in enumerate(times))


async def run_at_once(service, requests):
    results = []

    async def one(request):
        results.append(await service.generate_output_async(request))

    async with anyio.create_task_group() as tasks:
        for request in requests:
            tasks.start_soon(one, request)
    return results


async def test_failure_01_waiting_for_a_slot_never_carries_a_request_past_the_rate():
    provider = ScriptedProvider(latency_s=25)
    async with Service(providers=[provider], max_rpm=20, max_concurrent_requests=2, default_model="fake/m") as s:
        results = await run_at_once(s, [str(n) for n in range(60)])
    assert most_in_a_minute([r.attempts[0].started_at for r in results]) <= 20


async def test_failure_02_tokens_are_counted_before_the_call_and_not_on_receipt():
    reply = ProviderReply("ok", Usage(input_tokens=50, output_tokens=50))
    provider = ScriptedProvider([reply], latency_s=30)
    async with Service(providers=[provider], max_rpm=None, max_tpm=200, default_model="fake/m") as s:
        request = GenerationRequest(prompt="x" * 196, max_tokens=50)
        results = await run_at_once(s, [request] * 12)
    assert most_in_a_minute([r.attempts[0].started_at for r in results]) <= 2


def test_failure_03_a_gate_is_arithmetic_and_can_be_asked_without_an_event_loop():
    clock, gate = ManualClock(), RpmGate(60, burst=1, jitter_s=0)
    gate.take(Demand(), clock.now())
    assert gate.delay(Demand(), clock.now()) == pytest.approx(1.0)
    clock.advance(1.0)
    assert gate.delay(Demand(), clock.now()) == 0.0


@pytest.mark.parametrize("gate", [RpmGate, TpmGate, ConcurrencyGate])
def test_failure_04_a_limit_of_zero_is_refused_instead_of_spinning(gate):
    with pytest.raises(ValueError, match="limit"):
        gate(0)
    with pytest.raises(ValueError, match="max_rpm"):
        Service(max_rpm=0)


async def test_failure_05_resizing_never_lets_more_calls_in_flight_than_either_limit():
    gate, provider = ConcurrencyGate(10), ScriptedProvider(latency_s=10)
    async with Service(providers=[provider], gates=[gate], default_model="fake/m") as s, anyio.create_task_group() as t:
        t.start_soon(run_at_once, s, [str(n) for n in range(40)])
        await anyio.sleep(1)
        gate.resize(5)
        provider.most_in_flight = 0
        await anyio.sleep(15)
        assert provider.in_flight <= 5
    assert provider.most_in_flight <= 5


async def test_failure_06_every_attempt_counts_failed_ones_too():
    provider = ScriptedProvider([ProviderError("busy", ErrorType.OVERLOADED)])
    async with Service(providers=[provider], max_rpm=20, retry=NO_WAIT, default_model="fake/m") as s:
        results = await run_at_once(s, [str(n) for n in range(20)])
        snapshot = s.snapshot()
    starts = [attempt.started_at for r in results for attempt in r.attempts]
    assert len(starts) == snapshot.attempts == 60
    assert most_in_a_minute(starts) <= 20


async def test_failure_07_a_second_call_by_a_step_passes_the_gates_and_is_paid_for():
    class Isolation(PipelineStep):
        name = "semantic_isolation"

        async def process(self, content, context):
            return (await context.generate(GenerationRequest(prompt="isolate"))).content

    reply = ProviderReply("ok", Usage(input_tokens=500, output_tokens=250))
    costs = {"fake/m": {"input": 1, "output": 2}}
    gate = RpmGate(600)
    async with Service(
        providers=[ScriptedProvider([reply])], gates=[gate], pipeline=[Isolation()], costs=costs, default_model="fake/m"
    ) as s:
        result = await s.generate_output_async("x")
        assert result.cost_usd == s.snapshot().cost_usd == Decimal("0.002")
        assert gate.snapshot(0).used == s.snapshot().attempts == 2


async def test_failure_08_retry_time_is_measured_and_a_requests_own_policy_is_obeyed():
    provider = ScriptedProvider([ConnectionResetError("gone"), ConnectionResetError("gone"), "fine"])
    own = RetryPolicy(strategy="constant", base_s=3, max_retries=2)
    async with Service(providers=[provider], retry=RetryPolicy(strategy="none"), default_model="fake/m") as s:
        result = await s.generate_output_async(GenerationRequest(prompt="x", retry=own))
        alone = await s.generate_output_async("y")
    assert result.success
    assert result.backoff.retry_loops == 2
    assert result.backoff.retry_ms == pytest.approx(6000)
    assert result.attempts[0].error_type is ErrorType.CONNECTION
    assert len(alone.attempts) == 1


@pytest.mark.parametrize("error_type", list(ErrorType))
async def test_failure_09_the_type_of_an_error_reaches_attempt_and_result_with_a_message(error_type):
    provider = ScriptedProvider([ProviderError("", error_type)])
    async with Service(providers=[provider], max_rpm=None, retry=NO_WAIT, default_model="fake/m") as s:
        result = await s.generate_output_async("x")
    assert not result.success
    assert result.error_type is result.attempts[-1].error_type is error_type
    assert result.error_message
    assert result.attempts[-1].error_message


async def test_failure_10_no_exception_escapes_however_long_a_failed_call_took():
    class Odd(ScriptedProvider):
        def convert_request(self, request):
            return {}[request.model]

    slow = ScriptedProvider([IndexError("late")], latency_s=300, name="slow")
    async with Service(providers=[Odd(), slow], max_rpm=None) as s:
        for model in ("fake/m", "slow/m"):
            result = await s.generate_output_async(GenerationRequest(model=model, prompt="x"))
            assert not result.success
        assert s.snapshot().in_flight == 0


async def test_failure_11_twenty_calls_to_two_models_at_once_each_reach_their_own():
    class Naming(BaseLLMProvider):
        name = "fake"

        def convert_request(self, request):
            return {"model": request.model}

        async def _invoke_impl(self, payload):
            await anyio.sleep(1)
            return payload["model"], None

    async with Service(providers=[Naming()], max_rpm=None) as s:
        requests = [GenerationRequest(model=f"fake/m{n % 5}", prompt="x") for n in range(20)]
        results = await run_at_once(s, requests)
    assert all(r.content == r.request.model.removeprefix("fake/") for r in results)


async def test_failure_12_ten_thousand_costs_of_two_millionths_are_two_cents():
    provider = ScriptedProvider([ProviderReply("ok", Usage(input_tokens=1))])
    costs = {"fake/m": {"input": 2, "output": 0}}
    async with Service(providers=[provider], max_rpm=None, costs=costs, default_model="fake/m") as s:
        async for result in s.generate_many("x" for _ in range(10_000)):
            assert result.cost_usd == Decimal("0.000002")
        assert s.snapshot().cost_usd == Decimal("0.02")


async def test_failure_13_a_snapshot_cannot_be_changed_and_nothing_is_kept_for_ever():
    async with Service(providers=[ScriptedProvider()], max_rpm=None, default_model="fake/m") as s:
        await s.generate_output_async("x")
        snapshot = s.snapshot()
        await anyio.sleep(120)
        assert s.snapshot().rpm == 0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        snapshot.requests = 5  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(TypeError):
        snapshot.by_model["fake/m"] = None


async def test_failure_14_timestamps_are_complete_ordered_and_json():
    provider = ScriptedProvider(latency_s=1)
    async with Service(providers=[provider], max_rpm=60, default_model="fake/m") as s:
        result = (await run_at_once(s, ["a", "b", "c"]))[-1]
    stamps = list(attrs.asdict(result.timestamps).values())
    assert len(stamps) >= 15
    assert None not in stamps
    assert stamps == sorted(stamps)
    waited = result.timestamps.semaphore_acquired_at - result.timestamps.generation_enqueued_at
    assert waited > timedelta(seconds=1)
    assert GenerationResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


async def test_failure_15_a_failed_step_leaves_a_success_with_the_raw_text():
    def broken(content):
        raise ValueError("no")

    async with Service(providers=[ScriptedProvider(["raw"])], pipeline=[broken], default_model="fake/m") as s:
        result = await s.generate_output_async("x")
    assert (result.success, result.degraded, result.content) == (True, True, "raw")


def test_failure_16_the_metrics_logger_needs_no_loop_stops_and_keeps_no_process_alive(caplog):
    caplog.set_level(logging.INFO, logger="penstock.metrics")
    sink = LogSink(interval_s=3600)
    sink.start()
    assert all(thread.daemon for thread in threading.enumerate() if "penstock" in thread.name)
    sink.stop()
    sink.stop()
    sink.close()


async def test_failure_16_cancelling_a_waiter_leaks_no_count():
    async with Service(providers=[ScriptedProvider()], max_rpm=1, default_model="fake/m") as s:
        await s.generate_output_async("x")
        with anyio.move_on_after(5):
            await run_at_once(s, ["a", "b", "c"])
        assert s.snapshot().waiting == 0
