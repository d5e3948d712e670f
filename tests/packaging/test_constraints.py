"""constraints.txt: exact versions with hashes, for everything the workspace declares, and not one address."""

import re
import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def lock(checkout: Path) -> str:
    return (checkout / "constraints.txt").read_text()


@pytest.fixture(scope="module")
def entries(lock: str) -> list[str]:
    """The lock's requirements, each with its hashes on one line."""
    lines = lock.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_it_names_no_address(lock):
    assert re.findall(r"\w+://|^-|\s@\s|\b(?:\w+-)?index\b|\b\w+\.(?:org|com|io|net)\b", lock, re.MULTILINE) == []


def test_every_entry_is_exact_and_hashed(entries):
    inexact = [line[:60] for line in entries if not re.match(r"[\w.-]+==[\w.+!]+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert inexact == []


def test_it_covers_every_declared_requirement(checkout, entries):
    pins: dict[str, list[str]] = {}
    for line in entries:
        requirement = Requirement(line.partition("--hash")[0])
        (pin,) = requirement.specifier
        pins.setdefault(canonicalize_name(requirement.name), []).append(pin.version)
    declared = [Requirement(text) for text in runpy.run_path(str(checkout / "dev.py"))["declared"]()]
    uncovered = [
        str(requirement)
        for requirement in declared
        if not any(requirement.specifier.contains(v) for v in pins.get(canonicalize_name(requirement.name), []))
    ]
    assert declared
    assert uncovered == [], "run `python3 dev.py lock`"
