"""How an engine is chosen, and that none is bound to an event loop or troubles the end of the process."""

import asyncio
import gc
import os
import subprocess
import sys

import anyio
import pytest

from penstock_http import ENGINES, EngineError, HttpRequest, choose_engine, engine_in_use
from penstock_http.engines import ENGINE_VARIABLE, Engine, running_backend

needs_aiohttp = pytest.mark.skipif(not ENGINES["aiohttp"].installed, reason="aiohttp is not installed")
one_by_one = pytest.mark.parametrize("each", ENGINES.values(), ids=lambda each: each.name)
# httpx can only leave the connections of an ended loop to the garbage collector, and Python remarks on it.
leaving = pytest.mark.parametrize(
    "each",
    [
        pytest.param(ENGINES["httpx"], marks=pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), id="httpx"),
        pytest.param(ENGINES["aiohttp"], marks=needs_aiohttp, id="aiohttp"),
    ],
)


@needs_aiohttp
def test_the_fast_engine_is_the_first_choice_on_asyncio():
    assert choose_engine(environ={}).name == "aiohttp"


def test_trio_has_the_engine_that_runs_there():
    assert choose_engine(backend="trio", environ={}).name == "httpx"

    async def chosen_inside():
        return running_backend(), choose_engine(environ={}).name

    assert anyio.run(chosen_inside, backend="trio") == ("trio", "httpx")


def test_without_the_extra_httpx_carries_everything(monkeypatch):
    absent = Engine("nowhere", "nowhere:Nothing", frozenset({"asyncio"}), "nowhere")
    monkeypatch.setattr("penstock_http.engines.ENGINES", {"nowhere": absent, "httpx": ENGINES["httpx"]})
    assert choose_engine(environ={}).name == "httpx"
    with pytest.raises(EngineError, match=r"'nowhere' is not installed: pip install 'nowhere'"):
        choose_engine("nowhere")
    assert absent.version is None


def test_the_environment_names_an_engine_and_an_argument_overrules_it():
    assert choose_engine(environ={ENGINE_VARIABLE: "httpx"}).name == "httpx"
    assert choose_engine("httpx", environ={ENGINE_VARIABLE: "curl"}).name == "httpx"
    assert choose_engine(environ={ENGINE_VARIABLE: ""}) is choose_engine(environ={})


def test_an_unknown_engine_is_refused_with_the_nearest_name():
    with pytest.raises(EngineError, match=r"no HTTP engine 'htpx'; did you mean 'httpx'\? \(there are aiohttp, h"):
        choose_engine("htpx")
    with pytest.raises(EngineError, match=r"no HTTP engine 'curl' \("):
        choose_engine(environ={ENGINE_VARIABLE: "curl"})


@needs_aiohttp
def test_an_engine_is_refused_on_a_backend_it_does_not_run_on():
    with pytest.raises(EngineError, match="'aiohttp' does not run on trio"):
        choose_engine("aiohttp", backend="trio")


def test_the_engine_in_use_is_named_with_its_version():
    assert engine_in_use("httpx").startswith("httpx 0.")


@needs_aiohttp
def test_the_fast_engine_in_use_is_named_with_its_version():
    assert engine_in_use("aiohttp").startswith("aiohttp 3.")


def test_a_third_engine_is_a_row_in_the_table(monkeypatch):
    mine = Engine("attrs", "penstock_http.engines.httpx_engine:HttpxTransport", frozenset({"asyncio"}), "mine")
    monkeypatch.setitem(ENGINES, "attrs", mine)
    assert choose_engine("attrs").build().name == "httpx"


@pytest.fixture
def collected():
    """Collects the connections of ended loops within the test, so that a warning is this test's."""
    yield
    gc.collect()


@pytest.mark.usefixtures("collected")
@leaving
@pytest.mark.parametrize("before", ["ok", "stall"])
def test_a_transport_survives_the_loop_it_was_used_on(server, each, before):
    transport = each.build()

    async def use(behaviour):
        with anyio.move_on_after(0.1):
            async with transport.stream(HttpRequest("GET", server.url(behaviour))) as stream:
                await stream.read()
        return (await transport.send(HttpRequest("GET", server.url("ok")))).status

    async def close():
        await transport.aclose()

    for _ in range(3):
        assert asyncio.run(use(before)) == 200
    asyncio.run(close())


@pytest.mark.usefixtures("collected")
@leaving
def test_a_transport_is_closed_from_another_loop_without_a_word(server, each):
    transport = each.build()

    async def use():
        await transport.send(HttpRequest("GET", server.url("ok")))

    async def close():
        await transport.aclose()

    asyncio.run(use())
    asyncio.run(close())


@needs_aiohttp
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # this loop ends without closing anything
@pytest.mark.usefixtures("collected")
def test_a_loop_that_ends_without_a_word_leaves_only_its_connections(server):
    transport = ENGINES["aiohttp"].build()
    for _ in range(2):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(transport.send(HttpRequest("GET", server.url("ok")))).status == 200
        loop.close()
    asyncio.run(transport.aclose())


@needs_aiohttp
@pytest.mark.usefixtures("collected")
def test_two_loops_at_once_have_connections_of_their_own(server):
    transport = ENGINES["aiohttp"].build()

    async def use():
        return [(await transport.send(HttpRequest("GET", server.url("ok")))).status for _ in range(3)]

    async def use_here_and_there():
        answers = await use(), await anyio.to_thread.run_sync(asyncio.run, use()), await use()
        await transport.aclose()
        return answers

    assert asyncio.run(use_here_and_there()) == ([200] * 3,) * 3
    assert server.connections == 2


@needs_aiohttp
@pytest.mark.usefixtures("collected")
def test_a_forgotten_transport_is_closed_by_its_loop(server):
    async def forget():
        transport = ENGINES["aiohttp"].build()
        await transport.send(HttpRequest("GET", server.url("ok")))
        del transport
        assert await anyio.to_thread.run_sync(server.hung_up.wait, 5)

    asyncio.run(forget())


EXIT_PROGRAM = """
import asyncio, sys
from penstock_http import HttpRequest, choose_engine

async def main():
    transport = choose_engine(sys.argv[1]).build()
    for _ in range(5):
        await asyncio.gather(*(transport.send(HttpRequest("GET", sys.argv[2])) for _ in range(32)))
    if sys.argv[3] == "in-flight":
        asyncio.ensure_future(transport.send(HttpRequest("GET", sys.argv[2].replace("/ok", "/slow-head"))))
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@one_by_one
@pytest.mark.parametrize("left", ["idle", "in-flight"])
def test_a_process_that_forgets_to_close_ends_well_on_one_core(server, each, left):
    if not each.installed:
        pytest.skip(f"{each.name} is not installed")
    pinned = ["taskset", "-c", "0"] if hasattr(os, "sched_setaffinity") else []
    for _ in range(5):
        command = [*pinned, sys.executable, "-c", EXIT_PROGRAM, each.name, server.url("ok"), left]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
