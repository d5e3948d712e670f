"""What a task waits for: a bell on a loop, under virtual time, on both event loops."""

import math

import anyio
import pytest

from penstock.bell import LoopBell

pytestmark = pytest.mark.anyio


async def test_it_rings_for_a_task_that_waits():
    bell = LoopBell()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bell.wait, math.inf)
        await anyio.sleep(5)
        bell.ring()


async def test_a_wait_is_over_in_time():
    began = anyio.current_time()
    await LoopBell().wait(5)
    assert anyio.current_time() - began == pytest.approx(5)


async def test_rung_before_the_wait_it_ends_one_wait_at_once():
    bell = LoopBell()
    began = anyio.current_time()
    bell.ring()
    await bell.wait(math.inf)
    assert anyio.current_time() == pytest.approx(began)
    await bell.wait(5)
    assert anyio.current_time() - began == pytest.approx(5)
