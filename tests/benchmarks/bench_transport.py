"""What the transport seam costs beside each bare engine, in one run: CPU time a request through both, and the ratio.

Run it by itself: `python tests/benchmarks/bench_transport.py`. Both sides encode the request and decode the answer,
the bare engine as its documentation shows it. The server gets a core of its own and answers with prepared bytes, so
the client's core is what is measured. Rounds alternate between seam and engine; CPU time, because it is not moved by
what else the machine does.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import aiohttp
import httpx
import pytest

from penstock_http import HttpRequest, Options, choose_engine, dumps, loads

IN_FLIGHT = 64
ROUNDS = 5
HEADERS = {"authorization": "Bearer sk-x", "content-type": "application/json"}
QUESTION = {"role": "user", "content": "Where does the water go?"}
PAYLOAD = {"model": "gpt-4o-mini", "messages": [QUESTION], "max_tokens": 64}
ANSWER = dumps({"choices": [{"message": {"role": "assistant", "content": "Down. " * 100}}]})
FLOORS = {"aiohttp": 1.1, "httpx": 1.5}  # times as fast as the bare engine

Call = Callable[[], Awaitable[Any]]


class Answering(asyncio.Protocol):
    """Answers every request with the same bytes; its end is the last brace of the payload."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n"
            self.transport.write(head.encode() + ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """The URL of a server process on the last core; this process keeps to the first."""
    process = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(process.pid, {max(cores)})
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield f"http://127.0.0.1:{port}/v1/chat/completions"
    finally:
        os.sched_setaffinity(0, cores)
        process.kill()
        process.wait(10)
        process.stdout.close()


async def cost_us(call: Call, count: int) -> float:
    """CPU time of one call in microseconds, with `IN_FLIGHT` at once."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            answer = await call()
            assert answer["choices"]

    start = time.process_time()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return (time.process_time() - start) / count * 1e6


async def compare(name: str, url: str) -> tuple[float, float]:
    """Median cost of the seam and of the bare engine, in microseconds of CPU."""
    transport = choose_engine(name).build(Options(headers=HEADERS))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    httpx_client = httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=60)
    aiohttp_session = aiohttp.ClientSession(connector=connector, headers=HEADERS, timeout=timeout)

    async def seam() -> Any:
        return loads((await transport.send(HttpRequest("POST", url, {}, dumps(PAYLOAD)))).body)

    async def bare_aiohttp() -> Any:
        async with aiohttp_session.post(url, json=PAYLOAD) as response:
            return await response.json()

    async def bare_httpx() -> Any:
        return (await httpx_client.post(url, json=PAYLOAD)).json()

    bare, count = (bare_aiohttp, 4_000) if name == "aiohttp" else (bare_httpx, 500)
    costs: dict[Call, list[float]] = {seam: [], bare: []}
    for call in [seam, bare] * (ROUNDS + 1):
        costs[call].append(await cost_us(call, count))
    await transport.aclose()
    await aiohttp_session.close()
    await httpx_client.aclose()
    return median(costs[seam][1:]), median(costs[bare][1:])  # the first round opens the connections


@pytest.mark.benchmark
@pytest.mark.parametrize("name", FLOORS)
def test_the_seam_is_faster_than_the_engine_used_plainly(name: str) -> None:
    with served() as url:
        seam, bare = asyncio.run(compare(name, url))
    print(f"\n{name}: seam {seam:.1f} µs of CPU a request, bare {bare:.1f} µs, {bare / seam:.2f} times as fast")
    assert bare / seam >= FLOORS[name]


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        for engine in FLOORS:
            test_the_seam_is_faster_than_the_engine_used_plainly(engine)
