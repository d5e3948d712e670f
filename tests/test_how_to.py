"""The how-tos together are a plugin: their code, put into the files that they name, is found and used by name."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to"
PAGES = {"write-a-provider": "provider", "write-a-step": "steps", "write-a-gate": "gates", "write-a-sink": "sinks"}


def blocks(page: str, language: str) -> list[str]:
    text = (HOW_TO / f"{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path):
    """A folder with the package `penstock_acme` and the metadata that installing it would write."""
    package = tmp_path / "penstock_acme"
    package.mkdir()
    hooks = []
    for page, module in PAGES.items():
        written = blocks(page, "python")
        part = next(block for block in written if re.search(r"^class ", block, re.MULTILINE))
        (package / f"{module}.py").write_text(part)
        hooks += [block for block in written if "@hookimpl" in block]
    (package / "plugin.py").write_text("\n".join(hooks))
    project = next(
        data["project"] for data in map(tomllib.loads, blocks("write-a-provider", "toml")) if "project" in data
    )
    points = "\n".join(f"{name} = {target}" for name, target in project["entry-points"]["penstock"].items())
    metadata = tmp_path / "penstock_acme-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(f"[penstock]\n{points}\n")
    return tmp_path


def penstock(site: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "penstock", *arguments]
    done = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", ["write-a-step", "write-a-gate", "write-a-sink"])
def test_a_part_of_the_how_tos_passes_the_suite_that_its_page_shows(page, tmp_path):
    # The suite of the provider, and those of the package's page, are run by the commands of the pages themselves.
    shown = [block for block in blocks(page, "python") if re.search(r"^class ", block, re.MULTILINE)]
    part, *_, suite = shown
    assert re.search(r"^class Test\w+\(\w+Contract\):", suite, re.MULTILINE)
    (tmp_path / "test_part.py").write_text(f"{part}\n\n{suite}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_the_plugin_of_the_how_tos_is_found_with_all_it_offers(site):
    report = json.loads(penstock(site, "plugins", "--json"))
    acme = next(info for info in report["plugins"] if info["name"] == "acme")
    assert acme["error"] is None
    assert {kind: tuple(names) for kind, names in acme["offers"].items()} == {
        "provider": ("acme",),
        "step": ("in_one_sentence",),
        "gate": ("allowance",),
        "sink": ("daily_cost",),
    }
    assert report["providers"]["acme"]["usable"]


def test_the_parts_of_the_how_tos_work_from_a_config_file(site):
    settings = "\n".join(block for page in PAGES for block in blocks(page, "toml") if "[project" not in block)
    (site / "penstock.toml").write_text(settings.replace("openai/*", "sim/*"))
    (site / "in.jsonl").write_text(json.dumps({"prompt": "Tell me a story.", "max_tokens": 80}) + "\n")
    penstock(site, "run", "in.jsonl", "-o", "out.jsonl", "-m", "sim/default", "--config", "penstock.toml")
    row = json.loads((site / "out.jsonl").read_text())
    assert row["penstock"]["steps"][0]["step_name"] == "in_one_sentence"
    assert row["penstock"]["attempts"] == 1
    assert (site / "costs.sqlite").is_file()
