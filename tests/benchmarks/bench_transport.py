"""What the transport seam costs over each bare engine, in one run: requests a second through both, and the ratio.

Run it by itself: ``python tests/benchmarks/bench_transport.py``. The server gets a core of its own and answers with
prepared bytes, so the client's core is what is measured. Rounds alternate between seam and engine.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median

import httpx
import pytest
from pyreqwest.client import ClientBuilder

from penstock_http import HttpRequest, Options, choose_engine

IN_FLIGHT = 64
ROUNDS = 5
HEADERS = {"authorization": "Bearer sk-x", "content-type": "application/json"}
BODY = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Where does the water go?"}],"max_tokens":64}'
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"%s"}}]}' % (b"Down. " * 100)
FLOORS = {"pyreqwest": 0.85, "httpx": 1.5}  # of the bare engine's rate; httpx's own pool is what the seam goes around

Call = Callable[[], Awaitable[bytes]]


class Answering(asyncio.Protocol):
    """Answers every request, which comes in one piece, with the same bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(BODY):
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


async def rate(call: Call, count: int) -> float:
    """Calls a second with `IN_FLIGHT` at once."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            assert await call() == ANSWER

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - start)


async def compare(name: str, url: str) -> tuple[float, float]:
    """Median rates of the seam and of the bare engine."""
    transport = choose_engine(name).build(Options(headers=HEADERS))
    request = HttpRequest("POST", url, {}, BODY)
    pyreqwest_client = ClientBuilder().default_headers(HEADERS).build()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    httpx_client = httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60)

    async def seam() -> bytes:
        return (await transport.send(request)).body

    async def bare_pyreqwest() -> bytes:
        response = await pyreqwest_client.post(url).body_bytes(BODY).build().send()
        return (await response.bytes()).to_bytes()

    async def bare_httpx() -> bytes:
        return (await httpx_client.post(url, content=BODY)).content

    bare, count = (bare_pyreqwest, 5_000) if name == "pyreqwest" else (bare_httpx, 500)
    rates: dict[Call, list[float]] = {seam: [], bare: []}
    for call in [seam, bare] * (ROUNDS + 1):
        rates[call].append(await rate(call, count))
    await transport.aclose()
    await pyreqwest_client.close()
    await httpx_client.aclose()
    return median(rates[seam][1:]), median(rates[bare][1:])  # the first round opens the connections


@pytest.mark.benchmark
@pytest.mark.parametrize("name", FLOORS)
def test_the_seam_adds_little_to_the_engine(name: str) -> None:
    with served() as url:
        seam, bare = asyncio.run(compare(name, url))
    extra = (1 / seam - 1 / bare) * 1e6
    print(f"\n{name}: seam {seam:,.0f}/s, bare {bare:,.0f}/s, ratio {seam / bare:.2f}, {extra:+.1f} µs a request")
    assert seam / bare >= FLOORS[name]


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        for engine in FLOORS:
            test_the_seam_adds_little_to_the_engine(engine)
