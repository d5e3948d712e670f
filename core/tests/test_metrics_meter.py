"""The meter's totals, rates and snapshots."""

import json
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ErrorType
from penstock.metrics import Meter
from penstock.metrics.meter import MOST_NAMES, OTHER, USED
from penstock.schema import (
    GateSnapshot,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    ModelStats,
    SinkSnapshot,
    StatsSnapshot,
    Usage,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNUSED = Usage()


def attempt(number=1, error_type=None, *, cost_usd=Decimal(0), usage=UNUSED, duration_ms=10.0, queue_ms=1.0):
    return InvocationAttempt(
        number=number,
        success=error_type is None,
        enqueued_at=AT,
        started_at=AT,
        ended_at=AT,
        queue_ms=queue_ms,
        duration_ms=duration_ms,
        error_type=error_type,
        error_message=error_type and "said so",
        usage=usage,
        cost_usd=cost_usd,
    )


def result(attempts=(), *, model="openai/gpt-4o", operation=None, error_type=None, parent=None, degraded=False):
    provider, _, name = model.partition("/")
    costs = [each.cost_usd for each in attempts]
    return GenerationResult(
        success=error_type is None,
        trace_id="t",
        parent_trace_id=parent,
        request=GenerationRequest(model=model, prompt="hi", operation=operation, parent_trace_id=parent),
        model=name,
        provider=provider,
        error_type=error_type,
        error_message=error_type and "said so",
        degraded=degraded,
        attempts=tuple(attempts),
        usage=sum((each.usage for each in attempts), UNUSED),
        cost_usd=None if None in costs else sum(costs, Decimal(0)),
    )


def tell(meter, ended, now=0.0):
    """Tell a meter the whole story of a request, as the engine does."""
    meter.started(ended.request)
    for each in ended.attempts:
        meter.sent(now)
        meter.received(now, model=f"{ended.provider}/{ended.model}", operation=ended.request.operation, attempt=each)
    meter.ended(ended)


def look(meter, now=0.0):
    return meter.snapshot(now=now, at=AT)


usages = st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6))
costs = st.none() | st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-13))
errors = st.none() | st.sampled_from([ErrorType.HTTP_429, ErrorType.TIMEOUT, ErrorType.CANCELLED])
attempts = st.builds(attempt, st.integers(1, 3), errors, cost_usd=costs, usage=usages)
results = st.builds(
    result,
    st.lists(attempts, max_size=3),
    model=st.sampled_from(["openai/a", "openai/b", "gemini/a"]),
    operation=st.none() | st.sampled_from(["chat", "judge"]),
    error_type=errors,
)


@given(st.lists(results, max_size=30))
def test_b1_b48_the_sums_over_results_are_the_totals_exactly(told):
    meter = Meter()
    for each in told:
        tell(meter, each)
    seen = look(meter)
    calls = [each for one in told for each in one.attempts]
    assert seen.usage == sum((each.usage for each in calls), Usage())
    assert seen.cost_usd == sum((each.cost_usd for each in calls if each.cost_usd is not None), Decimal(0))
    assert (seen.requests, seen.attempts) == (len(told), len(calls))
    assert seen.succeeded == sum(each.success for each in told)
    assert seen.failed == sum(not each.success for each in told)
    for rows in (seen.by_model, *([seen.by_operation] if all(one.request.operation for one in told) else [])):
        assert sum(row.cost_usd for row in rows.values()) == seen.cost_usd
        assert sum(row.requests for row in rows.values()) == seen.requests
        assert sum(row.attempts for row in rows.values()) == seen.attempts
        assert sum((row.usage for row in rows.values()), Usage()) == seen.usage


def test_b47_ten_thousand_tiny_costs_add_up_to_the_last_digit():
    meter = Meter()
    for _ in range(10_000):
        tell(meter, result([attempt(cost_usd=Decimal("0.000002"))], operation="tiny"))
    assert look(meter).cost_usd == Decimal("0.02")
    assert meter.usage("tiny").cost_usd == Decimal("0.02")


def test_b47_sums_do_not_depend_on_the_precision_of_the_callers_decimal_context():
    meter = Meter()
    with localcontext() as context:
        context.prec = 3
        tell(meter, result([attempt(cost_usd=Decimal(1000))]))
        tell(meter, result([attempt(cost_usd=Decimal("0.0000001"))]))
    assert look(meter).cost_usd == Decimal("1000.0000001")


def test_b1_b48_a_steps_own_call_counts_in_tokens_and_cost_and_not_as_a_request():
    meter = Meter()
    used = Usage(input_tokens=10, output_tokens=5)
    tell(meter, result([attempt(cost_usd=Decimal("0.001"), usage=used)]))
    tell(meter, result([attempt(cost_usd=Decimal("0.001"), usage=used)], parent="t"))
    seen = look(meter)
    assert (seen.requests, seen.succeeded, seen.attempts) == (1, 1, 2)
    assert seen.cost_usd == Decimal("0.002")
    assert seen.usage.total_tokens == 30


def test_b47_an_unknown_price_is_flagged_and_no_zero():
    meter = Meter()
    tell(meter, result([attempt(cost_usd=None, usage=Usage(input_tokens=5))], model="sim/new", operation="op"))
    tell(meter, result([attempt(cost_usd=Decimal(1))], model="openai/gpt-4o", operation="op"))
    seen = look(meter)
    assert (seen.cost_usd, seen.cost_unknown) == (Decimal(1), 1)
    assert seen.by_model["sim/new"].cost_unknown == 1
    assert seen.by_model["openai/gpt-4o"].cost_unknown == 0
    assert meter.usage("op").cost_unknown == 1


def test_b47_a_failed_call_that_used_nothing_leaves_no_cost_unknown():
    meter = Meter()
    tell(meter, result([attempt(1, ErrorType.CONNECTION, cost_usd=None)], error_type=ErrorType.CONNECTION))
    assert look(meter).cost_unknown == 0


def test_retries_and_errors_count_each_failure_once():
    meter = Meter()
    limited = ErrorType.HTTP_429
    tell(meter, result([attempt(1, limited), attempt(2, limited), attempt(3)]))
    tell(meter, result([attempt(1, limited)], error_type=limited))
    tell(meter, result([attempt(1, limited)], error_type=ErrorType.DEADLINE_EXCEEDED))
    tell(meter, result([], error_type=ErrorType.GATE_REFUSED))
    seen = look(meter)
    assert seen.retries == 2
    assert seen.errors == {"http_429": 4, "deadline_exceeded": 1, "gate_refused": 1}


def test_b12_results_are_told_apart_by_their_flags():
    meter = Meter()
    tell(meter, result())
    tell(meter, result(degraded=True))
    tell(meter, result(error_type=ErrorType.CANCELLED))
    seen = look(meter)
    assert (seen.succeeded, seen.degraded, seen.failed, seen.cancelled) == (2, 1, 1, 1)


def test_a_request_that_found_no_provider_is_counted_under_what_its_caller_wrote():
    meter = Meter()
    lost = GenerationResult(
        success=False,
        trace_id="t",
        request=GenerationRequest(model="nowhere/x", prompt="hi"),
        error_type=ErrorType.NOT_FOUND,
        error_message="no provider",
    )
    tell(meter, lost)
    meter.ended(GenerationResult(success=False, trace_id="t", request=GenerationRequest(prompt="hi")))
    assert set(look(meter).by_model) == {"nowhere/x", "(none)"}


def test_b34_sent_and_received_times_are_deques_of_those_names_and_trimmed():
    meter = Meter(window_s=60.0)
    assert isinstance(meter.sent_ts, deque)
    assert isinstance(meter.rcv_ts, deque)
    for second in range(200):
        meter.sent(float(second))
        meter.received(float(second), model="a/b", operation=None, attempt=attempt(usage=Usage(input_tokens=2)))
    assert len(meter.sent_ts) == len(meter.rcv_ts) == 60
    seen = look(meter, 199.0)
    assert (seen.rpm, seen.repm, seen.tpm) == (60, 60, 120)
    seen = look(meter, 259.0)
    assert (seen.rpm, seen.repm, seen.tpm) == (0, 0, 0)
    assert not meter.sent_ts
    assert not meter.rcv_ts
    assert seen.attempts == 200


def test_calls_in_flight_are_those_sent_and_not_over():
    meter = Meter()
    meter.sent(1.0)
    meter.sent(1.5)
    assert look(meter, 2.0).in_flight == 2
    meter.received(2.0, model="a/b", operation=None, attempt=attempt())
    assert look(meter, 2.0).in_flight == 1


def test_latency_and_queue_percentiles_are_of_recent_calls():
    meter = Meter()
    for number in range(1, 5001):
        meter.sent(0.0)
        meter.received(0.0, model="a/b", operation=None, attempt=attempt(duration_ms=float(number), queue_ms=2.0))
    seen = look(meter)
    assert (seen.latency_ms.p50, seen.latency_ms.p90, seen.latency_ms.p99) == (4000, 4800, 4980)
    assert seen.queue_ms.p99 == 2.0


def test_a_table_holds_a_thousand_names_and_sums_the_rest():
    meter = Meter()
    for number in range(MOST_NAMES + 500):
        tell(meter, result([attempt(cost_usd=Decimal(1))], model=f"sim/{number}", operation=f"op {number}"))
    seen = look(meter)
    for rows in (seen.by_model, seen.by_operation):
        assert len(rows) == MOST_NAMES + 1
        assert rows[OTHER].cost_usd == 500
        assert rows[OTHER].requests == 500
    assert seen.cost_usd == MOST_NAMES + 500


def test_b48_usage_is_summed_for_an_operation_and_for_everything():
    meter = Meter()
    tell(meter, result([attempt(cost_usd=Decimal(1))], operation="judge"))
    tell(meter, result([attempt(cost_usd=Decimal(2))]))
    assert meter.usage("judge").cost_usd == 1
    assert meter.usage(None).cost_usd == meter.usage().cost_usd == 3
    assert meter.usage("never seen") == ModelStats()


def test_every_kind_of_usage_is_summed():
    each = Usage(**{name: number for number, name in enumerate(USED, 1)}, estimated=True)
    meter = Meter()
    tell(meter, result([attempt(usage=each), attempt(usage=each)]))
    tell(meter, result([attempt(usage=each)], model="openai/o3"))
    assert meter.usage().usage == each + each + each
    assert [getattr(meter.usage().usage, name) for name in USED] == [3 * number for number in range(1, len(USED) + 1)]


def test_b18_b29_a_snapshot_is_frozen_to_the_bottom_and_stays_what_it_was():
    meter = Meter()
    tell(meter, result([attempt(1, ErrorType.TIMEOUT), attempt(2, cost_usd=Decimal(1))], operation="op"))
    seen = meter.snapshot(now=1.0, at=AT, waiting=3, gates=(GateSnapshot(name="rpm"),), sinks=(SinkSnapshot(name="s"),))
    before = seen.to_dict()
    with pytest.raises(FrozenInstanceError):
        seen.requests = 5  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(FrozenInstanceError):
        seen.by_model["openai/gpt-4o"].requests = 5  # type: ignore[misc]  # likewise
    for mapping in (seen.errors, seen.by_model, seen.by_operation):
        with pytest.raises(TypeError, match="frozen"):
            mapping["x"] = None
    tell(meter, result([attempt(1, ErrorType.TIMEOUT)], operation="op", error_type=ErrorType.TIMEOUT))
    assert seen.to_dict() == before
    assert StatsSnapshot.from_dict(json.loads(json.dumps(before))) == seen


def test_uptime_runs_from_the_start_or_else_from_the_first_word():
    assert look(Meter(now=10.0), 15.0).uptime_s == 5.0
    meter = Meter()
    meter.sent(100.0)
    assert look(meter, 107.0).uptime_s == 7.0
    assert look(Meter(), 3.0).uptime_s == 0.0
