"""The `penstock` command: quick, told by plugins what more it can do, and never a traceback for another's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from penstock.cli import main
from penstock.cli.main import BUILT_IN
from penstock.registry import PLUGINS_VARIABLE

PROVIDERS = """
    from penstock.contracts import BaseLLMProvider, Registration
    from penstock.errors import ErrorType, ProviderError
    from penstock.hookspecs import hookimpl

    class Works(BaseLLMProvider):
        def convert_request(self, request):
            return {}
        def _invoke_impl(self, payload):
            return "", None
        def describe(self):
            return "https://acme.invalid by way of\\n an engine"

    def needs_a_key():
        raise ProviderError("needs ACME_API_KEY", ErrorType.AUTHENTICATION)

    def needs_an_option(region: str):
        raise AssertionError

    def breaks():
        raise RuntimeError("no luck")

    @hookimpl
    def penstock_providers():
        makers = {"works": Works, "keyed": needs_a_key, "regional": needs_an_option, "broken": breaks}
        return [Registration(name, factory) for name, factory in makers.items()]
"""
COMMAND = """
    def configure(parser):
        parser.add_argument("--times", type=int, default=1)
        parser.set_defaults(run=run)

    def run(arguments):
        print("hello " * arguments.times)
        return 0
"""


@pytest.fixture
def only(monkeypatch):
    """Limits the plugins to those named."""
    return lambda *names: monkeypatch.setenv(PLUGINS_VARIABLE, ",".join(names))


# ---------------------------------------------------------------- penstock plugins


def test_a_table_says_what_is_installed(site, only, capsys):
    site.install("acme", PROVIDERS, version="3.1")
    only("acme")
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PLUGIN", "PACKAGE", "VERSION", "OFFERS", "FROM"]
    assert lines[1].startswith("builtin  penstock ")
    assert lines[2].split()[:3] == ["acme", "penstock-acme", "3.1"]
    assert "provider works, keyed" in lines[2]


def test_many_offers_take_several_rows(site, only, capsys):
    names = [f"service-{number:02}" for number in range(20)]
    site.install(
        "acme",
        "from penstock import Registration, hookimpl\n"
        "@hookimpl\n"
        f"def penstock_providers():\n    return [Registration(name, 'nowhere:it') for name in {names}]\n",
    )
    only("acme")
    main(["plugins"])
    table = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert max(len(line) for line in table) < 120
    assert [name for name in names if name not in "".join(table)] == []


def test_each_provider_describes_itself_or_says_what_it_needs(site, only, capsys):
    site.install("acme", PROVIDERS)
    only("acme")
    main(["plugins"])
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "works https://acme.invalid by way of an engine" in shown
    assert "keyed not usable yet: needs ACME_API_KEY" in shown
    assert "regional not usable yet: provider regional.region: missing" in shown
    assert any(line.startswith("broken not usable yet: plugin 'acme' of penstock-acme 1.0") for line in shown)
    assert not any("Traceback" in line for line in shown)


def test_failures_are_shown_with_reason_and_remedy_and_make_the_status_1(site, only, capsys):
    site.install("broken", "import nowhere_to_be_found")
    only("broken")
    assert main(["plugins"]) == 1
    output = capsys.readouterr()
    assert "broken   penstock-broken  1.0      FAILED" in output.out
    assert "plugin 'broken' of penstock-broken 1.0: ModuleNotFoundError: No module named" in output.out
    assert "Install what provides the module 'nowhere_to_be_found'" in output.out
    assert output.err == ""


def test_a_name_that_is_offered_twice_is_shown(site, only, capsys):
    site.install("one", PROVIDERS)
    site.install("two", PROVIDERS)
    only("one", "two")
    assert main(["plugins"]) == 1
    assert "provider 'works' is offered by plugin 'one' of penstock-one 1.0 and plugin 'two'" in capsys.readouterr().out


def test_the_same_as_json(site, only, capsys):
    site.install("acme", PROVIDERS)
    site.install("broken", "1 / 0")
    only("acme", "broken")
    assert main(["plugins", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    builtin, acme, broken = report["plugins"]
    assert builtin["offers"]["gate"] == ["rpm", "tpm", "concurrency"]
    assert acme["offers"]["provider"] == ["works", "keyed", "regional", "broken"]
    assert broken["error"] == "ZeroDivisionError: division by zero"
    assert report["providers"]["keyed"] == {"usable": False, "about": "needs ACME_API_KEY"}
    assert report["providers"]["works"]["usable"] is True


# ---------------------------------------------------------------- the command itself


def test_every_built_in_command_is_in_the_help(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in BUILT_IN)


def test_the_version_is_the_distributions(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("penstock 0.")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["plugin"], "penstock: no command 'plugin'; did you mean 'plugins'?"),
        ([], "penstock: error: the following arguments are required: COMMAND"),
        (["plugins", "--jsno"], "penstock: error: unrecognized arguments: --jsno"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(capsys, arguments, line):
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == line


def test_a_plugin_adds_a_command(site, capsys):
    site.install("hello", COMMAND, group="penstock.commands", target="penstock_hello_for_a_test:configure")
    assert main(["--help"]) == 0
    assert "hello from penstock-hello 1.0" in " ".join(capsys.readouterr().out.split())
    assert "penstock_hello_for_a_test" not in sys.modules
    assert main(["hello", "--times", "2"]) == 0
    assert capsys.readouterr().out == "hello hello \n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0"),
        ("x = 1", "cannot be loaded: AttributeError: "),
        ("configure = 1", "is a int, not a function that takes a parser"),
        ("def configure(parser):\n    pass", "does nothing: its `configure` sets no `run`"),
    ],
)
def test_a_broken_command_is_one_line_that_names_its_distribution(site, capsys, source, reason):
    site.install("bad", source, group="penstock.commands", target="penstock_bad_for_a_test:configure")
    assert main(["bad"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("penstock: ")
    assert reason in line
    assert main(["plugins", "--help"]) == 0


def test_a_command_of_two_distributions_is_refused_with_both_named(site, capsys):
    site.install("one", COMMAND)
    site.install("two", COMMAND)
    for name in ("one", "two"):
        points = site.folder / f"penstock_{name}-1.0.dist-info" / "entry_points.txt"
        points.write_text(f"[penstock.commands]\nhello = penstock_{name}_for_a_test:configure\n")
    assert main(["hello"]) == 2
    assert "penstock-one 1.0 and penstock-two 1.0" in capsys.readouterr().err


def test_a_plugin_cannot_replace_a_built_in_command(site, only, capsys):
    site.install("plugins", "1 / 0", group="penstock.commands")
    only()
    assert main(["plugins"]) == 0


def test_help_imports_no_service_no_engine_and_no_plugin(site):
    for number in range(50):
        site.install(f"p{number}", "raise AssertionError('imported')")
        site.install(f"c{number}", "raise AssertionError('imported')", group="penstock.commands")
    script = (
        "import sys\nfrom penstock.cli import main\nstatus = main(['--help'])\n"
        "rooms = ['service', 'engine', 'registry', 'bulk', 'config', 'cli.run', 'cli.plugins']\n"
        "sys.exit(status or ', '.join(room for room in rooms if f'penstock.{room}' in sys.modules) or 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(site.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "c49" in done.stdout
