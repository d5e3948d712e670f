"""What every test of the workspace gets: loopback alone, nobody's keys, recorded data, documents that run.

A package's own fixtures stand in its own tests/conftest.py. anyio's plugin runs each test marked `anyio` on asyncio
and on trio.
"""

import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent
REALDATA_VARIABLE = "PENSTOCK_REALDATA"

# Outsiders' packages: tests/packaging installs them as wheels and runs their tests and the examples of their pages.
collect_ignore = ["docs/examples"]

# The same examples on every machine and in every run; a failure names the example.
hypothesis.settings.register_profile("penstock", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("penstock")


# ---------------------------------------------------------------- no network but loopback


def is_loopback(host: Any) -> bool:
    """Whether a host given to a socket stays on this machine."""
    if host in {None, "", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections and look-ups that would leave the machine; a name under .invalid is not found, as promised."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if isinstance(host, bytes):  # as httpx passes names
        host = host.decode()
    if is_loopback(host):
        return
    if isinstance(host, str) and host.endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    raise AssertionError(f"a test reached for the network: {event} {host!r}; tests use loopback only")


sys.addaudithook(forbid_network)


# ---------------------------------------------------------------- no settings of the person who runs the tests

SETTINGS = re.compile(
    r"(https?|all|no)_proxy|\w+_(api_key|base_url|token)|(google|openai)_\w+|penstock_(plugins|http_engine)"
)

for name in [name for name in os.environ if SETTINGS.fullmatch(name.lower())]:
    del os.environ[name]


# ---------------------------------------------------------------- recorded data


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of recorded exchanges and real inputs; not part of the project, so a test without it is skipped."""
    named = os.environ.get(REALDATA_VARIABLE)
    folder = Path(named) if named else ROOT.parent / "shared" / "realdata"
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {REALDATA_VARIABLE} is not set, or {folder} is no folder")
    return folder


# ---------------------------------------------------------------- documents that run

COMMAND_TIMEOUT_S = 120
# What the harness keeps in a document's namespace, under names no document would use.
SERVERS, LEFT, FOLDER = "_harness_servers", "_harness_left", "_harness_folder"
COMMAND = re.compile(
    r"^(\w+=\S+ )*(.*\| *)?"
    r"(penstock|python -m (penstock|pytest)|(python -m )?pip (wheel --no-deps|install (\S+ )*(dist/|--editable))|cd)\b"
)
WHEELHOUSE = Path(sys.prefix) / "wheelhouse"  # of `python3 dev.py setup`


def give_environment(folder: Path) -> None:
    """Make an environment of its own for a document that installs something; it sees what the tests' has."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(f"import site; site.addsitedir({path!r})" for path in shared))
    for command, module in {"pip": "pip", "penstock": "penstock"}.items():
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec python -m {module} "$@"\n')
        script.chmod(0o755)


def environment_of(example: Example, line: str) -> dict[str, str]:
    """What a line of a document runs in. What it installs is the document's own, and is fetched from no registry."""
    folder: Path = example.namespace[FOLDER] / ".venv"
    if re.match(r"(python -m )?pip install", line) and not folder.is_dir():
        give_environment(folder)
    programs = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.environ | {
        "PATH": os.pathsep.join(programs),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(WHEELHOUSE),
    }


def evaluate_sh(example: Example) -> None:
    """Run the commands of an sh block that can run here, one by one; a final & leaves a server for the document."""
    for line in example.parsed.replace("\\\n", " ").splitlines():
        if not COMMAND.match(line):
            continue
        if line.startswith("cd "):
            os.chdir(line.removeprefix("cd "))
            continue
        environment = environment_of(example, line)
        if line.rstrip().endswith("&"):
            words = ["bash", "-c", f"exec {line.rstrip().removesuffix('&')}"]
            server = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
            example.namespace[SERVERS].append(server)
            assert server.stdout is not None
            assert server.stdout.readline(), f"the server did not say where it listens: {line}"
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}\nstatus {done.returncode}\n{done.stdout}{done.stderr}"


def evaluate_toml(example: Example) -> None:
    """A toml block is TOML; what penstock makes of it is its own tests' business."""
    tomllib.loads(example.parsed)


def evaluate_json(example: Example) -> None:
    """A json block is one JSON value."""
    json.loads(example.parsed)


def evaluate_jsonl(example: Example) -> None:
    """A jsonl block is a JSON value a line."""
    for line in example.parsed.splitlines():
        json.loads(line)


WRITTEN = re.compile(r"^<!-- file: (?P<path>\S+) -->(?P<gap>\n+)```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def written_files(document: Document) -> Iterator[Region]:
    """Find the comments that say which file the block below them is; the block is evaluated too, if it is no test."""
    for found in WRITTEN.finditer(document.text):
        yield Region(found.start(), found.start("gap"), (Path(found["path"]), found["text"]), write_file)


def write_file(example: Example) -> None:
    """Write a block into its file, below the folder that the document is in."""
    name, text = example.parsed
    path = example.namespace[FOLDER] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if "tests" in name.parts:  # pytest runs it from there

        def pass_over(_: Example) -> None:
            example.document.pop_evaluator(pass_over)

        example.document.push_evaluator(pass_over)


def enter_document(namespace: dict[str, Any]) -> None:
    """Each document runs in an empty folder of its own, where `examples/` is at hand."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-docs-"))
    namespace.update({SERVERS: [], LEFT: Path.cwd(), FOLDER: folder, "__name__": "__main__"})
    shutil.copytree(ROOT / "examples", folder / "examples")
    os.chdir(folder)


def leave_document(namespace: dict[str, Any]) -> None:
    """Stop the document's servers and remove its folder."""
    for server in namespace[SERVERS]:
        server.terminate()
        server.wait(COMMAND_TIMEOUT_S)
        server.stdout.close()
    os.chdir(namespace[LEFT])
    shutil.rmtree(namespace[FOLDER])


pytest_collect_file = Sybil(
    parsers=[
        SkipParser(),
        written_files,
        PythonCodeBlockParser(),
        CodeBlockParser("sh", evaluate_sh),
        CodeBlockParser("toml", evaluate_toml),
        CodeBlockParser("json", evaluate_json),
        CodeBlockParser("jsonl", evaluate_jsonl),
    ],
    path=str(ROOT),
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/**/*.md", "core/README.md", "plugins/*/README.md"],
    setup=enter_document,
    teardown=leave_document,
).pytest()
