"""What a gate costs a request, and a waiter its memory.

Run it by itself: `python tests/benchmarks/bench_gates.py`. Each gate is asked, taken from and settled as admission
does it, below its limit: with requests close together, and so far apart that each has a slice of the books for itself.
"""

import asyncio
import subprocess
import sys
import time
import tracemalloc
from decimal import Decimal

import pytest

from penstock import ConcurrencyGate, Demand, Outcome, RpmGate, TpmGate
from penstock.admission import Admission
from penstock.clock import LoopClock
from penstock_gates import AdaptiveGate, BreakerGate, BudgetGate, ItpmGate, OtpmGate, RpdGate, TpdGate

MOST_US = 10.0
MOST_BYTES = 4096.0
REQUESTS = 20_000
WAITERS = 20_000

DEMAND = Demand(input_tokens=500, output_tokens=300, cost_usd=Decimal("0.000680"))
OUTCOME = Outcome(used=Demand(input_tokens=480, output_tokens=150), cost_usd=Decimal("0.000540"), latency_s=1.0)
GATES = {
    "rpm": lambda: RpmGate(1e6),
    "tpm": lambda: TpmGate(1e9),
    "concurrency": lambda: ConcurrencyGate(100),
    "itpm": lambda: ItpmGate(1e9),
    "otpm": lambda: OtpmGate(1e9),
    "rpd": lambda: RpdGate(10**9),
    "rpd to midnight": lambda: RpdGate(10**9, reset="midnight"),
    "tpd spread": lambda: TpdGate(10**13, spread=True),
    "budget": lambda: BudgetGate(1e6),
    "budget per day": lambda: BudgetGate(1e6, per="day"),
    "adaptive": lambda: AdaptiveGate(start=100),
    "breaker": BreakerGate,
}


def us_per_request(make, *, apart_s):
    """Return the least CPU time of a request in five rounds, with requests `apart_s` apart and 50 under way."""
    rounds = []
    for _ in range(5):
        gate, now, under_way = make(), 0.0, []
        began = time.process_time()
        for _ in range(REQUESTS):
            now += apart_s
            if gate.delay(DEMAND, now) <= 0:
                under_way.append(gate.take(DEMAND, now))
            if len(under_way) >= 50:
                under_way.pop(0).settle(OUTCOME, now)
        rounds.append((time.process_time() - began) / REQUESTS * 1e6)
        assert len(under_way) == 49
    return min(rounds)


def bytes_per_waiter():
    """Return what a request in a queue keeps, its task on asyncio and all, and that part which is the queue's own."""

    async def measure():
        desk = Admission([ConcurrencyGate(1), RpmGate(600), TpmGate(60_000)], LoopClock())
        await desk.admit("fake/m", DEMAND)
        tracemalloc.start()
        idle = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(WAITERS)]
        await asyncio.sleep(0.1)
        a_task, _ = tracemalloc.get_traced_memory()
        for task in idle:
            task.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
        idle.clear()
        before, _ = tracemalloc.get_traced_memory()
        waiting = [asyncio.create_task(desk.admit("fake/m", DEMAND)) for _ in range(WAITERS)]
        await asyncio.sleep(0.1)
        after, _ = tracemalloc.get_traced_memory()
        assert desk.waiting == WAITERS
        began = time.process_time()
        await asyncio.sleep(2)
        busy = (time.process_time() - began) / 2
        tracemalloc.stop()
        for waiter in waiting:
            waiter.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return (after - before) / WAITERS, a_task / WAITERS, busy

    return asyncio.run(measure())


@pytest.mark.benchmark
@pytest.mark.parametrize("name", GATES)
def test_a_gate_costs_a_request_no_more_than_it_may(name):
    busy = us_per_request(GATES[name], apart_s=1e-4)
    full = us_per_request(GATES[name], apart_s=0.08)
    print(
        f"\n{name}: {busy:.1f} µs per request at 10,000 a second, {full:.1f} µs with a slice each (at most {MOST_US:g})"
    )
    assert max(busy, full) <= MOST_US


@pytest.mark.benchmark
def test_a_waiter_takes_little_memory_and_no_time():
    size, task, busy = bytes_per_waiter()
    print(f"\na waiter: {size:.0f} bytes, of which a task that sleeps is {task:.0f}; CPU while waiting {busy:.2%}")
    assert size <= MOST_BYTES
    assert busy < 0.05


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-m", "benchmark", "-s", "-q"]))
