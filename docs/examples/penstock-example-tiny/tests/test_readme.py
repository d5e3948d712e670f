"""The example of the README runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from vendor import tiny

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("TINY_API_KEY", "sk-1")
    names: dict[str, Any] = {}
    with tiny() as server:
        exec(compile(block.replace("https://tiny.invalid/v1", server.url), str(README), "exec"), names)
