"""The wheels of the workspace, built once, and empty environments to install them in. None of it needs a network.

What has to be fetched comes from the folder of locked wheels that `python3 dev.py setup` keeps in the environment.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WHEELHOUSE = Path(sys.prefix) / "wheelhouse"
UV = Path(sys.executable).parent / "uv"
OFFLINE = ("--offline", "--no-index", "--find-links", WHEELHOUSE)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Callable[..., str]:
    """Run a program that knows neither the checkout nor what this process has set, and return what it prints."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def one(*command: object, cwd: Path = elsewhere, status: int = 0, **environment: str) -> str:
        words = [str(part) for part in command]
        clean = {"PATH": os.environ["PATH"], "HOME": str(elsewhere), **environment}
        done = subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == status, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    return one


@pytest.fixture(scope="session")
def build(run) -> Callable[..., None]:
    """Build wheels into a folder, in isolation, from what the pyproject files ask for; `what` is a folder or option."""

    def into(folder: Path, what: object) -> None:
        assert WHEELHOUSE.is_dir(), "no folder of locked wheels: run `python3 dev.py setup`"
        run(UV, "build", what, "--wheel", *OFFLINE, "--out-dir", folder, cwd=ROOT)

    return into


@pytest.fixture(scope="session")
def wheels(tmp_path_factory, build) -> Path:
    """A folder with the wheel of every package of the workspace."""
    folder = tmp_path_factory.mktemp("wheels")
    build(folder, "--all-packages")
    return folder


@pytest.fixture(scope="session")
def make_environment(wheels, run) -> Callable[..., Path]:
    """Make an empty environment, install these packages and what they declare, and return its folder of programs."""

    def make(folder: Path, *names: str, more_wheels: Path | None = None) -> Path:
        run(UV, "venv", "--quiet", "--offline", "--python", sys.executable, folder)
        sources = [*OFFLINE, "--find-links", wheels, *(["--find-links", more_wheels] if more_wheels else [])]
        run(UV, "pip", "install", "--quiet", "--python", folder, *sources, *names)
        return folder / "bin"

    return make


@pytest.fixture
def environment(tmp_path, make_environment) -> Callable[..., Path]:
    """The same, for one test."""
    return lambda *names: make_environment(tmp_path / "environment", *names)
