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

needs_pyreqwest = pytest.mark.skipif(not ENGINES["pyreqwest"].installed, reason="pyreqwest is not installed")
one_by_one = pytest.mark.parametrize("each", ENGINES.values(), ids=lambda each: each.name)


@needs_pyreqwest
def test_the_fast_engine_is_the_first_choice_on_asyncio():
    assert choose_engine(environ={}).name == "pyreqwest"


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
    with pytest.raises(EngineError, match=r"no HTTP engine 'htpx'; did you mean 'httpx'\? \(there are httpx, pyreq"):
        choose_engine("htpx")
    with pytest.raises(EngineError, match=r"no HTTP engine 'curl' \("):
        choose_engine(environ={ENGINE_VARIABLE: "curl"})


@needs_pyreqwest
def test_an_engine_is_refused_on_a_backend_it_does_not_run_on():
    with pytest.raises(EngineError, match="'pyreqwest' does not run on trio"):
        choose_engine("pyreqwest", backend="trio")


def test_the_engine_in_use_is_named_with_its_version():
    assert engine_in_use("httpx").startswith("httpx 0.")


def test_a_third_engine_is_a_row_in_the_table(monkeypatch):
    mine = Engine("attrs", "penstock_http.engines.httpx_engine:HttpxTransport", frozenset({"asyncio"}), "mine")
    monkeypatch.setitem(ENGINES, "attrs", mine)
    assert choose_engine("attrs").build().name == "httpx"


@pytest.fixture
def collected():
    """Collects the connections of ended loops within the test: httpx can only leave them, and Python remarks on it."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("collected")
@one_by_one
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


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("collected")
@one_by_one
def test_a_transport_is_closed_from_another_loop_without_a_word(server, each):
    transport = each.build()

    async def use():
        await transport.send(HttpRequest("GET", server.url("ok")))

    async def close():
        await transport.aclose()

    asyncio.run(use())
    asyncio.run(close())


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
