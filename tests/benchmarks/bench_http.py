"""Chat calls over loopback: penstock against a bare call of the same engine, and against what people use instead.

Run it by itself: `python tests/benchmarks/bench_http.py`. Each client is a process of its own on core 0, the
simulated server one on core 1. The openai SDK and LiteLLM are measured where an environment with them is found:
`PENSTOCK_PEERS` names a folder with `v_openai` and `v_litellm`, virtual environments that hold each.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROUNDS = 3
PEERS = Path(os.environ.get("PENSTOCK_PEERS", Path.home() / ".cache" / "penstock-perf"))

CLIENT = """
import asyncio, gc, json, os, resource, sys, time, warnings
warnings.filterwarnings("ignore")
os.environ.update(OPENAI_API_KEY="sk-x", LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION")
name, url, count, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
MODEL, MOST, HEAT = "gpt-4o-mini", 64, 0.2
SYSTEM = "You are a helpful assistant."
def user(n): return f"What is the capital of France? Answer in one sentence. ({n})"
def messages(n): return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user(n)}]
def body(n): return {"model": MODEL, "messages": messages(n), "temperature": HEAT, "max_tokens": MOST}

async def bare():
    import aiohttp
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers={"authorization": "Bearer sk-x"})
    async def send(n):
        async with session.post(url + "/chat/completions", json=body(n)) as answer:
            return (await answer.json())["choices"][0]["message"]["content"]
    return send, session.close

async def penstock():
    from penstock import GenerationRequest, Message, Service
    service = Service(max_rpm=1e9, max_tpm=1e12, max_concurrent_requests=100_000,
                      provider_options={"openai": {"base_url": url}})
    await service.__aenter__()
    async def send(n):
        request = GenerationRequest(model="openai/" + MODEL, temperature=HEAT, max_tokens=MOST,
                                    messages=[Message("system", SYSTEM), Message("user", user(n))])
        result = await service.generate_output_async(request)
        if not result.success: raise RuntimeError(result.error_message)
        return result.content
    return send, lambda: service.__aexit__(None, None, None)

async def openai():
    from openai import AsyncOpenAI
    client = AsyncOpenAI(base_url=url, api_key="sk-x", max_retries=2)
    async def send(n):
        answer = await client.chat.completions.create(**body(n))
        return answer.choices[0].message.content
    return send, client.close

async def litellm():
    import litellm
    async def send(n):
        answer = await litellm.acompletion(**{**body(n), "model": "openai/" + MODEL}, api_base=url, api_key="x")
        return answer.choices[0].message.content
    async def close(): pass
    return send, close

async def drive(send, count):
    numbers = iter(range(count))
    async def worker():
        for n in numbers:
            assert len(await send(n)) > 5
    await asyncio.gather(*[worker() for _ in range(in_flight)])

async def main():
    send, close = await {"bare": bare, "penstock": penstock, "openai": openai, "litellm": litellm}[name]()
    await drive(send, min(count, 2 * in_flight))
    began, cpu = time.perf_counter(), time.process_time()
    await drive(send, count)
    took = time.perf_counter() - began
    print(json.dumps({"rate": count / took, "cpu_us": (time.process_time() - cpu) / count * 1e6}), flush=True)
    os._exit(0)

asyncio.run(main())
"""


@contextmanager
def server(*options):
    command = [sys.executable, "-m", "penstock_sim.serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        os.sched_setaffinity(process.pid, {1 % (os.cpu_count() or 1)})
        yield process.stdout.readline().strip() + "/v1"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def python_of(client):
    """Return the interpreter that has a client installed; None where there is none."""
    if client in {"bare", "penstock"}:
        return sys.executable
    found = PEERS / f"v_{client}" / "bin" / "python"
    return str(found) if found.exists() else None


def measure(client, url, count, in_flight):
    pinned = ["taskset", "-c", "0", python_of(client), "-c", CLIENT, client, url, str(count), str(in_flight)]
    done = subprocess.run(pinned, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def race(counts, in_flight, *options):
    """Return the median rate and CPU of each client, measured in turns against one server."""
    runs = {client: [] for client in counts if python_of(client)}
    with server(*options) as url:
        for _ in range(ROUNDS):
            for client, found in runs.items():
                found.append(measure(client, url, counts[client], in_flight))
    return {client: sorted(found, key=lambda run: run["rate"])[len(found) // 2] for client, found in runs.items()}


def report(title, medians):
    print(f"\n{title}")
    ours = medians["penstock"]["rate"]
    for client, run in medians.items():
        ratio = ours / run["rate"]
        print(f"  {client:9} {run['rate']:8,.0f} requests/s {run['cpu_us']:7.0f} µs CPU   penstock is {ratio:5.2f} x")
    return {client: ours / run["rate"] for client, run in medians.items()}


@pytest.mark.benchmark
def test_sixty_four_in_flight_without_latency():
    counts = {"bare": 20_000, "penstock": 20_000, "openai": 2_000, "litellm": 1_000}
    ratio = report("64 in flight, no latency, one core", race(counts, 64))
    assert ratio["bare"] >= 0.6
    assert ratio.get("openai", 12) >= 12
    assert ratio.get("litellm", 30) >= 30


@pytest.mark.benchmark
def test_a_thousand_in_flight_with_latency():
    counts = {"bare": 20_000, "penstock": 20_000, "openai": 3_000}
    ratio = report("1,000 in flight, 200 ms, one core", race(counts, 1000, "--latency", "0.2"))
    assert ratio["bare"] >= 0.8
    assert ratio.get("openai", 12) >= 12


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-m", "benchmark", "-s", "-q"]))
