"""What the core itself costs: CPU per request, import time, and memory over many requests.

Run it by itself: `python tests/benchmarks/bench_core.py`. The provider does nothing, so all that is measured is
penstock: two limits and a concurrency gate, retries armed, one step, one sink, every figure kept.
"""

import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock import (
    MODEL_COSTS,
    BaseLLMProvider,
    ConcurrencyGate,
    GenerationRequest,
    MetricsSink,
    ProviderReply,
    RpmGate,
    Service,
    TpmGate,
    Usage,
)

BUDGET_US = 50.0
IMPORT_BUDGET_MS = 100.0
MOST_GROWTH_MIB = 8.0
ROUNDS = 50
"""Many short ones: on a machine that others use as well, a few of them are left in peace."""


class Nothing(BaseLLMProvider):
    """Answers at once."""

    name = "nothing"
    reply = ProviderReply("the answer", Usage(input_tokens=10, output_tokens=5), finish_reason="stop")

    def convert_request(self, request):
        return {"model": request.model}

    async def _invoke_impl(self, payload):
        return self.reply


class Nowhere(MetricsSink):
    """Takes events nowhere."""

    def record(self, event):
        pass


def full_service():
    MODEL_COSTS["nothing/m"] = {"input": 1, "output": 2}
    return Service(
        providers=[Nothing()],
        gates=[RpmGate(1e9), TpmGate(1e12), ConcurrencyGate(100)],
        pipeline=[str.upper],
        sinks=[Nowhere()],
        default_model="nothing/m",
    )


def requests(count):
    return [GenerationRequest(model="nothing/m", prompt="What is the capital of France?") for _ in range(count)]


async def cpu_us_per_request(count=1_000):
    """Return CPU microseconds per request, one at a time and through `generate_many`: the best of some rounds."""
    one_by_one, many = [], []
    async with full_service() as service:
        work = requests(count)
        for _ in range(ROUNDS):
            began = time.process_time()
            for request in work:
                await service.generate_output_async(request)
            one_by_one.append((time.process_time() - began) / count * 1e6)
            began = time.process_time()
            async for _ in service.generate_many(work):
                pass
            many.append((time.process_time() - began) / count * 1e6)
    return min(one_by_one), min(many)


def of_children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def import_ms():
    """Return CPU milliseconds that `import penstock` adds to a bare interpreter, bytecode cached: the best of some."""

    def best(code):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        times = []
        for _ in range(6):
            before = of_children_s()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            times.append(of_children_s() - before)
        return min(times[1:]) * 1e3

    return best("import penstock") - best("pass")


def resident_mib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def memory_growth_mib(count):
    """Return MiB that the process grew by between a tenth and the whole of `count` requests."""
    async with full_service() as service:
        source = (GenerationRequest(model="nothing/m", prompt=f"question {n}") for n in range(count))
        seen, early = 0, 0.0
        async for _ in service.generate_many(source):
            seen += 1
            if seen == count // 10:
                early = resident_mib()
        return resident_mib() - early, resident_mib()


@pytest.mark.benchmark
def test_the_core_costs_at_most_fifty_microseconds_a_request():
    one, many = asyncio.run(cpu_us_per_request())
    print(f"\ncore: {one:.1f} µs CPU a request, {many:.1f} through generate_many: {one / BUDGET_US:.2f} of the budget")
    assert one <= BUDGET_US


@pytest.mark.benchmark
def test_importing_penstock_takes_at_most_a_tenth_of_a_second():
    taken = import_ms()
    print(f"\nimport penstock: {taken:.0f} ms: {taken / IMPORT_BUDGET_MS:.2f} of the budget")
    assert taken <= IMPORT_BUDGET_MS


@pytest.mark.benchmark
def test_memory_is_flat_over_two_hundred_thousand_requests():
    grown, total = asyncio.run(memory_growth_mib(200_000))
    print(f"\nmemory: {grown:+.1f} MiB from request 20,000 to 200,000, {total:.0f} MiB in all")
    assert grown <= MOST_GROWTH_MIB


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-m", "benchmark", "-s", "-q"]))
