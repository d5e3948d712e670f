"""The way through gates without a service: what it tells, and that it keeps the engine's rules."""

import anyio
import pytest

from penstock import Demand, ErrorType, Gate, GateRefusedError, Outcome, ProviderError, RetryPolicy, RpmGate, TpmGate
from penstock.clock import LoopClock
from penstock.testing import Passage, Turnstile

pytestmark = pytest.mark.anyio

BUSY = ProviderError("slow down", ErrorType.HTTP_429, status_code=429, retry_after_s=5)


@pytest.fixture
def anyio_backend(penstock_virtual_time):
    return penstock_virtual_time


def turnstile(*gates, **policy):
    return Turnstile(gates, LoopClock(), model="fake/m", retry=RetryPolicy(**policy))


async def test_a_request_waits_for_the_gates_and_its_wait_is_known():
    stile = turnstile(RpmGate(60, burst=1, jitter_s=0))
    first, second = Passage(Demand()), Passage(Demand())
    for passage in (first, second):
        await stile.admit(passage)
        stile.answered(passage, None)
    assert first.waits == []
    assert [wait.gate for wait in second.waits] == ["rpm"]
    assert second.waits[0].ms == pytest.approx(1000)
    assert stile.snapshot()[0].admitted == 2


async def test_after_a_429_that_the_gates_heed_a_request_goes_ahead_of_everyone():
    stile, order = turnstile(RpmGate(600)), []
    refused = Passage(Demand())
    await stile.admit(refused)
    assert stile.failed(refused, BUSY) == 0.0

    async def go(name, passage):
        await stile.admit(passage)
        order.append((name, round(anyio.current_time() - began, 1)))
        stile.answered(passage, None)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go, "new", Passage(Demand()))
        await anyio.sleep(0.1)
        tasks.start_soon(go, "refused", refused)
    assert [name for name, _ in order] == ["refused", "new"]
    assert order[0][1] >= 5
    assert refused.waits == [], "the wait after a refusal is the provider's doing"


async def test_without_a_gate_that_heeds_a_request_backs_off_until_its_tries_are_used_up():
    stile, passage = turnstile(max_retries=1, hint_jitter=0, base_s=1, strategy="constant"), Passage(Demand())
    await stile.admit(passage)
    assert stile.failed(passage, BUSY) == 5
    await stile.admit(passage)
    assert stile.failed(passage, BUSY) is None
    assert passage.attempts == 2


async def test_what_calls_really_count_is_learned():
    stile, demands = turnstile(TpmGate(6_000_000)), []
    for _ in range(21):
        passage = Passage(Demand(input_tokens=1000, output_tokens=1000))
        await stile.admit(passage)
        assert passage.admitted
        demands.append(passage.admitted.demand)
        stile.answered(passage, Demand(input_tokens=500, output_tokens=100))
    assert demands[-1] == Demand(input_tokens=500, output_tokens=100)


async def test_gates_learn_how_it_went():
    class Listening(Gate):
        def delay(self, demand, now):
            if demand.input_tokens:
                raise GateRefusedError("too large")
            return 0.0

        def take(self, demand, now):
            return self

        def settle(self, outcome: Outcome, now):
            heard.append(outcome)

    heard = []
    stile, passage = turnstile(Listening()), Passage(Demand())
    await stile.admit(passage)
    await anyio.sleep(2)
    stile.failed(passage, BUSY)
    assert [(each.error_type, each.retry_after_s, each.latency_s) for each in heard] == [
        (ErrorType.HTTP_429, 5, pytest.approx(2))
    ]
    with pytest.raises(GateRefusedError):
        await stile.admit(Passage(Demand(input_tokens=1)))
    with pytest.raises(RuntimeError, match="let in before"):
        stile.answered(passage, None)
