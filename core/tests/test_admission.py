"""Admission under virtual time, on both event loops."""

import math
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from penstock import ConcurrencyGate, Demand, Gate, GateRefusedError, Outcome, Permit, ProviderError, RpmGate, TpmGate
from penstock.admission import Admission
from penstock.clock import LoopClock

pytestmark = pytest.mark.anyio


def admission(*gates):
    return Admission(gates, LoopClock())


async def pass_through(desk, passed, name, *, model="fake/m", demand=None, hold_s=0.0):
    waits = []
    admitted = await desk.admit(model, demand or Demand(), waits=waits)
    passed.append((name, anyio.current_time(), waits))
    await anyio.sleep(hold_s)
    admitted.settle(Outcome(), anyio.current_time())


async def pass_all(desk, count, **options):
    """Let `count` requests join the queue in order and return them as they passed."""
    passed = []
    async with anyio.create_task_group() as tasks:
        for name in range(count):
            tasks.start_soon(partial(pass_through, desk, passed, name, **options))
            await anyio.lowlevel.checkpoint()
    return passed


async def test_without_gates_everything_passes_at_once():
    waits = []
    await admission().admit("fake/m", Demand(), waits=waits)
    assert waits == []


async def test_a_queue_is_first_in_first_out():
    passed = await pass_all(admission(RpmGate(600)), 50)
    assert [name for name, _, _ in passed] == list(range(50))


async def test_a_small_request_does_not_overtake_a_large_one():
    desk, passed = admission(TpmGate(6000)), []
    async with anyio.create_task_group() as tasks:
        for name, tokens in [("first", 6000), ("large", 5000), ("small", 1)]:
            demand = Demand(input_tokens=tokens)
            tasks.start_soon(partial(pass_through, desk, passed, name, demand=demand))
            await anyio.sleep(0.01)
    assert [name for name, _, _ in passed] == ["first", "large", "small"]


async def test_b22_gates_compose_and_the_slowest_decides():
    began = anyio.current_time()
    passed = await pass_all(admission(RpmGate(6000), TpmGate(600)), 21, demand=Demand(input_tokens=10))
    assert passed[-1][1] - began == pytest.approx((21 * 10 - 10) / (600 / 61.2), rel=0.05)


async def test_failure_1_a_request_that_waits_for_a_slot_has_taken_nothing_from_the_rate():
    rpm, slots = RpmGate(600), ConcurrencyGate(1)
    desk, passed = admission(rpm, slots), []
    async with anyio.create_task_group() as tasks:
        for name in range(20):
            tasks.start_soon(pass_through, desk, passed, name)
        await anyio.lowlevel.checkpoint()
        blocker = await desk.admit("fake/m", Demand())
        used = rpm.snapshot(anyio.current_time()).used
        await anyio.sleep(30)
        assert rpm.snapshot(anyio.current_time()).used <= used + 1
        blocker.settle(Outcome(), anyio.current_time())


async def test_b15_calls_in_flight_never_exceed_the_limit_even_while_it_is_resized():
    gate, now_in, most = ConcurrencyGate(10), 0, []

    async def one():
        nonlocal now_in
        admitted = await desk.admit("fake/m", Demand())
        now_in += 1
        most.append((now_in, gate.limit))
        await anyio.sleep(1)
        now_in -= 1
        admitted.settle(Outcome(), anyio.current_time())

    desk = admission(gate)
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
        await anyio.sleep(2.5)
        gate.resize(3)
        await anyio.sleep(3)
        gate.resize(20)
    assert max(count for count, _ in most) == 20
    assert all(count <= limit for count, limit in most)
    assert gate.in_flight == 0


async def test_b3_a_wait_is_measured_and_charged_to_the_gate_that_caused_it():
    passed = await pass_all(admission(RpmGate(60, burst=1, jitter_s=0), ConcurrencyGate(100)), 4)
    waits = [{wait.gate: wait.ms for wait in waited} for _, _, waited in passed]
    assert waits[0] == {}
    assert [w["rpm"] for w in waits[1:]] == [pytest.approx(1000), pytest.approx(2000), pytest.approx(3000)]


async def test_b3_time_behind_others_is_charged_to_what_held_them_up():
    passed = await pass_all(admission(RpmGate(6000), ConcurrencyGate(1)), 3, hold_s=5)
    last = {wait.gate: wait.ms for wait in passed[-1][2]}
    assert last["concurrency"] == pytest.approx(10_000, rel=0.01)


async def test_b44_the_number_of_waiters_is_exact_and_survives_cancellation():
    desk = admission(ConcurrencyGate(1))
    holder = await desk.admit("fake/m", Demand())
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(desk.admit, "fake/m", Demand())
            await anyio.sleep(1)
            assert desk.waiting == 10
            scope.cancel()
    assert desk.waiting == 0
    holder.settle(Outcome(), anyio.current_time())
    waits = []
    await desk.admit("fake/m", Demand(), waits=waits)
    assert waits == []


async def test_b3_a_waiter_that_gives_up_still_learns_what_held_it():
    desk, waits = admission(ConcurrencyGate(1)), []
    await desk.admit("fake/m", Demand())
    with anyio.move_on_after(7):
        await desk.admit("fake/m", Demand(), waits=waits)
    assert [(wait.gate, round(wait.ms)) for wait in waits] == [("concurrency", 7000)]


@pytest.mark.parametrize("victim", range(5))
async def test_cancelling_any_waiter_leaves_the_others_in_order(victim):
    desk, passed = admission(RpmGate(60, burst=1, jitter_s=0)), []
    scopes = [anyio.CancelScope() for _ in range(5)]

    async def one(name):
        with scopes[name]:
            await pass_through(desk, passed, name)

    await pass_through(desk, [], "first")
    async with anyio.create_task_group() as tasks:
        for name in range(5):
            tasks.start_soon(one, name)
            await anyio.sleep(0.01)
        scopes[victim].cancel()
    assert [name for name, _, _ in passed] == [n for n in range(5) if n != victim]
    assert desk.waiting == 0


async def test_a_slow_scope_holds_up_no_other():
    desk = admission(RpmGate(1, match="slow/*"), RpmGate(6000, match="quick/*"))
    await desk.admit("slow/m", Demand())
    with anyio.move_on_after(5) as waited:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.admit, "slow/m", Demand())
            waits = []
            await desk.admit("quick/m", Demand(), waits=waits)
            await desk.admit("other/m", Demand(), waits=waits)
            assert waits == []
    assert waited.cancelled_caught


async def test_a_gate_that_two_scopes_share_has_one_set_of_books():
    gate = ConcurrencyGate(1)
    desk = admission(gate, RpmGate(600, match="a/*"), RpmGate(600, match="b/*"))
    first = await desk.admit("a/m", Demand())
    passed = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(pass_through, desk, passed, "b", model="b/m"))
        await anyio.sleep(10)
        assert passed == []
        first.settle(Outcome(), anyio.current_time())
    assert [name for name, _, _ in passed] == ["b"]


class Moody(Gate):
    """Refuses, raises or admits, as told."""

    name = "moody"

    def __init__(self, mood):
        self.mood = mood

    def delay(self, demand, now):
        if self.mood == "refuse":
            raise GateRefusedError("moody: over budget")
        return 0.0

    def take(self, demand, now):
        if self.mood == "raise":
            raise RuntimeError("no")
        return Grumpy()


class Grumpy(Permit):
    def settle(self, outcome, now):
        raise RuntimeError("I will not")


async def test_a_gate_may_refuse_for_good():
    with pytest.raises(GateRefusedError, match="over budget"):
        await admission(Moody("refuse")).admit("fake/m", Demand())


async def test_permits_already_taken_are_given_back_when_a_gate_raises():
    slots = ConcurrencyGate(1)
    with pytest.raises(ProviderError, match=r"gate .* raised RuntimeError: no, in take"):
        await admission(slots, Moody("raise")).admit("fake/m", Demand())
    assert slots.in_flight == 0


async def test_a_permit_that_raises_keeps_no_other_from_settling(caplog):
    slots = ConcurrencyGate(1)
    admitted = await admission(Moody("fine"), slots).admit("fake/m", Demand())
    admitted.settle(Outcome(), anyio.current_time())
    assert slots.in_flight == 0
    assert "could not be settled" in caplog.text


async def test_b44_twenty_thousand_waiters_cost_nothing_until_it_is_their_turn():
    class Counting(ConcurrencyGate):
        asked = 0

        def delay(self, demand, now):
            Counting.asked += 1
            return super().delay(demand, now)

    gate = Counting(1)
    desk = admission(gate)
    holder = await desk.admit("fake/m", Demand())
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            for _ in range(20_000):
                tasks.start_soon(desk.admit, "fake/m", Demand())
            await anyio.sleep(3600)
            assert Counting.asked < 10
            scope.cancel()
    holder.settle(Outcome(), anyio.current_time())
    assert gate.in_flight == 0


async def test_a_delay_of_one_rounding_cannot_spin():
    class Stubborn(ConcurrencyGate):
        asked = 0

        def delay(self, demand, now):
            self.asked += 1
            return math.ulp(now) if self.asked < 100 else 0.0

    gate = Stubborn(1)
    await admission(gate).admit("fake/m", Demand())
    assert gate.asked == 100
