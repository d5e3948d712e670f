"""Adaptive concurrency against servers with a capacity that it does not know, under virtual time."""

import random

import anyio
import pytest

from penstock import Demand, ErrorType, Outcome, ProviderError, ProviderReply, RetryPolicy, Service, Usage
from penstock.testing import ScriptedProvider
from penstock_gates import AdaptiveGate

ONE = Demand()
FULL = Outcome(error_type=ErrorType.HTTP_429, retry_after_s=3600.0)


def fill(gate, now):
    """Take every place there is."""
    permits = []
    while gate.delay(ONE, now) == 0:
        permits.append(gate.take(ONE, now))
    return permits


def round_trip(gate, now, outcome):
    for permit in fill(gate, now):
        permit.settle(outcome, now + 1.0)


def test_it_doubles_at_first():
    gate, limits = AdaptiveGate(start=4), []
    for now in range(5):
        limits.append(gate.limit)
        round_trip(gate, float(now), Outcome(latency_s=1.0))
    assert limits == [4, 8, 16, 32, 64]


def test_it_falls_once_however_many_calls_of_the_same_time_are_refused():
    gate = AdaptiveGate(start=100)
    permits = fill(gate, 0.0)
    for number, permit in enumerate(permits):
        permit.settle(FULL, 1.0 + number)
    assert gate.limit == 80
    round_trip(gate, 200.0, FULL)
    assert gate.limit == 64


def test_it_is_not_frozen_by_a_hint():
    gate = AdaptiveGate(start=100)
    fill(gate, 0.0)[0].settle(FULL, 1.0)
    assert gate.snapshot(1.0).frozen_s == 0


def test_it_stays_between_minimum_and_maximum():
    gate = AdaptiveGate(start=4, minimum=3, maximum=6)
    for now in range(10):
        round_trip(gate, float(now), Outcome(latency_s=1.0))
    assert gate.limit == 6
    for now in range(10, 30):
        round_trip(gate, float(now), FULL)
    assert gate.limit == 3


def test_a_limit_that_nobody_reaches_does_not_rise():
    gate = AdaptiveGate(start=10)
    for now in range(1000):
        permits = [gate.take(ONE, float(now)) for _ in range(9)]
        for permit in permits:
            permit.settle(Outcome(latency_s=0.5), now + 0.5)
    assert gate.limit == 10


@pytest.mark.parametrize("error", [ErrorType.INVALID_REQUEST, ErrorType.CANCELLED, ErrorType.INSUFFICIENT_QUOTA])
def test_failures_that_say_nothing_of_capacity_move_nothing(error):
    gate = AdaptiveGate(start=10)
    for now in range(100):
        round_trip(gate, float(now), Outcome(error_type=error))
    assert gate.limit == 10


def test_near_the_limit_that_was_too_much_it_rises_gently_and_beyond_it_steeply_again():
    gate = AdaptiveGate(start=100)
    round_trip(gate, 0.0, FULL)
    limits = []
    for now in range(1, 120):
        round_trip(gate, float(now), Outcome(latency_s=1.0))
        limits.append(gate.limit)
    rounds_near = sum(95 <= limit <= 105 for limit in limits)
    assert limits.index(95) <= 6
    assert 15 <= rounds_near <= 60
    assert limits[-1] > 150


class Server(ScriptedProvider):
    """Works on `capacity` calls at once, 1 s each on average; refuses more, or has them wait."""

    def __init__(self, capacity, *, queues, sizes):
        super().__init__()
        self.capacity, self.queues, self.sizes = capacity, queues, sizes
        self.busy = anyio.CapacityLimiter(1000)
        self.working = self.refused = self.done = self.most = 0

    async def _invoke_impl(self, payload):
        self.most = max(self.most, self.working + 1)
        if not self.queues and self.working >= self.capacity:
            self.refused += 1
            await anyio.sleep(0.05)
            raise ProviderError("busy", ErrorType.HTTP_429, retry_after_s=600.0)
        self.working += 1
        self.busy.total_tokens = self.capacity
        try:
            async with self.busy:
                await anyio.sleep(self.sizes())
        finally:
            self.working -= 1
        self.done += 1
        return ProviderReply("ok", Usage(input_tokens=1, output_tokens=1))


def exponential(seed):
    chance = random.Random(seed)
    return lambda: chance.expovariate(1.0)


async def saturate(server, gate, seconds, during=None):
    """Have far more requests than places for `seconds`."""
    retry = RetryPolicy(strategy="none")
    async with Service(providers=[server], gates=[gate], default_model="fake/m", retry=retry) as service:
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                if during:
                    tasks.start_soon(during)
                for _ in range(400):
                    tasks.start_soon(keep_asking, service)


async def keep_asking(service):
    while True:
        await service.generate_output_async("x")


@pytest.mark.anyio
@pytest.mark.parametrize("sizes", [lambda: 1.0, exponential(1)], ids=["even", "exponential"])
async def test_it_finds_the_capacity_of_a_server_that_refuses(sizes):
    server, gate = Server(50, queues=False, sizes=sizes), AdaptiveGate()
    await saturate(server, gate, 300)
    assert server.done >= 0.85 * 50 * 300
    assert server.refused <= 0.02 * server.done


@pytest.mark.anyio
@pytest.mark.parametrize("sizes", [lambda: 1.0, exponential(2)], ids=["even", "exponential"])
async def test_it_does_not_drown_a_server_that_queues(sizes):
    server, gate, limits = Server(20, queues=True, sizes=sizes), AdaptiveGate(maximum=300), []

    async def watch():
        while True:
            await anyio.sleep(10)
            limits.append(gate.limit)

    await saturate(server, gate, 1200, watch)
    assert server.done >= 0.85 * 20 * 1200
    late = limits[len(limits) // 2 :]
    assert max(late) <= 3.5 * 20
    assert sum(late) / len(late) <= 2.5 * 20


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(3))
async def test_it_is_not_misled_for_long_by_answers_that_differ_much_in_length(seed):
    chance = random.Random(seed)
    server = Server(50, queues=True, sizes=lambda: 0.2 if chance.random() < 0.8 else 4.2)
    await saturate(server, AdaptiveGate(maximum=300), 600)
    assert server.done >= 0.8 * 50 * 600


@pytest.mark.anyio
async def test_it_follows_a_capacity_that_changes():
    server, gate = Server(60, queues=False, sizes=exponential(3)), AdaptiveGate()
    done = []

    async def change():
        for capacity in (60, 20, 80):
            server.capacity = capacity
            await anyio.sleep(120)
            before = server.done
            await anyio.sleep(60)
            done.append((server.done - before) / 60 / capacity)

    await saturate(server, gate, 545, change)
    assert min(done) >= 0.8


@pytest.mark.anyio
async def test_its_places_come_back_when_calls_are_cancelled():
    server, gate = Server(50, queues=True, sizes=lambda: 1000.0), AdaptiveGate(start=20)
    await saturate(server, gate, 10)
    assert server.most == 20
    assert gate.in_flight == 0
