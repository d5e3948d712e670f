"""What fifty installed plugins cost: to import penstock, to ask for help, to have them all looked over.

Run it by itself: `python tests/benchmarks/bench_plugins.py`. The plugins are real distributions as far as penstock
can see: a folder on the path with their metadata, their modules, and a subcommand each.
"""

import os
import resource
import subprocess
import sys
import time

import pytest

PLUGINS = 50
ROUNDS = 5
IMPORT_BUDGET_MS = 100.0
HELP_BUDGET_MS = 300.0
DOCTOR_BUDGET_MS = 1000.0

PLUGIN = """
from penstock import Registration, hookimpl

penstock_api = 1

@hookimpl
def penstock_gates():
    return [
        Registration("gate-{number}", "penstock_bench_{number}_parts:Gate{number}", summary="a gate"),
        Registration("set-{number}", "penstock_bench_{number}_parts:make", "penstock_bench_{number}_parts:Settings"),
    ]

@hookimpl
def penstock_providers():
    return [Registration("provider-{number}", "penstock_bench_{number}_parts:Provider{number}")]
"""

PARTS = """
from attrs import frozen
from penstock import BaseLLMProvider, ProviderReply, RpmGate

class Gate{number}(RpmGate):
    def __init__(self, limit: float, *, window_s: float = 60.0, share: float = 0.5, match: str = "*") -> None:
        super().__init__(limit, window_s=window_s, match=match)

@frozen(kw_only=True)
class Settings:
    limit: float
    mode: str = "fast"
    tags: tuple[str, ...] = ()

def make(settings: Settings) -> RpmGate:
    return RpmGate(settings.limit)

class Provider{number}(BaseLLMProvider):
    name = "provider-{number}"

    def __init__(self, *, api_key: str | None = None, base_url: str = "", max_body: int = 1_000_000) -> None:
        self.base_url = base_url

    def convert_request(self, request):
        return {{}}

    async def _invoke_impl(self, payload):
        return ProviderReply("")
"""

COMMAND = """
def configure(parser):
    parser.set_defaults(run=lambda arguments: 0)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a process that finds fifty more plugins than are installed."""
    folder = tmp_path_factory.mktemp("site")
    for number in range(PLUGINS):
        module = f"penstock_bench_{number}"
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: penstock-bench-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[penstock]\nbench-{number} = {module}\n[penstock.commands]\nbench-{number} = {module}_command:configure\n"
        )
        (folder / f"{module}.py").write_text(PLUGIN.format(number=number))
        (folder / f"{module}_parts.py").write_text(PARTS.format(number=number))
        (folder / f"{module}_command.py").write_text(COMMAND)
    ours = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return ours | {"PYTHONPATH": str(folder)}


def cost(environment, *arguments):
    """Return the milliseconds of CPU and of wall clock of Python with these arguments, and what it printed.

    Bytecode is cached; the best of some runs. The budget is held to CPU, which a busy machine spoils less: the
    process has one thread and reads small files, so on an idle machine the two are the same.
    """
    runs, printed = [], ""
    for _ in range(ROUNDS + 1):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True, text=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        runs.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall))
        printed = done.stdout
    cpu, wall = (min(column) * 1e3 for column in zip(*runs[1:], strict=True))
    return cpu, wall, printed


def tell(what, cpu, wall, budget):
    ratio = cpu / budget
    print(f"\n{what}, {PLUGINS} more plugins installed: {cpu:.0f} ms CPU ({wall:.0f} wall): {ratio:.2f} of the budget")
    assert cpu <= budget


@pytest.mark.benchmark
def test_importing_penstock_does_not_know_how_many_plugins_there_are(environment):
    bare_cpu, bare_wall, _ = cost(environment, "-c", "pass")
    cpu, wall, _ = cost(environment, "-c", "import penstock")
    tell("import penstock", cpu - bare_cpu, wall - bare_wall, IMPORT_BUDGET_MS)


@pytest.mark.benchmark
def test_help_reads_metadata_and_imports_no_plugin(environment):
    cpu, wall, printed = cost(environment, "-m", "penstock", "--help")
    assert f"bench-{PLUGINS - 1}" in printed
    tell("penstock --help", cpu, wall, HELP_BUDGET_MS)


@pytest.mark.benchmark
def test_the_doctor_looks_over_all_plugins_within_a_second(environment):
    cpu, wall, printed = cost(environment, "-m", "penstock", "plugins")
    assert f"gate gate-{PLUGINS - 1}, set-{PLUGINS - 1}" in printed
    tell("penstock plugins", cpu, wall, DOCTOR_BUDGET_MS)


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-m", "benchmark", "-s", "-q"]))
