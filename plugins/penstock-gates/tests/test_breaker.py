"""The breaker: opens at once where no call can succeed, tells everyone who waits, and tries again with a few."""

import time
from collections import Counter

import anyio
import pytest

from penstock import (
    ConcurrencyGate,
    Demand,
    ErrorType,
    GateRefusedError,
    Outcome,
    ProviderError,
    ProviderReply,
    RetryPolicy,
    RpmGate,
    Service,
    Usage,
)
from penstock.contracts import NEVER
from penstock.testing import ScriptedProvider
from penstock_gates import BreakerGate

ONE = Demand()
FATAL = [
    ErrorType.INSUFFICIENT_QUOTA,
    ErrorType.AUTHENTICATION,
    ErrorType.PERMISSION,
    ErrorType.UNSUPPORTED_REGION,
]


def call(gate, now, error=None, **outcome):
    gate.take(ONE, now).settle(Outcome(error_type=error, **outcome), now)


@pytest.mark.parametrize("error", FATAL)
def test_one_failure_that_no_call_will_change_opens_it_at_once(error):
    gate, woken = BreakerGate(), []
    gate.watch(lambda: woken.append(1))
    call(gate, 0.0, error)
    assert woken
    with pytest.raises(GateRefusedError, match=f"breaker: no calls for another 290 s, because of {error.value}: "):
        gate.delay(ONE, 10.0)
    assert gate.snapshot(10.0).frozen_s == 290
    assert gate.delay(ONE, 300.0) == 0


def test_it_opens_when_enough_of_enough_calls_fail_within_the_window():
    gate = BreakerGate(share=0.5, calls=10, window_s=10)
    for number in range(9):
        call(gate, number * 0.1, ErrorType.SERVER_ERROR)
        assert gate.delay(ONE, number * 0.1) == 0
    call(gate, 15.0, ErrorType.SERVER_ERROR)  # the others were too long ago
    for number in range(8):
        call(gate, 16.0, None if number % 2 else ErrorType.TIMEOUT)
    assert gate.delay(ONE, 16.0) == 0
    call(gate, 16.0, ErrorType.CONNECTION, sent=False)
    with pytest.raises(GateRefusedError, match="6 failures in 10 calls, the last one connection"):
        gate.delay(ONE, 16.0)


@pytest.mark.parametrize("error", [ErrorType.INVALID_REQUEST, ErrorType.CONTENT_FILTER, ErrorType.HTTP_429, None])
def test_requests_that_are_wrong_and_limits_do_not_open_it(error):
    gate = BreakerGate(calls=1)
    for _ in range(100):
        call(gate, 0.0, error)
    assert gate.delay(ONE, 0.0) == 0


def test_after_the_cooldown_a_few_probes_decide():
    gate = BreakerGate(calls=1, cooldown_s=30, probes=2)
    call(gate, 0.0, ErrorType.SERVER_ERROR)
    probes = [gate.take(ONE, 30.0) for _ in range(2)]
    assert gate.delay(ONE, 30.0) == NEVER
    probes[0].settle(Outcome(), 31.0)
    assert gate.delay(ONE, 31.0) == NEVER
    probes[1].settle(Outcome(), 31.0)
    assert [gate.delay(ONE, 31.0) for _ in range(100)] == [0.0] * 100


def test_a_probe_that_fails_opens_it_again_and_one_that_tells_nothing_is_made_again():
    gate = BreakerGate(calls=1, cooldown_s=30, probes=1)
    call(gate, 0.0, ErrorType.SERVER_ERROR)
    call(gate, 30.0, ErrorType.CANCELLED)
    assert gate.delay(ONE, 30.0) == 0
    call(gate, 30.0, ErrorType.TIMEOUT)
    with pytest.raises(GateRefusedError, match="30 s, because of timeout when it was tried again"):
        gate.delay(ONE, 30.0)


def test_a_quota_that_is_still_used_up_keeps_it_open_for_as_long_again():
    gate = BreakerGate()
    call(gate, 0.0, ErrorType.INSUFFICIENT_QUOTA)
    call(gate, 300.0, ErrorType.INSUFFICIENT_QUOTA)
    assert gate.snapshot(300.0).frozen_s == 300


def test_calls_sent_before_it_changed_its_mind_change_nothing():
    gate = BreakerGate(calls=1, cooldown_s=30, probes=1)
    late = [gate.take(ONE, 0.0) for _ in range(3)]
    call(gate, 0.0, ErrorType.SERVER_ERROR)
    late[0].settle(Outcome(error_type=ErrorType.SERVER_ERROR), 20.0)
    assert gate.snapshot(20.0).frozen_s == 10
    call(gate, 30.0)
    late[1].settle(Outcome(error_type=ErrorType.AUTHENTICATION), 40.0)
    assert gate.delay(ONE, 40.0) == 0


def test_calls_may_wait_for_a_provider_that_is_down_but_not_for_a_quota():
    gate = BreakerGate(calls=1, cooldown_s=30, when_open="wait")
    call(gate, 0.0, ErrorType.SERVER_ERROR)
    assert gate.delay(ONE, 10.0) == 20
    call(gate, 30.0, ErrorType.INSUFFICIENT_QUOTA)
    with pytest.raises(GateRefusedError):
        gate.delay(ONE, 31.0)


def quota_of(count):
    """Return a line of a provider whose quota ends after `count` calls."""
    calls = 0

    def line(payload):
        nonlocal calls
        calls += 1
        if calls > count:
            raise ProviderError("You exceeded your current quota", ErrorType.INSUFFICIENT_QUOTA, status_code=429)
        return ProviderReply("ok", Usage(input_tokens=10, output_tokens=1))

    return line


@pytest.mark.anyio
async def test_a_quota_that_ends_at_row_500_of_100_000_stops_the_run_within_ten_calls_and_says_why():
    provider = ScriptedProvider([quota_of(500)], latency_s=1.0)
    gates = [BreakerGate(match="fake/*"), ConcurrencyGate(10), RpmGate(600_000)]
    retry = RetryPolicy(max_retries=5)
    why = set()
    counts: Counter[ErrorType | None] = Counter()
    began = time.monotonic()
    async with Service(providers=[provider], gates=gates, default_model="fake/m", retry=retry) as service:
        async for result in service.generate_many(f"row {number}" for number in range(100_000)):
            counts[result.error_type] += 1
            if result.error_type is ErrorType.GATE_REFUSED:
                why.add(str(result.error_message).split(", because of ")[1])
        assert service.snapshot().waiting == 0
    failed_calls = len(provider.calls) - 500
    assert 1 <= failed_calls <= 10
    assert counts == {
        None: 500,
        ErrorType.INSUFFICIENT_QUOTA: failed_calls,
        ErrorType.GATE_REFUSED: 99_500 - failed_calls,
    }
    assert why == {"insufficient_quota: Add credit or raise the spending limit of the account."}
    assert time.monotonic() - began < 120  # seconds; 100,000 results of any kind take time to make


@pytest.mark.anyio
async def test_those_who_wait_in_a_slow_queue_are_told_at_once():
    provider = ScriptedProvider([ProviderError("bad key", ErrorType.AUTHENTICATION)], latency_s=1.0)
    gates = [RpmGate(1), BreakerGate()]
    async with Service(providers=[provider], gates=gates, default_model="fake/m") as service:
        began = anyio.current_time()
        results = [result async for result in service.generate_many(["x"] * 1000)]
        assert anyio.current_time() - began < 2.0
    assert len(provider.calls) == 1
    assert sum(result.error_type is ErrorType.GATE_REFUSED for result in results) == 999


@pytest.mark.anyio
async def test_a_breaker_of_one_provider_leaves_the_others_alone():
    broken = ScriptedProvider([ProviderError("bad key", ErrorType.AUTHENTICATION)], name="broken")
    async with Service(providers=[broken, ScriptedProvider()], gates=[BreakerGate(match="broken/*")]) as service:
        for model, error in [
            ("broken/m", ErrorType.AUTHENTICATION),
            ("broken/m", ErrorType.GATE_REFUSED),
            ("fake/m", None),
        ]:
            result = await service.generate_output_async({"model": model, "prompt": "x"})
            assert result.error_type is error
