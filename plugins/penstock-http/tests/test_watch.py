"""One timer for many equal waits: what is late is told so, and a cancellation of anybody else's stays one."""

import asyncio

import pytest

from penstock_http import TransportError, TransportFault
from penstock_http.engines.watch import Watch

LIMIT_S = 10.0
URL = "http://models.invalid/"


class Clock:
    """The part of an event loop that a watch uses, with hands to turn."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        self.timers.append((when, callback))
        return when

    def turn_to(self, now):
        self.now = now
        due = [timer for timer in self.timers if timer[0] <= now]
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for _, callback in due:
            callback()


@pytest.fixture
def anyio_backend():
    return "asyncio"


pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def watch(clock):
    watch = Watch(TransportFault.IDLE_TIMEOUT, LIMIT_S)
    watch._loop = clock
    return watch


async def forever():
    await asyncio.get_running_loop().create_future()


async def begin(watch, waiting):
    task = asyncio.ensure_future(watch.over(waiting, URL))
    await asyncio.sleep(0)
    return task


async def test_what_ends_in_time_is_returned_and_leaves_the_task_alone(watch, clock):
    async def answer():
        return 1

    task = asyncio.current_task()
    assert task is not None
    assert await watch.over(answer(), URL) == 1
    assert await Watch(TransportFault.IDLE_TIMEOUT, None).over(answer(), URL) == 1
    clock.turn_to(2 * LIMIT_S)
    assert task.cancelling() == 0
    assert clock.timers == []


async def test_each_late_wait_is_told_and_only_those(watch, clock):
    early = [await begin(watch, forever()) for _ in range(3)]
    clock.turn_to(LIMIT_S / 2)
    later = await begin(watch, forever())
    assert len(clock.timers) == 1
    clock.turn_to(LIMIT_S)
    for task in early:
        with pytest.raises(TransportError, match=f"{LIMIT_S:g} s") as caught:
            await task
        assert caught.value.fault is TransportFault.IDLE_TIMEOUT
        assert task.cancelling() == 0
    assert not later.done()
    clock.turn_to(1.5 * LIMIT_S)
    with pytest.raises(TransportError):
        await later
    assert clock.timers == []


async def test_a_cancellation_from_outside_is_not_taken_for_lateness(watch):
    task = await begin(watch, forever())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_cancelled_while_it_is_late_is_cancelled(watch, clock):
    task = await begin(watch, forever())
    clock.turn_to(LIMIT_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_lateness_that_is_swallowed_inside_leaves_no_cancellation_behind(watch, clock):
    async def stubborn():
        try:
            await forever()
        except asyncio.CancelledError:
            return 2

    task = await begin(watch, stubborn())
    clock.turn_to(LIMIT_S)
    assert await task == 2
    assert task.cancelling() == 0
