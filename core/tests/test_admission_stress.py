"""A thousand requests that are cancelled at random, waiting and under way: no book and no waiter is left behind."""

import random

import anyio
import pytest

from penstock import ConcurrencyGate, Demand, Outcome, RpmGate, TpmGate
from penstock.admission import Admission
from penstock.clock import LoopClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(5))
async def test_b44_books_are_empty_and_the_order_is_kept_after_a_thousand_cancellations(seed):
    chance = random.Random(seed)
    slots, rpm, tpm = ConcurrencyGate(20), RpmGate(3000), TpmGate(600_000)
    desk = Admission([slots, rpm, tpm], LoopClock())
    passed = []

    async def one(number, patience):
        with anyio.move_on_after(patience):
            admitted = await desk.admit("fake/m", Demand(input_tokens=chance.randrange(400)))
            passed.append(number)
            try:
                await anyio.sleep(chance.expovariate(1.0))
            finally:
                admitted.settle(Outcome(used=Demand(input_tokens=100)), anyio.current_time())

    with anyio.fail_after(600):
        async with anyio.create_task_group() as tasks:
            for number in range(2000):
                tasks.start_soon(one, number, chance.uniform(0.0, 60.0) if number % 2 else 1000.0)
                await anyio.sleep(0.001)
    assert passed == sorted(passed)
    assert set(range(0, 2000, 2)) <= set(passed)
    assert len(passed) < 2000
    assert (desk.waiting, slots.in_flight) == (0, 0)
    await anyio.sleep(61)
    snapshots = desk.snapshot(anyio.current_time())
    assert [seen.used for seen in snapshots] == [0, 0, 0]
    assert all(seen.reserved >= seen.settled >= 0 for seen in snapshots)


async def test_shares_of_a_saturated_gate_follow_the_priorities_and_a_large_request_is_not_starved():
    desk = Admission([TpmGate(60_000)], LoopClock())
    passed = []

    async def one(name, priority, tokens):
        await desk.admit("fake/m", Demand(input_tokens=tokens), priority=priority)
        passed.append((name, anyio.current_time()))

    await desk.admit("fake/m", Demand(input_tokens=1000))
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number in range(400):
            tasks.start_soon(one, "batch", 1.0, 100)
            tasks.start_soon(one, "chat", 4.0, 100)
            if number == 0:
                tasks.start_soon(one, "large", 1.0, 30_000)
            await anyio.lowlevel.checkpoint()
    names = [name for name, _ in passed]
    half = names[:250]
    assert 3.5 <= half.count("chat") / half.count("batch") <= 4.5
    (large_at,) = [at for name, at in passed if name == "large"]
    assert large_at - began < 90
