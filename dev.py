#!/usr/bin/env python3
"""The project's commands, from a checkout and Python alone; CONTRIBUTING.md says when to use which.

Standard library only. Everything lands in .venv beside this file: packages at the versions and hashes of
constraints.txt, the workspace itself as editable installs, and the downloaded wheels, so that once set up it all
works offline. A second run finds its stamps unchanged and starts at once.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "dev.py: penstock needs Python 3.11 or newer, and this is {}.{} ({}). Try: python3.11 dev.py {}".format(
            sys.version_info[0], sys.version_info[1], sys.executable, " ".join(sys.argv[1:])
        )
    )

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "constraints.txt"
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
WHEELHOUSE = VENV / "wheelhouse"
SITE = ROOT / "docs" / "_build"
DEMO_OUTPUT = ROOT / "demo-results.jsonl"
SPACE_NEEDED_MB = 500

UV_COMPILE = (
    *("pip", "compile", "-", "--output-file", LOCK, "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
)

# Tests are checked inside, not held to annotate every fixture; their cache is their own, as their options are.
MYPY_OF_TESTS = (
    *("--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls", "--allow-untyped-decorators"),
    *("--no-warn-return-any", "--disable-error-code=var-annotated", "--explicit-package-bases"),
    *("--cache-dir", ROOT / ".mypy_cache" / "tests"),
)

# Every warning of Sphinx ends the build, after all of them have been shown.
SPHINX = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--fresh-env")

LOCK_HEADER = """\
# Every version and hash of the workspace: what its packages need, what develops them and what builds them.
# Written by `python3 dev.py lock`; it names no download address, so any package registry will do.
"""


def fail(message: str) -> NoReturn:
    """End with a message that says what is wrong and what to do."""
    sys.exit(f"dev.py: {message}")


def run(*command: object, check: str = "") -> int:
    """Run a command from the root; a status other than 0 ends dev.py with the message `check`, where one is given."""
    env = {k: v for k, v in os.environ.items() if k not in {"PIP_USER", "PYTHONHOME", "PYTHONPATH"}}
    status = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False).returncode
    if status and check:
        fail(check)
    return status


# ---------------------------------------------------------------- the environment


def dists() -> list[Path]:
    """The folders of the workspace's packages, the core first."""
    return [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def fingerprint(*paths: Path) -> str:
    """What an installation depends on, as one digest: this Python, this folder and the contents of `paths`."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {sys.platform} {ROOT}".encode())
    for path in paths:
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def venv_works() -> bool:
    """Whether .venv holds an environment of a Python that is new enough and still there."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    try:
        return subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def create_venv() -> None:
    """Make .venv afresh; a Python without ensurepip (Debian's, without python3-venv) lends its own pip instead."""
    ways = [["--without-pip"]] if importlib.util.find_spec("pip") else []
    if importlib.util.find_spec("ensurepip"):
        ways.insert(0, [])
    if not ways:
        fail(
            f"{sys.executable} has neither ensurepip nor pip, so it cannot make an environment. "
            "Install one of them; on Debian and Ubuntu: apt-get install python3-venv"
        )
    if not any(run(sys.executable, "-m", "venv", "--clear", *way, VENV) == 0 for way in ways):
        fail(f"could not make an environment in {VENV} (the reason is above; {free_space()})")


def pip(*arguments: object, problem: str) -> None:
    """Run pip on .venv: the environment's own pip, or until it has one, that of the Python running this."""
    has_own = subprocess.run([PYTHON, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    command = [PYTHON, "-m", "pip"] if has_own else [sys.executable, "-m", "pip", "--python", PYTHON]
    # Twice quiet: only errors. Warnings about the machine's own pip settings are not about this project.
    run(*command, *arguments, "--disable-pip-version-check", "--no-input", "-qq", check=problem)


def free_space() -> str:
    """How much room the disk has, and whether that is enough."""
    free_mb = shutil.disk_usage(ROOT).free // 1_000_000
    enough = "enough" if free_mb >= SPACE_NEEDED_MB else f"TOO LITTLE: about {SPACE_NEEDED_MB} MB are needed"
    return f"{free_mb} MB free on this disk, {enough}"


def install_locked() -> None:
    """Fetch every locked wheel into the wheelhouse and install from there, each checked against its hash."""
    print("dev.py: fetching the locked packages (once; a minute or so) ...", flush=True)
    fresh = VENV / "wheelhouse.new"
    shutil.rmtree(fresh, ignore_errors=True)
    locked = ("--require-hashes", "--only-binary", ":all:", "--requirement", LOCK)
    pip(
        *("download", *locked, "--find-links", WHEELHOUSE if WHEELHOUSE.is_dir() else VENV, "--dest", fresh),
        problem="could not fetch the locked packages (pip's reason is above). Is the package registry reachable? "
        f"`pip config list` shows which one pip asks. {free_space()}.",
    )
    shutil.rmtree(WHEELHOUSE, ignore_errors=True)
    fresh.rename(WHEELHOUSE)
    pip(
        *("install", *locked, "--no-index", "--find-links", WHEELHOUSE),
        problem=f"could not install the locked packages (pip's reason is above). {free_space()}.",
    )


def install_workspace() -> None:
    """Install core and plugins from the checkout, editable; what they need is there already."""
    print("dev.py: installing the workspace ...", flush=True)
    editables = [part for dist in dists() for part in ("--editable", dist)]
    pip(
        *("install", "--no-deps", "--no-index", "--no-build-isolation", *editables),
        problem="could not install the workspace's packages (pip's reason is above)",
    )


def update(*parts: str) -> None:
    """Bring these parts of .venv up to date, doing only what has changed; offline once nothing new is needed."""
    if not LOCK.is_file():
        fail(f"{LOCK.name} is missing: restore it (git restore {LOCK.name})")
    if not venv_works():
        create_venv()
    known = {
        "locked": (install_locked, [LOCK]),
        "workspace": (install_workspace, [LOCK, *(dist / "pyproject.toml" for dist in dists())]),
    }
    for part in parts:
        install, inputs = known[part]
        stamp, wanted = VENV / f"{part}.stamp", fingerprint(*inputs)
        if not (stamp.is_file() and stamp.read_text() == wanted):
            install()
            stamp.write_text(wanted)


# ---------------------------------------------------------------- the commands


def setup(_: list[str] | None = None) -> int:
    """Make .venv or bring it up to date; every other command does this first."""
    update("locked", "workspace")
    return 0


def demo(arguments: list[str]) -> int:
    """Run the main job on the embedded default: a file of questions through gates, a simulated model, a pipeline."""
    setup()
    for old in ROOT.glob(f"{DEMO_OUTPUT.stem}*"):
        old.unlink()
    source = ROOT / "examples" / "questions.jsonl"
    status = run(BIN / "penstock", "run", source, "-o", DEMO_OUTPUT, "-m", "sim/default", "--progress", *arguments)
    if status == 0:
        print(f"dev.py: the results are in {DEMO_OUTPUT.name}, a line for each line of {source.relative_to(ROOT)}")
    return status


def checks() -> list[str]:
    """Run formatter, linter and type checker; return the names of those that failed."""
    sources = [dist / "src" for dist in dists()]
    folders = [*(dist / "tests" for dist in dists()), ROOT / "tests"]
    tests = [folder for folder in folders if any(folder.rglob("*.py"))]
    examples = sorted(ROOT.glob("docs/examples/*/pyproject.toml"))
    commands: dict[str, list[list[object]]] = {
        "ruff format": [["ruff", "format", "--check", "."]],
        "ruff check": [["ruff", "check", "."]],
        # One run each: the packages' tests share module names such as conftest.
        "mypy": [
            ["mypy", *sources, ROOT / "dev.py", ROOT / "conftest.py", ROOT / "docs" / "conf.py"],
            *(["mypy", *MYPY_OF_TESTS, folder] for folder in tests),
            # Outsiders, each with the configuration of its own pyproject; ruff finds these by itself.
            *(["mypy", "--config-file", path, path.parent / "src", path.parent / "tests"] for path in examples),
        ],
    }
    failed = []
    for name, runs in commands.items():
        print(f"dev.py: {name}", flush=True)
        if any([run(BIN / str(tool), *rest) for tool, *rest in runs]):  # noqa: C419  # a list, so that every run is made
            failed.append(name)
    return failed


def lint(_: list[str]) -> int:
    """Run ruff (format and rules) and mypy over the whole workspace."""
    setup()
    failed = checks()
    return fail(f"failed: {', '.join(failed)}") if failed else 0


def test(arguments: list[str]) -> int:
    """Run every check and every test; with arguments, only pytest with those arguments."""
    setup()
    if arguments:
        return run(PYTHON, "-m", "pytest", *arguments)
    failed = checks()
    if failed:
        print(f"dev.py: FAILED: {', '.join(failed)}. The tests run all the same; the status will be 1.", flush=True)
    # A file's tests stay in one worker, so that what a module builds (wheels, servers) is built once.
    status = run(PYTHON, "-m", "pytest", "-n", "auto", "--dist", "loadfile")
    return status or bool(failed)


def bench(arguments: list[str]) -> int:
    """Run the benchmarks, one at a time; each prints its ratio."""
    setup()
    return run(PYTHON, "-m", "pytest", "-m", "benchmark", "-s", *arguments)


def cover(arguments: list[str]) -> int:
    """Run the tests under coverage and print what no test reaches."""
    setup()
    run(PYTHON, "-m", "coverage", "erase")
    status = run(PYTHON, "-m", "coverage", "run", "-m", "pytest", *arguments)
    run(PYTHON, "-m", "coverage", "combine", "--quiet")
    return run(PYTHON, "-m", "coverage", "report") or status


def docs(arguments: list[str]) -> int:
    """Build the site of the documents; a broken link or an unknown name fails it."""
    setup()
    shutil.rmtree(SITE, ignore_errors=True)
    status = run(
        *(PYTHON, "-m", "sphinx", *SPHINX, "--conf-dir", ROOT / "docs", "--doctree-dir", SITE / "doctrees"),
        *(*arguments, ROOT, SITE / "html"),
    )
    if status == 0:
        print(f"dev.py: the site is in {(SITE / 'html' / 'index.html').relative_to(ROOT)}")
    return status


def declared() -> list[str]:
    """Every requirement the workspace's pyproject files state, the packages' own names for each other left out."""
    texts = [tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (ROOT, *dists())]
    own = {text["project"]["name"] for text in texts if "project" in text}
    requirements: set[str] = set()
    for text in texts:
        project = text.get("project", {})
        requirements.update(text.get("build-system", {}).get("requires", ()), project.get("dependencies", ()))
        requirements.update(*project.get("optional-dependencies", {}).values())
        requirements.update(*text.get("dependency-groups", {}).values())
    return sorted(line for line in requirements if not any(line.startswith(name) for name in own))


def lock(arguments: list[str]) -> int:
    """Write constraints.txt anew from the pyproject files; `--upgrade` moves versions that need not move."""
    update("locked")
    wanted = "\n".join(declared()).encode()
    uv = subprocess.run([BIN / "uv", *UV_COMPILE, *arguments], input=wanted, cwd=ROOT, check=False)
    if uv.returncode:
        fail("uv could not resolve the requirements (its reason is above)")
    LOCK.write_text(LOCK_HEADER + LOCK.read_text().removeprefix(LOCK_HEADER))
    setup()
    return 0


def main() -> int:
    """Run the command that was asked for and return its status."""
    commands = {command.__name__: command for command in (setup, demo, test, lint, bench, cover, docs, lock)}
    listing = "\n".join(f"  {name:6} {command.__doc__}" for name, command in commands.items())
    parser = argparse.ArgumentParser(
        prog="dev.py", epilog=f"commands:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=commands, metavar="command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the tool behind the command")
    asked = parser.parse_args()
    return commands[asked.command](asked.arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
