"""What outsiders write, with the published documents and `penstock new`: built, installed as wheels, found and used.

The packages of docs/examples are no part of the workspace. They get an environment without the checkout, and their own
tests run in it.
"""

import json
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from penstock_new import KINDS as NEW_KINDS
from penstock_new import Name, Package

ROOT = Path(__file__).parents[2]
EXAMPLES = {path.parent.name: path.parent for path in sorted(ROOT.glob("docs/examples/*/pyproject.toml"))}
KINDS = ("provider", "gate", "step", "sink")
FOR_TESTS = ("penstock[testing]", "trio")


@pytest.fixture
def own_tests(run) -> Callable[[Path, Path], str]:
    """Run the tests in a package's folder."""
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    return lambda programs, folder: run(programs / "python", *command, cwd=folder, PYTHONDONTWRITEBYTECODE="1")


# ---------------------------------------------------------------- the packages of docs/examples


@pytest.fixture(scope="module")
def programs(tmp_path_factory, build, make_environment) -> Path:
    """The programs of an environment in which the examples are installed, from wheels."""
    built = tmp_path_factory.mktemp("examples")
    for folder in EXAMPLES.values():
        build(built, folder)
    return make_environment(tmp_path_factory.mktemp("outside") / "env", *EXAMPLES, *FOR_TESTS, more_wheels=built)


def test_there_is_an_example_of_each_kind(programs, run):
    report = json.loads(run(programs / "penstock", "plugins", "--json"))
    found = {info["dist"]: info for info in report["plugins"]}
    assert set(EXAMPLES) <= set(found)
    assert [(info["error"], info["concerns"]) for info in found.values() if info["error"] or info["concerns"]] == []
    offered = [kind for name in EXAMPLES for kind, names in found[name]["offers"].items() if names]
    assert sorted(offered) == sorted(KINDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_own_tests_pass_on_its_wheel(programs, own_tests, name):
    assert "passed" in own_tests(programs, EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_configured_as_penstock_new_configures_packages_today(name):
    folder = EXAMPLES[name]
    (kind,) = [kind for kind in KINDS if list(folder.glob(f"src/*/{kind}.py"))]
    made = Package(kind=NEW_KINDS[kind], name=Name.of(name), author="penstock contributors", year=2026).files
    ours, theirs = tomllib.loads((folder / "pyproject.toml").read_text()), tomllib.loads(made["pyproject.toml"])
    for table in ("build-system", "dependency-groups", "tool"):
        assert ours[table] == theirs[table], table
    for file in (".gitignore", "LICENSE"):
        assert (folder / file).read_text() == made[file], file


class Tiny(BaseHTTPRequestHandler):
    """The made-up vendor of the example's provider."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"completion": "Ask ann@lake.example.", "read": 7, "written": 5}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def vendor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tiny)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


CONFIG = """
[service]
default_model = "tiny/large-1"

[providers.tiny]
base_url = "{url}"

[[gates]]
use = "hours"
opens = "00:00"
closes = "23:59:59"

[[pipeline]]
use = "redact"

[[sinks]]
use = "ledger"
path = "ledger.csv"

[costs."tiny/large-1"]
input = 1
output = 2
"""


def test_a_run_uses_them_all_by_their_names(programs, run, tmp_path, vendor):
    (tmp_path / "penstock.toml").write_text(CONFIG.format(url=vendor))
    (tmp_path / "in.jsonl").write_text(
        "".join(f'{{"custom_id": "{n}", "prompt": "Whom do I ask?"}}\n' for n in range(5))
    )
    command = ("run", "in.jsonl", "-o", "out.jsonl", "--config", "penstock.toml", "--rpm", "none")
    run(programs / "penstock", *command, cwd=tmp_path, TINY_API_KEY="sk-1")
    rows = [json.loads(line)["penstock"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["content"] for row in rows] == ["Ask [email]."] * 5
    ledger = (tmp_path / "ledger.csv").read_text().splitlines()
    assert len(ledger) == 6
    assert all(",7,5,0.000017," in line for line in ledger[1:])


# ---------------------------------------------------------------- what `penstock new` makes


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_a_wheel_that_penstock_lists(make_environment, build, run, tmp_path, kind):
    maker = make_environment(tmp_path / "maker", "penstock-new")
    run(maker / "penstock", "new", kind, "My Part", cwd=tmp_path)
    build(tmp_path / "dist", tmp_path / "penstock-my-part")
    user = make_environment(tmp_path / "user", "penstock-my-part", more_wheels=tmp_path / "dist")
    report = json.loads(run(user / "penstock", "plugins", "my_part", "--json"))
    (plugin,) = [info for info in report["plugins"] if info["dist"] == "penstock-my-part"]
    assert (plugin["offers"][kind], plugin["error"]) == (["my_part"], None)


def test_a_new_package_passes_its_own_tests_far_from_the_checkout(make_environment, build, run, own_tests, tmp_path):
    programs = make_environment(tmp_path / "maker", "penstock-new", *FOR_TESTS)
    run(programs / "penstock", "new", "step", "shout", cwd=tmp_path)
    build(tmp_path / "dist", tmp_path / "penstock-shout")
    user = make_environment(tmp_path / "user", "penstock-shout", *FOR_TESTS, more_wheels=tmp_path / "dist")
    assert "passed" in own_tests(user, tmp_path / "penstock-shout")
