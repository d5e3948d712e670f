"""The service as users hold it: both loops, virtual time, real composition, a scripted provider."""

import asyncio
import json
import logging
import threading
import uuid
from datetime import UTC
from decimal import Decimal

import anyio
import pytest

from penstock import (
    BaseLLMProvider,
    ErrorType,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    PipelineStep,
    ProviderError,
    ProviderReply,
    RetryPolicy,
    RpmGate,
    Service,
    StepError,
    TpmGate,
    Usage,
)
from penstock.schema import AttemptEnded, LimitReading, RequestEnded, RequestStarted
from penstock.testing import RecordingSink, ScriptedProvider

pytestmark = pytest.mark.anyio

NO_WAIT = RetryPolicy(strategy="constant", base_s=0)
COSTS = {"fake/m": {"input": "1", "output": "2"}}


def service(*lines, provider=None, **options):
    options = {"max_rpm": None, "default_model": "fake/m", "costs": COSTS, "retry": NO_WAIT, **options}
    return Service(providers=[provider or ScriptedProvider(lines or ("ok",))], **options)


# ---------------------------------------------------------------- results


async def test_b54_a_prompt_is_enough():
    async with service("fine") as s:
        result = await s.generate_output_async("How are you?")
    assert (result.success, result.content, result.error_type) == (True, "fine", None)


async def test_b28_b58_a_request_comes_back_unchanged_and_identical_ones_both_reach_the_model():
    provider = ScriptedProvider()
    request = GenerationRequest(prompt="same", metadata={"row": 1}, custom_id="a")
    async with service(provider=provider) as s:
        first, second = [await s.generate_output_async(request) for _ in range(2)]
    assert len(provider.calls) == 2
    assert first.request is request
    assert first.request.custom_id == "a"
    assert first.trace_id != second.trace_id


async def test_b5_trace_ids_are_random_uuids_and_the_same_everywhere():
    provider, sink = ScriptedProvider(), RecordingSink()
    async with service(provider=provider, sinks=[sink]) as s:
        result = await s.generate_output_async("x")
    assert uuid.UUID(result.trace_id).version == 4
    assert provider.calls[0]["trace_id"] == result.trace_id
    assert {event.trace_id for event in sink.events} == {result.trace_id}
    assert [type(event) for event in sink.events] == [RequestStarted, AttemptEnded, RequestEnded]


async def test_b2_b45_at_least_fifteen_points_are_filled_in_order_and_in_utc():
    async with service("ok", pipeline=[str.upper]) as s:
        result = await s.generate_output_async("x")
    points = [getattr(result.timestamps, name) for name in result.timestamps.__slots__ if name != "__weakref__"]
    assert len(points) >= 15
    assert all(point is not None and point.tzinfo is UTC for point in points)
    assert points == sorted(points)
    step = result.pipeline_results[0]
    assert result.timestamps.postprocessing_started_at <= step.started_at <= step.ended_at
    assert step.ended_at <= result.timestamps.postprocessing_ended_at


async def test_b30_every_result_is_json_and_comes_back_equal():
    def boom(content):
        raise ValueError("not JSON")

    lines = [ProviderError("busy", ErrorType.OVERLOADED, status_code=529, retry_after_s=0.0), "late"]
    async with service(*lines, pipeline=[boom]) as s:
        result = await s.generate_output_async(GenerationRequest(prompt="x", extra={"k": [1, {"a": None}]}))
        snapshot = s.snapshot()
    assert GenerationResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert type(snapshot).from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot


# ---------------------------------------------------------------- failures are values


class Broken(BaseLLMProvider):
    """Raises at one place of its life."""

    name = "fake"

    def __init__(self, where, error):
        self.where, self.error = where, error

    def _maybe(self, where):
        if where == self.where:
            raise self.error

    def convert_request(self, request):
        self._maybe("convert_request")
        return {}

    def estimate(self, request):
        self._maybe("estimate")
        return super().estimate(request)

    def charge(self, usage):
        self._maybe("charge")
        return super().charge(usage)

    async def _invoke_impl(self, payload):
        self._maybe("invoke")
        return "ok", Usage(input_tokens=1)


@pytest.mark.parametrize("where", ["convert_request", "estimate", "invoke"])
@pytest.mark.parametrize(
    "error", [ValueError("odd"), IndexError("list index out of range"), TypeError(), KeyError("k")]
)
async def test_b10_b13_failure_10_no_exception_of_a_provider_gets_out(where, error):
    async with service(provider=Broken(where, error)) as s:
        result = await s.generate_output_async("x")
        assert s.snapshot().in_flight == 0
    assert not result.success
    assert result.error_type is ErrorType.UNKNOWN
    assert type(error).__name__ in result.error_message


async def test_b10_a_provider_that_cannot_say_what_it_charges_costs_nobody_a_permit():
    async with service(provider=Broken("charge", ValueError("odd")), max_concurrent_requests=1) as s:
        results = [await s.generate_output_async("x") for _ in range(3)]
    assert all(result.success for result in results)


@pytest.mark.parametrize("garbage", [None, 42, "text", ("a", "b", "c"), ("text", {"input": 1}), {}])
async def test_b53_garbage_from_a_provider_is_a_malformed_response(garbage):
    class Garbage(ScriptedProvider):
        async def _invoke_impl(self, payload):
            return garbage

    async with service(provider=Garbage()) as s:
        result = await s.generate_output_async("x")
    assert result.error_type is ErrorType.MALFORMED_RESPONSE
    assert "fake" in result.error_message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"promt": "x"}, "promt: no such field of a request; did you mean 'prompt'"),
        ({"prompt": "x", "temprature": 1}, "did you mean 'temperature'"),
        ({"prompt": "x", "max_tokens": "many"}, "max_tokens"),
        ({"prompt": "x", "pipeline": [{"use": "jsn_load"}]}, "jsn_load"),
    ],
)
async def test_b13_a_request_as_a_mapping_with_a_mistake_is_told_what_it_is(fields, words):
    async with service() as s:
        result = await s.generate_output_async(fields)
    assert result.error_type is ErrorType.INVALID_REQUEST
    assert words in result.error_message


@pytest.mark.parametrize("bad", [3, None, {}, b"bytes"])
async def test_b10_what_is_no_request_gets_a_failed_result_too(bad):
    async with service() as s:
        result = await s.generate_output_async(bad)
        assert s.snapshot().failed == 1
    assert result.error_type is ErrorType.INVALID_REQUEST
    assert result.error_message


@pytest.mark.parametrize(
    "fields", [{}, {"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, {"prompt": "x", "max_tokens": 0}]
)
async def test_a_request_that_cannot_exist_raises_at_construction(fields):
    with pytest.raises(ValueError, match=r"prompt or messages|max_tokens"):
        GenerationRequest(**fields)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-4o", "provider/model"),
        ("fak/m", "did you mean 'fake'"),
        ("nobody/m", "penstock plugins"),
        ("/m", "provider/model"),
        ("fake/", "provider/model"),
    ],
)
async def test_b57_an_unknown_model_name_is_an_error_and_never_a_guess(model, words):
    provider = ScriptedProvider()
    async with service(provider=provider) as s:
        result = await s.generate_output_async(GenerationRequest(model=model, prompt="x"))
    assert words in result.error_message
    assert provider.calls == []


async def test_b14_one_bad_item_affects_no_other():
    lines = [lambda payload: ("fine", None) if payload["prompt"] != "bad" else 1 / 0]
    async with service(*lines) as s:
        results = [r async for r in s.generate_many(["a", "bad", "c", 4, "d"], ordered=True)]
    assert [r.success for r in results] == [True, False, True, False, True]


# ---------------------------------------------------------------- retries


async def test_b4_every_attempt_is_on_record_with_its_backoff_and_error():
    lines = [
        ProviderError("slow down", ErrorType.HTTP_429, status_code=429, retry_after_s=2.0, request_id="r1"),
        ProviderError("oops", ErrorType.SERVER_ERROR, status_code=500),
        "done",
    ]
    retry = RetryPolicy(strategy="constant", base_s=1.0)
    async with service(*lines, retry=retry) as s:
        result = await s.generate_output_async("x")
    first, second, last = result.attempts
    assert [a.success for a in result.attempts] == [False, False, True]
    assert (first.error_type, first.status_code, first.retry_after_s) == (ErrorType.HTTP_429, 429, 2.0)
    assert first.request_id == "r1"
    assert 2000 <= first.backoff_ms <= 2200
    assert second.backoff_ms == pytest.approx(1000)
    assert last.backoff_ms == 0
    assert result.backoff.retry_loops == 2
    assert result.backoff.retry_ms == pytest.approx(first.backoff_ms + second.backoff_ms)
    assert result.backoff.total_ms == pytest.approx(result.backoff.client_ms + result.backoff.server_ms)


@pytest.mark.parametrize(
    "error_type",
    [ErrorType.INSUFFICIENT_QUOTA, ErrorType.AUTHENTICATION, ErrorType.INVALID_REQUEST, ErrorType.UNSUPPORTED_REGION],
)
async def test_b17_what_trying_again_cannot_mend_is_tried_once(error_type):
    provider = ScriptedProvider([ProviderError("no", error_type)])
    async with service(provider=provider) as s:
        result = await s.generate_output_async("x")
    assert len(provider.calls) == len(result.attempts) == 1
    assert result.error_type is result.attempts[0].error_type is error_type


async def test_failure_6_each_retry_passes_the_gates_again_and_counts():
    gate = RpmGate(600)
    provider = ScriptedProvider([ProviderError("busy", ErrorType.OVERLOADED)])
    async with service(provider=provider, gates=[gate]) as s:
        await s.generate_output_async("x")
        assert s.snapshot().attempts == 3
        used = next(seen for seen in s.snapshot().gates if seen.name == "rpm").used
    assert used == 3


async def test_after_a_429_the_gate_holds_everyone_and_the_refused_request_goes_first():
    lines = [ProviderError("slow down", ErrorType.HTTP_429, retry_after_s=20), "one", "two", "three"]
    starts = []
    async with service(*lines, gates=[RpmGate(600)]) as s:

        async def ask(prompt):
            result = await s.generate_output_async(prompt)
            starts.append((prompt, result.attempts[-1].started_at, result))

        async with anyio.create_task_group() as tasks:
            for prompt in ("refused", "second", "third"):
                tasks.start_soon(ask, prompt)
                await anyio.sleep(0.001)
    assert [prompt for prompt, _, _ in sorted(starts, key=lambda start: start[1])] == ["refused", "second", "third"]
    refused = next(result for prompt, _, result in starts if prompt == "refused")
    assert refused.attempts[0].backoff_ms >= 20_000
    assert refused.backoff.retry_ms == refused.attempts[0].backoff_ms


@pytest.mark.parametrize(("refusals", "attempts"), [(0, 3), (4, 7)])
async def test_refusals_that_a_gate_heeds_may_be_free_of_the_count_of_tries(refusals, attempts):
    retry = RetryPolicy(max_refusals=refusals)
    async with service(
        ProviderError("no", ErrorType.HTTP_429, retry_after_s=1), gates=[RpmGate(600)], retry=retry
    ) as s:
        result = await s.generate_output_async("x")
    assert len(result.attempts) == attempts


async def test_a_hint_that_no_gate_heeds_is_slept_for_by_the_request_itself():
    tokens_ran_out = (LimitReading(dimension="tokens", limit=1000, remaining=0, reset_s=30),)
    lines = [ProviderError("slow down", ErrorType.HTTP_429, retry_after_s=30, limits=tokens_ran_out), "fine"]
    async with service(*lines, gates=[RpmGate(600)]) as s:
        result = await s.generate_output_async("x")
        assert s.snapshot().gates[0].frozen_s == 0
    assert result.success
    assert result.attempts[0].backoff_ms >= 30_000


async def test_a_hint_of_an_hour_ends_its_request_and_holds_the_others_for_minutes_at_most():
    lines = [ProviderError("tomorrow", ErrorType.HTTP_429, retry_after_s=3600), "fine"]
    async with service(*lines, gates=[RpmGate(600)]) as s:
        assert not (await s.generate_output_async("x")).success
        began = anyio.current_time()
        assert (await s.generate_output_async("y")).success
        assert anyio.current_time() - began <= 660


async def test_priorities_get_their_shares_of_turns():
    provider, order = ScriptedProvider(), []
    async with service(provider=provider, max_rpm=60) as s, anyio.create_task_group() as tasks:

        async def ask(priority):
            result = await s.generate_output_async(GenerationRequest(prompt="x", priority=priority))
            order.append((result.attempts[0].started_at, priority))

        for priority in [1] * 20 + [3] * 20:
            tasks.start_soon(ask, priority)
    first = [priority for _, priority in sorted(order)][:21]
    assert 13 <= first.count(3) <= 17


async def test_no_permit_is_held_while_backing_off():
    provider = ScriptedProvider([ProviderError("busy", ErrorType.OVERLOADED), "one", "two"])
    retry = RetryPolicy(strategy="constant", base_s=60)
    async with service(provider=provider, retry=retry, max_concurrent_requests=1) as s, anyio.create_task_group() as t:
        t.start_soon(s.generate_output_async, "a")
        await anyio.sleep(1)
        began = anyio.current_time()
        assert (await s.generate_output_async("b")).success
        assert anyio.current_time() - began < 1


async def test_b14_a_deadline_includes_waits_and_retries():
    lines = [ProviderError("busy", ErrorType.OVERLOADED)]
    retry = RetryPolicy(strategy="constant", base_s=30, max_retries=100)
    async with service(*lines, retry=retry, timeout_s=100) as s:
        began = anyio.current_time()
        result = await s.generate_output_async("x")
        assert anyio.current_time() - began == pytest.approx(100)
    assert result.error_type is ErrorType.DEADLINE_EXCEEDED
    assert "100 s" in result.error_message
    assert len(result.attempts) == 4


async def test_b14_a_wait_at_a_gate_ends_at_the_deadline_too():
    async with service(max_rpm=1) as s:
        await s.generate_output_async("x")
        result = await s.generate_output_async(GenerationRequest(prompt="y", timeout_s=5))
        assert s.snapshot().waiting == 0
    assert result.error_type is ErrorType.DEADLINE_EXCEEDED
    assert "gate 'rpm'" in result.error_message
    assert result.backoff.rpm_ms == pytest.approx(5000)
    assert result.attempts == ()


async def test_b53_a_provider_that_hangs_is_timed_out_and_its_input_is_priced():
    provider = ScriptedProvider(latency_s=10_000)
    async with service(provider=provider, attempt_timeout_s=30, retry=RetryPolicy(strategy="none")) as s:
        result = await s.generate_output_async("x" * 400)
    assert result.error_type is ErrorType.TIMEOUT
    assert result.usage.estimated
    assert result.cost_usd == Decimal(101) / 1_000_000


async def test_a_call_that_never_left_takes_nothing_from_any_limit():
    gates = [RpmGate(600), TpmGate(6000)]
    provider = ScriptedProvider([ProviderError("refused", ErrorType.CONNECTION, sent=False)])
    async with service(provider=provider, gates=gates) as s:
        result = await s.generate_output_async("x")
        assert [gate.used for gate in s.snapshot().gates] == [0, 0]
    assert len(result.attempts) == 3
    assert result.usage.total_tokens == 0


# ---------------------------------------------------------------- pipeline


async def test_b38_b49_b50_a_failed_step_stops_the_pipeline_and_the_raw_text_stands():
    ran = []

    def first(content):
        ran.append("first")
        return content + "!"

    def broken(content):
        raise StepError("no number in it")

    def never(content):
        ran.append("never")

    async with service("raw", pipeline=[first, broken, never]) as s:
        result = await s.generate_output_async("x")
    assert ran == ["first"]
    assert (result.success, result.degraded, result.content) == (True, True, "raw")
    assert [step.step_name for step in result.pipeline_results] == ["first", "broken"]
    assert result.pipeline_results[0].content_after == "raw!"
    assert result.pipeline_results[1].error_message == "no number in it"
    assert s.snapshot().degraded == 1


async def test_b23_b39_steps_run_in_order_async_and_slow_ones_too():
    class Later(PipelineStep):
        name = "later"

        async def process(self, content, context):
            await anyio.sleep(1)
            return content + context.request.prompt

    class Slow(PipelineStep):
        name, slow = "slow", True

        def process(self, content, context):
            return f"{content} {threading.current_thread() is not threading.main_thread()}"

    async with service("a", pipeline=[Later(), Slow(), str.upper]) as s:
        result = await s.generate_output_async("b")
    assert result.content == "AB TRUE"


class Isolating(PipelineStep):
    """Asks the model a second time."""

    name = "semantic_isolation"

    async def process(self, content, context):
        second = await context.generate(GenerationRequest(prompt=f"isolate: {content}"))
        if not second.success:
            raise StepError(second.error_message)
        return second.content


async def test_b1_failure_7_a_steps_own_call_passes_the_gates_and_counts_in_its_parent():
    sink, gate = RecordingSink(), RpmGate(600, operation="op")
    async with service("first", "second", pipeline=[Isolating()], gates=[gate], sinks=[sink]) as s:
        result = await s.generate_output_async(GenerationRequest(prompt="x", operation="op"))
        snapshot = s.snapshot()
    assert result.content == "second"
    assert gate.snapshot(0).used == snapshot.attempts == 2
    ends = [event.result for event in sink.events if isinstance(event, RequestEnded)]
    child = next(end for end in ends if end.parent_trace_id)
    assert (child.parent_trace_id, child.request.operation) == (result.trace_id, "op")
    assert snapshot.by_operation["op"].cost_usd == result.cost_usd
    step = result.pipeline_results[0]
    assert step.cost_usd == child.cost_usd
    assert step.cost_usd
    assert result.cost_usd == result.attempts[0].cost_usd + child.cost_usd == snapshot.cost_usd
    assert result.usage.total_tokens == snapshot.usage.total_tokens


async def test_cancelling_during_a_step_still_records_what_was_spent():
    sink, done = RecordingSink(), []
    provider = ScriptedProvider(["first", "second"], latency_s=10)
    async with service(provider=provider, pipeline=[Isolating()], sinks=[sink]) as s:
        with anyio.move_on_after(15):
            done.append(await s.generate_output_async("x"))
        snapshot = s.snapshot()
    assert done == []
    parent = next(e.result for e in sink.events if isinstance(e, RequestEnded) and not e.result.parent_trace_id)
    assert parent.success
    assert parent.degraded
    assert snapshot.cost_usd == parent.cost_usd
    assert snapshot.attempts == 2


# ---------------------------------------------------------------- costs and figures


async def test_b47_an_unknown_price_is_unknown_and_not_zero():
    async with service("ok", costs={}) as s:
        result = await s.generate_output_async("x")
        snapshot = s.snapshot()
    assert result.cost_usd is None
    assert not result.cost_known
    assert snapshot.cost_unknown == 1


async def test_failure_12_ten_thousand_tiny_costs_add_up_exactly():
    costs = {"fake/m": {"input": "2", "output": "0"}}
    reply = ProviderReply("ok", Usage(input_tokens=1))
    async with service(reply, costs=costs) as s:
        total = sum([r.cost_usd async for r in s.generate_many(["x"] * 10_000)], Decimal(0))
        assert total == s.snapshot().cost_usd == Decimal("0.02")


async def test_b1_b48_results_add_up_to_the_services_totals():
    lines = [
        ProviderError("busy", ErrorType.OVERLOADED),
        "a",
        ProviderError("no", ErrorType.INVALID_REQUEST),
        "bb",
        "ccc",
    ]
    async with service(*lines) as s:
        results = [await s.generate_output_async(GenerationRequest(prompt="x", operation=o)) for o in "aabb"]
        snapshot = s.snapshot()
        by_operation = s.usage("a"), s.usage("b")
    assert snapshot.requests == 4
    assert snapshot.succeeded == sum(r.success for r in results)
    assert snapshot.attempts == sum(len(r.attempts) for r in results)
    assert snapshot.cost_usd == sum(r.cost_usd for r in results) == sum(o.cost_usd for o in by_operation)
    assert snapshot.usage.total_tokens == sum(r.usage.total_tokens for r in results)
    assert snapshot.errors == {"overloaded": 1, "invalid_request": 1}


async def test_a_fault_that_every_request_meets_is_told_in_full_once(caplog):
    async with service(KeyError("oops")) as s:
        results = [await s.generate_output_async("x") for _ in range(20)]
    assert {result.error_type for result in results} == {ErrorType.UNKNOWN}
    [record] = caplog.records
    assert record.exc_info
    assert results[0].trace_id in record.getMessage()


async def test_b42_the_library_adds_no_handlers_and_changes_no_levels():
    before = list(logging.getLogger().handlers)
    async with service() as s:
        await s.generate_output_async("x")
    assert logging.getLogger("penstock").handlers == []
    assert logging.getLogger("penstock").level == logging.NOTSET
    assert logging.getLogger().handlers == before


# ---------------------------------------------------------------- many


async def test_generate_many_is_lazy_and_bounded():
    pulled = 0

    def source():
        nonlocal pulled
        for number in range(1000):
            pulled += 1
            yield f"{number}"

    provider = ScriptedProvider(latency_s=1)
    async with service(provider=provider) as s:
        seen = 0
        async for _ in s.generate_many(source(), max_in_flight=7):
            seen += 1
            assert pulled <= seen + 7
            if seen == 50:
                break
    assert provider.most_in_flight <= 7


@pytest.mark.parametrize("ordered", [True, False])
async def test_b41_generate_many_answers_each_request_once_in_the_order_asked_for(ordered):
    class Uneven(ScriptedProvider):
        async def _invoke_impl(self, payload):
            await anyio.sleep(int(payload["prompt"]) * 7 % 5)
            return payload["prompt"], None

    async with service(provider=Uneven()) as s:
        got = [r.content async for r in s.generate_many((str(n) for n in range(100)), ordered=ordered)]
    expected = [str(n) for n in range(100)]
    assert (got if ordered else sorted(got, key=int)) == expected
    assert ordered or got != expected


async def collect(results, got):
    async for result in results:
        got.append(result.content)  # what came before an error counts


async def test_generate_many_takes_an_async_iterable_and_raises_its_error_after_the_rest():
    async def source():
        yield "a"
        yield "b"
        raise OSError("the file went away")

    got = []
    async with service() as s:
        with pytest.raises(OSError, match="went away"):
            await collect(s.generate_many(source()), got)
    assert got == ["ok", "ok"]


async def test_an_empty_input_gives_no_results():
    async with service() as s:
        assert [r async for r in s.generate_many([])] == []


# ---------------------------------------------------------------- streams


async def test_a_stream_gives_chunks_and_then_the_result():
    async with service("hello world", pipeline=[str.upper]) as s, s.stream("x") as stream:
        with pytest.raises(RuntimeError, match="under way"):
            _ = stream.result
        chunks = [chunk.text async for chunk in stream]
    assert "".join(chunks) == "hello world"
    assert (stream.result.success, stream.result.content) == (True, "HELLO WORLD")
    assert stream.result.attempts[0].first_chunk_ms is not None


async def test_a_stream_that_is_left_early_is_settled_and_priced():
    provider = ScriptedProvider(["abcdefgh" * 10], latency_s=1)
    async with service(provider=provider, max_concurrent_requests=1) as s:
        async with s.stream("x" * 400) as stream:
            async for _ in stream:
                break
        assert (await s.generate_output_async("next")).success
        snapshot = s.snapshot()
    result = stream.result
    assert (result.success, result.error_type, result.content) == (False, ErrorType.CANCELLED, "abcd")
    assert result.usage.estimated
    assert result.usage.input_tokens == 101
    assert result.cost_usd == Decimal(101 + 2) / 1_000_000
    assert snapshot.cancelled == 1


async def test_a_stream_that_fails_before_its_first_chunk_is_tried_again():
    async with service(ProviderError("busy", ErrorType.OVERLOADED), "fine") as s, s.stream("x") as stream:
        assert "".join([chunk.text async for chunk in stream]) == "fine"
    assert len(stream.result.attempts) == 2


async def test_a_stream_that_fails_after_chunks_is_not_tried_again_and_keeps_them():
    class Torn(ScriptedProvider):
        async def stream(self, payload):
            self.calls.append(payload)
            yield GenerationChunk("abcd")
            raise ProviderError("connection lost", ErrorType.CONNECTION)

    provider = Torn()
    async with service(provider=provider) as s, s.stream("x") as stream:
        chunks = [chunk.text async for chunk in stream]
    assert chunks == ["abcd"]
    assert (stream.result.error_type, stream.result.content) == (ErrorType.CONNECTION, "abcd")
    assert len(provider.calls) == 1


# ---------------------------------------------------------------- life


async def test_closing_closes_providers_and_drains_sinks():
    provider, sink = ScriptedProvider(), RecordingSink()
    async with service(provider=provider, sinks=[sink]) as s:
        await s.generate_output_async("x")
    assert provider.closed
    assert sink.closed
    assert len(sink.events) == 3
    late = await s.generate_output_async("y")
    assert late.error_type is ErrorType.SERVICE_CLOSED
    assert s.snapshot().requests == 1


async def test_closing_waits_for_what_is_under_way():
    results = []

    async def ask(s):
        results.append(await s.generate_output_async("x"))

    async with anyio.create_task_group() as tasks, service(provider=ScriptedProvider(latency_s=5)) as s:
        tasks.start_soon(ask, s)
        await anyio.sleep(1)
    assert [r.success for r in results] == [True]


async def test_a_block_closes_its_service_itself_and_says_so_to_whoever_tries_before():
    async with service() as s:
        with pytest.raises(RuntimeError, match="leave the block instead"):
            await s.aclose()
        assert (await s.generate_output_async("x")).success
    await s.aclose()  # afterwards there is nothing left to do


async def test_an_exception_in_the_block_comes_out_as_it_is_and_everything_is_closed():
    provider, sink = ScriptedProvider(latency_s=500), RecordingSink()

    async def fail(tasks):
        async with service(provider=provider, sinks=[sink]) as s:
            tasks.start_soon(s.generate_output_async, "x")
            await anyio.sleep(1)
            raise KeyError("mine")

    async with anyio.create_task_group() as tasks:
        with pytest.raises(KeyError, match="mine"):
            await fail(tasks)
        tasks.cancel_scope.cancel()
    assert provider.closed
    assert sink.closed


async def test_b18_a_service_answers_threads_and_other_loops_at_once():
    provider = ScriptedProvider(latency_s=0.001)
    results = []
    async with service(provider=provider) as s:

        def from_sync():
            results.extend(s.generate_output("x") for _ in range(20))

        def from_asyncio():
            results.extend(asyncio.run(several()))

        async def several():
            return [await s.generate_output_async("y") for _ in range(20)]

        async with anyio.create_task_group() as tasks:
            for work in (from_sync, from_asyncio) * 3:
                tasks.start_soon(anyio.to_thread.run_sync, work)
        snapshot = s.snapshot()
    assert len(results) == snapshot.requests == 120
    assert len({r.trace_id for r in results}) == 120


async def test_on_its_own_loop_the_sync_call_says_what_to_do_instead_of_hanging():
    async with service() as s:
        result = s.generate_output("x")
    assert "generate_output_async" in result.error_message


async def test_b20_cancelling_a_thousand_calls_leaves_the_books_at_zero():
    provider = ScriptedProvider(latency_s=50)
    async with service(provider=provider, max_rpm=6000, max_concurrent_requests=100) as s:
        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(s.generate_output_async, str(number))
            await anyio.sleep(20)
            assert s.snapshot().waiting > 0
            tasks.cancel_scope.cancel()
        snapshot = s.snapshot()
        assert (snapshot.in_flight, snapshot.waiting) == (0, 0)
        assert next(g for g in snapshot.gates if g.name == "concurrency").used == 0
        assert snapshot.cancelled == 1000
        assert (await s.generate_output_async("after")).success
