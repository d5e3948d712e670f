"""Real wheels in empty environments: each package works alone with only what it declares, and together they work.

Wheels are built once, in isolation, from what the pyproject files ask for, and without a network.
"""

import json
import shutil
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

UV = Path(sys.executable).parent / "uv"

ROOT = Path(__file__).parents[2]
NAMES = ["penstock", *sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))]

# The whole of what `pip install penstock` brings. A longer list is a decision, not an accident.
TREE_OF_THE_CORE = {"penstock", "anyio", "attrs", "cattrs", "idna", "pluggy", "typing-extensions"}


def opened(wheels: Path, name: str) -> tuple[list[str], Message]:
    """The file names of a package's wheel, and its metadata."""
    (path,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        (metadata,) = [member for member in members if member.endswith(".dist-info/METADATA")]
        return members, Parser().parsestr(archive.read(metadata).decode())


def test_every_package_has_a_wheel(wheels):
    assert len(list(wheels.glob("*.whl"))) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_holds_its_package_its_types_and_its_licence_and_nothing_else(wheels, name):
    members, _ = opened(wheels, name)
    package = name.replace("-", "_")
    assert f"{package}/py.typed" in members
    assert any(member.endswith(".dist-info/licenses/LICENSE") for member in members)
    beside = {"penstock": ["pytest_penstock.py"]}  # docs/decisions/0015 says why it does not stand within
    assert [m for m in members if m.split("/")[0] != package and ".dist-info/" not in m] == beside.get(name, [])
    assert [member for member in members if Path(member).name.startswith(("test_", "conftest"))] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_says_what_its_pyproject_says(wheels, projects, name):
    _, metadata = opened(wheels, name)
    project = projects[name]["project"]
    required = {str(Requirement(line)) for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert required == {str(Requirement(line)) for line in project.get("dependencies", [])}
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload(), "a package's page is its README"


# Every module, not only the first: an undeclared dependency hides in the one nobody imports. A package's `testing` is
# for test suites, which bring trio and pytest themselves, a `__main__` would run, and an extra is not installed here.
IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
package, *extras = sys.argv[1:]
for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
    if not {"__main__", "testing"} & set(module.name.split(".")):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            if missing.name not in extras:
                raise
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_package_alone_in_an_empty_environment_imports(environment, run, projects, name):
    extras = projects[name]["project"].get("optional-dependencies", {}).values()
    optional = [Requirement(line).name.replace("-", "_") for extra in extras for line in extra]
    python = environment(name) / "python"
    run(python, "-I", "-W", "error", "-c", IMPORT_EVERYTHING, name.replace("-", "_"), *optional)


def test_the_core_brings_little_else(environment, run):
    programs = environment("penstock")
    listing = json.loads(run(UV, "pip", "list", "--format", "json", "--python", programs / "python"))
    assert {package["name"] for package in listing} == TREE_OF_THE_CORE


def test_the_core_alone_is_a_command(environment, run, projects):
    programs = environment("penstock")
    version = projects["penstock"]["project"]["version"]
    assert version in run(programs / "penstock", "--version")
    assert version in run(programs / "python", "-m", "penstock", "--version")
    assert isinstance(json.loads(run(programs / "python", "-m", "penstock", "plugins", "--json")), dict)


def test_importing_the_core_imports_no_http_client_though_plugins_brought_one(environment, run):
    programs = environment("penstock-openai", "penstock-sim")
    loaded = run(programs / "python", "-I", "-c", "import penstock, sys; print('\\n'.join(sys.modules))").split()
    assert {"aiohttp", "httpx", "pydantic", "penstock_http"} & set(loaded) == set()


def test_core_and_plugins_together_run_the_main_job(environment, run, tmp_path):
    programs = environment("penstock", "penstock-openai", "penstock-sim")
    source, results = tmp_path / "questions.jsonl", tmp_path / "results.jsonl"
    shutil.copy(ROOT / "examples" / "questions.jsonl", source)
    run(programs / "penstock", "run", source, "-o", results, "-m", "sim/default", cwd=tmp_path)
    asked = [json.loads(line)["custom_id"] for line in source.read_text().splitlines()]
    answered = [json.loads(line)["custom_id"] for line in results.read_text().splitlines()]
    assert sorted(answered) == sorted(asked)


def write_wheel(folder: Path, name: str, source: str) -> Path:
    """A wheel of a plugin in one module, made by hand as any build backend might."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-1.5.dist-info"
    members = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\nRequires-Dist: penstock\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[penstock]\n{name.removeprefix('penstock-')} = {module}\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"])
    path = folder / f"{module}-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return path


HOOK = """
from penstock import Registration, hookimpl

penstock_api = {api}

@hookimpl
def {hook}():
    return [Registration("night", "penstock:RpmGate")]
"""
PLUGINS = {
    "penstock-well": HOOK.format(api=1, hook="penstock_gates"),
    "penstock-raises": "raise RuntimeError('no luck')",
    "penstock-exits": "raise SystemExit(3)",
    "penstock-misspelt": HOOK.format(api=1, hook="penstock_gtes"),
    "penstock-newer": HOOK.format(api=999, hook="penstock_gates"),
}


def test_broken_plugins_from_wheels_are_each_named_and_the_good_one_works(environment, run, tmp_path):
    programs = environment("penstock", *(write_wheel(tmp_path, name, source) for name, source in PLUGINS.items()))
    report = run(programs / "penstock", "plugins", "--json", status=1)
    found = {info["dist"]: info for info in json.loads(report)["plugins"]}
    assert found["penstock-well"]["error"] is None
    assert {name: found[name]["error"] for name in PLUGINS if name != "penstock-well"} == {
        "penstock-raises": "RuntimeError: no luck",
        "penstock-exits": "SystemExit: 3",
        "penstock-misspelt": "there is no hook 'penstock_gtes'; did you mean 'penstock_gates'?",
        "penstock-newer": "it is written for version 999 of penstock's hooks, and this penstock has 1",
    }
    assert {info["version"] for name, info in found.items() if name in PLUGINS} == {"1.5"}
    assert "gate night" in run(programs / "penstock", "plugins", "night")


def test_the_workspace_moves_as_one(projects, checkout, dists):
    versions = {name: project["project"]["version"] for name, project in projects.items()}
    assert len(set(versions.values())) == 1, versions
    licence = (checkout / "LICENSE").read_bytes()
    assert [folder.name for folder in dists if (folder / "LICENSE").read_bytes() != licence] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_project_says_the_same_things_in_the_same_order_as_the_others(projects, name):
    first = list(projects["penstock"]["project"])
    common = first[: first.index("dependencies") + 1]
    assert list(projects[name]["project"])[: len(common)] == common


def test_plugins_accept_the_core_they_are_released_with(projects):
    version = projects["penstock"]["project"]["version"]
    for name, project in projects.items():
        needed = [Requirement(line) for line in project["project"].get("dependencies", [])]
        siblings = [requirement for requirement in needed if requirement.name in projects]
        assert name == "penstock" or siblings, f"{name} does not say that it needs penstock"
        assert [str(sibling) for sibling in siblings if not sibling.specifier.contains(version)] == [], name
