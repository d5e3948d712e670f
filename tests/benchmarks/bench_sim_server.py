"""How many requests a second the simulated server answers on one core.

Run it by itself: `python tests/benchmarks/bench_sim_server.py`. The server gets a core
of its own, the load another. The load comes from wrk where it is installed, else from raw
asyncio connections, which are slower than the server: the server's CPU time per request
tells what it could do, so that figure is printed and judged in both cases.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CONNECTIONS = 64
SECONDS = 4
FLOOR_PER_S = 5_000
BODY = (
    b'{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are a helpful assistant."},'
    b'{"role":"user","content":"How far does water fall from a dam of 120 metres?"}],"max_tokens":64,"temperature":0.2}'
)
PATH = "/v1/chat/completions"


@contextmanager
def served(*options: str, core: int) -> Iterator[tuple[str, int]]:
    """A server process pinned to a core: its URL and process id."""
    command = [sys.executable, "-m", "penstock_sim.serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        os.sched_setaffinity(process.pid, {core})
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_by_wrk(url: str, core: int) -> float:
    """Requests per second as wrk counts them; every answer must be a 200."""
    script = f'wrk.method = "POST"\nwrk.body = [[{BODY.decode()}]]\nwrk.headers["Content-Type"] = "application/json"\n'
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", file.name]
        report = subprocess.run([*command, url + PATH], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in report, report
    found = re.search(r"Requests/sec:\s*([\d.]+)", report)
    assert found is not None, report
    return float(found[1])


async def load_by_sockets(url: str) -> float:
    """Requests per second over raw connections, one request at a time on each."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    head = f"POST {PATH} HTTP/1.1\r\nhost: sim\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    request = head.encode() + BODY
    end = time.perf_counter() + SECONDS

    async def client() -> int:
        reader, writer = await asyncio.open_connection(host, port)
        count = 0
        while time.perf_counter() < end:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = re.search(rb"content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
            count += 1
        writer.close()
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - start)


def measure(*options: str) -> tuple[float, float, str]:
    """Requests per second, the server's CPU time per request (µs), and the load's name."""
    cores = sorted(os.sched_getaffinity(0))
    with served(*options, core=cores[0]) as (url, pid):
        before = cpu_seconds(pid)
        if shutil.which("wrk") and shutil.which("taskset"):
            load, rate = "wrk", load_by_wrk(url, cores[-1])
        else:
            os.sched_setaffinity(0, {cores[-1]})
            try:
                load, rate = "asyncio sockets", asyncio.run(load_by_sockets(url))
            finally:
                os.sched_setaffinity(0, cores)
        return rate, (cpu_seconds(pid) - before) / (rate * SECONDS) * 1e6, load


@pytest.mark.benchmark
@pytest.mark.parametrize(
    "options",
    [(), ("--rpm", "1000000000", "--tpm", "1000000000")],
    ids=["no limits", "both limits"],
)
def test_the_server_answers_thousands_of_requests_a_second_on_one_core(options):
    rate, cpu_us, load = measure(*options)
    print(f"\nsimulated server, {options or 'no limits'}: {rate:,.0f} requests/s ({load}), {cpu_us:.0f} µs CPU each")
    assert 1e6 / cpu_us >= FLOOR_PER_S


if __name__ == "__main__":
    for choice in ((), ("--rpm", "1000000000", "--tpm", "1000000000"), ("--limiter", "sliding", "--rpm", "100000000")):
        per_s, cpu_us, load = measure(*choice)
        print(f"{' '.join(choice) or 'no limits'}: {per_s:,.0f} requests/s ({load}), {cpu_us:.0f} µs CPU each")
