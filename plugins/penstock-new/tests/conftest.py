"""Packages as the command makes them, and a place where they are as good as installed."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from penstock_new import KINDS, Name, Package


@frozen
class Made:
    """A package that was written and built; its wheel is unpacked in `site`."""

    folder: Path
    site: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment in the package's folder, with the package installed."""
        environment = {key: text for key, text in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
        environment["PYTHONPATH"] = str(self.site)
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="session")
def make(tmp_path_factory) -> Callable[..., Made]:
    """Write a package, build its wheel without a network, and unpack that."""

    def made(kind: str, name: str, **options: str) -> Made:
        root = tmp_path_factory.mktemp(kind)
        one = Made(root / "package", root / "site")
        Package(kind=KINDS[kind], name=Name.of(name), author="Ada Lovelace", year=2026, **options).write(one.folder)
        built = one.run("hatchling", "build", "--target", "wheel", "--directory", str(root))
        assert built.returncode == 0, built.stderr
        (wheel,) = root.glob("*.whl")
        zipfile.ZipFile(wheel).extractall(one.site)
        return one

    return made
