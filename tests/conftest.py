"""What the tests that cross packages share: the checkout, and what its pyproject files say."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the workspace."""
    return ROOT


@pytest.fixture(scope="session")
def dists(checkout: Path) -> list[Path]:
    """The folders of the workspace's packages."""
    return [checkout / "core", *sorted(path.parent for path in checkout.glob("plugins/*/pyproject.toml"))]


@pytest.fixture(scope="session")
def projects(dists: list[Path]) -> dict[str, dict[str, Any]]:
    """The pyproject of each package, by the package's name."""
    texts = [tomllib.loads((folder / "pyproject.toml").read_text()) for folder in dists]
    return {text["project"]["name"]: text for text in texts}
