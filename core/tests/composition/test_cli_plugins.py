"""The `penstock` command: quick, told by plugins what more it can do, and never a traceback for another's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from penstock import HOOK_API
from penstock.cli import main
from penstock.cli.main import BUILT_IN
from penstock.registry import PLUGINS_VARIABLE

PROVIDERS = """
    from penstock.contracts import BaseLLMProvider, Registration
    from penstock.errors import ErrorType, ProviderError
    from penstock.hookspecs import hookimpl

    class Works(BaseLLMProvider):
        name = "works"
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
        raise RuntimeError("a")

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


def words(text: str) -> str:
    """The text without its line breaks and columns."""
    return " ".join(text.split())


def test_a_table_says_what_is_installed(site, only, capsys):
    site.install("acme", PROVIDERS, version="3.1")
    only("acme")
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PLUGIN", "PACKAGE", "LOAD", "OFFERS"]
    assert lines[1].startswith("builtin  penstock ")
    (row,) = [line for line in lines if line.startswith("acme")]
    assert row.split()[:3] == ["acme", "penstock-acme", "3.1"]
    assert "provider works, keyed" in row


def test_many_offers_take_several_rows_of_eighty_columns(site, only, capsys):
    names = [f"service-{number:02}" for number in range(20)]
    site.install(
        "acme",
        "from penstock import Registration, hookimpl\n"
        "@hookimpl\n"
        f"def penstock_providers():\n    return [Registration(name, 'nowhere:it') for name in {names}]\n",
    )
    only("acme")
    main(["plugins"])
    output = capsys.readouterr().out
    assert max(len(line) for line in output.splitlines()) <= 80
    table = output.partition("\n\n")[0]
    assert [name for name in names if name not in table] == []


def test_each_provider_describes_itself_or_says_what_it_needs(site, only, capsys):
    site.install("acme", PROVIDERS)
    only("acme")
    assert main(["plugins"]) == 0
    shown = words(capsys.readouterr().out)
    assert "works https://acme.invalid by way of an engine" in shown
    assert "keyed not usable yet: needs ACME_API_KEY" in shown
    assert "regional not usable yet: provider regional.region: missing" in shown
    assert "broken not usable yet: plugin 'acme' of penstock-acme 1.0: provider 'broken': making it raised" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("def describe(self): raise SystemExit(3)", "works not usable yet: describing itself raised SystemExit: 3"),
        ("async def aclose(self): 1 / 0", "works https://acme.invalid by way of an engine"),
    ],
)
def test_a_provider_that_fails_to_describe_itself_or_to_close_is_no_trouble(site, only, capsys, method, shown):
    worse = f"    class Works(Works):\n        {method}\n\n"
    site.install("acme", PROVIDERS.replace("    def needs_a_key", f"{worse}    def needs_a_key"))
    only("acme")
    assert main(["plugins"]) == 0
    assert shown in words(capsys.readouterr().out)


def test_failures_are_shown_with_reason_and_remedy_and_make_the_status_1(site, only, capsys):
    site.install("broken", "import nowhere_to_be_found")
    only("broken")
    assert main(["plugins"]) == 1
    output = capsys.readouterr()
    shown = words(output.out)
    assert "broken penstock-broken 1.0 " in shown
    assert "FAILED" in shown
    assert "plugin 'broken' of penstock-broken 1.0: ModuleNotFoundError: No module named" in shown
    assert "Install what provides the module 'nowhere_to_be_found'" in shown
    assert output.err == ""


def test_an_entry_point_that_names_no_module_of_its_package_is_to_be_corrected(site, only, capsys):
    site.install("slip", "", target="penstock_slip.plugins")
    only("slip")
    assert main(["plugins"]) == 1
    assert "Correct the entry point of penstock-slip, or reinstall it: it has no" in words(capsys.readouterr().out)


@pytest.mark.parametrize("group", ["penstocks", "penstock.plugins", "penstock-gates", "Penstock"])
def test_a_plugin_under_a_group_that_is_not_penstocks_is_named(site, only, capsys, group):
    site.install("astray", PROVIDERS, group=group)
    only()
    assert main(["plugins", "penstock-astray"]) == 1
    shown = words(capsys.readouterr().out)
    assert f"its entry point stands in the group '{group}', where penstock does not look" in shown
    assert "Have it in 'penstock'" in shown


def test_a_name_that_is_offered_twice_is_shown(site, only, capsys):
    site.install("one", PROVIDERS)
    site.install("two", PROVIDERS)
    only("one", "two")
    assert main(["plugins"]) == 1
    shown = words(capsys.readouterr().out)
    assert "provider 'works' is offered by plugin 'one' of penstock-one 1.0 and plugin 'two'" in shown
    assert "Parts that cannot be used" not in shown


LAZY = """
    from penstock import Registration, hookimpl

    penstock_api = 1

    @hookimpl
    def penstock_gates():
        return [Registration("night", "nowhere_to_be_found:NightGate"), Registration("day", "penstock:RpmGate")]

    @hookimpl
    def penstock_sinks():
        return [Registration("deaf", "builtins:print", "collections:OrderedDict")]
"""


def test_a_part_that_cannot_be_imported_is_reported_by_name_and_makes_the_status_1(site, only, capsys):
    site.install("acme", LAZY)
    only("acme")
    assert main(["plugins"]) == 1
    shown = words(capsys.readouterr().out)
    assert (
        "plugin 'acme' of penstock-acme 1.0: gate 'night': importing 'nowhere_to_be_found:NightGate' raised "
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    ) in shown
    assert "plugin 'acme' of penstock-acme 1.0: the settings of sink 'deaf' are no attrs class" in shown


def test_slow_and_undeclared_plugins_are_worth_knowing_and_no_failure(site, only, capsys, monkeypatch):
    monkeypatch.setattr("penstock.registry.concerns.SLOW_MS", -1.0)
    site.install("acme", PROVIDERS)
    only("acme")
    assert main(["plugins"]) == 0
    known = words(capsys.readouterr().out).partition("Worth knowing")[2]
    assert "plugin 'acme' of penstock-acme 1.0: it takes 0.0 s to load" in known
    assert "plugin 'acme' of penstock-acme 1.0: it declares no penstock_api" in known


def test_one_part_is_shown_with_its_options(only, capsys):
    only()
    assert main(["plugins", "rpm"]) == 0
    shown = words(capsys.readouterr().out)
    assert "gate rpm: requests per minute made by penstock.builtin.gates:RpmGate from plugin 'builtin'" in shown
    assert "limit required number window_s 60.0 number" in shown
    assert "tpm" not in shown


def test_one_plugin_is_shown_with_all_its_facts(site, only, capsys):
    site.install("acme", LAZY.replace("nowhere_to_be_found:NightGate", "penstock:TpmGate"), version="3.1")
    only("acme")
    assert main(["plugins", "penstock-acme"]) == 1
    lines = [words(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == [
        "plugin acme",
        "package penstock-acme 3.1",
        "module penstock_acme_for_a_test",
        f"file {site.folder / 'penstock_acme_for_a_test.py'}",
    ]
    assert "hooks penstock_gates, penstock_sinks" in lines
    assert "hook API 1" in lines
    assert {"gate night", "gate day", "sink deaf"} <= set(lines)
    assert "plugin builtin" not in lines


def test_a_name_that_nothing_has_is_wrong_usage(only, capsys):
    only()
    assert main(["plugins", "rpn"]) == 2
    assert capsys.readouterr().err.strip() == (
        "penstock: no plugin, provider, gate, step or sink is named 'rpn'; did you mean 'rpm'?"
    )


def test_no_default_of_a_secret_is_printed(site, only, capsys):
    site.install("acme", PROVIDERS.replace("region: str", "api_key: str = 'sk-5a0c9e'"))
    only("acme")
    main(["plugins", "regional"])
    main(["plugins", "acme", "--json"])
    output = capsys.readouterr().out
    assert "api_key not shown string" in words(output)
    assert "5a0c9e" not in output


# ---------------------------------------------------------------- with a config file


@pytest.fixture
def config(tmp_path):
    """Writes a penstock.toml and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "penstock.toml"
        path.write_text(text)
        return str(path)

    return write


def test_the_parts_of_a_config_file_that_would_fail_are_listed(site, only, capsys, config):
    site.install("acme", PROVIDERS)
    only("acme")
    path = config(
        "[[gates]]\nuse = 'rpn'\nlimit = 5\n[[gates]]\nuse = 'rpm'\nlimit = 0\n"
        "[[pipeline]]\nuse = 'upper'\n[[sinks]]\nuse = 'jsonl'\n[providers.regional]\nregin = 'eu'\n[providers.keyed]\n"
    )
    assert main(["plugins", "--config", path]) == 1
    shown = words(capsys.readouterr().out).partition(f"Would fail, as {path} has it ")[2]
    for problem in [
        "gates[0].use: no gate named 'rpn'; did you mean 'rpm'?",
        "gates[1]: limit must be a positive number, got 0",
        "pipeline[0].use: no step named 'upper'",
        "sinks[0].path: missing",
        "providers.regional.regin: unknown key; did you mean 'region'?",
        "providers.keyed: needs ACME_API_KEY",
    ]:
        assert shown.count(problem) == 1


def test_a_configured_provider_that_cannot_be_made_would_fail(site, only, capsys, config):
    site.install("acme", PROVIDERS)
    only("acme")
    path = config(
        "[providers.keyed]\n[providers.broken]\n[providers.works]\n"
        "[providers.mine]\nuse = 'regional'\nregion = { env = 'REGION_OF_A_TEST' }\n"
    )
    assert main(["plugins", "--config", path, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["config"] == {
        "file": path,
        "problems": [
            "providers.keyed: needs ACME_API_KEY",
            "providers.broken: plugin 'acme' of penstock-acme 1.0: provider 'broken': making it raised RuntimeError: a",
            "providers.mine.region: the environment variable REGION_OF_A_TEST is not set",
        ],
    }


def test_a_config_file_that_would_work_is_well(only, capsys, config, tmp_path):
    only()
    events = tmp_path / "events.jsonl"
    path = config(f"[[gates]]\nuse = 'rpm'\nlimit = 5\n[[sinks]]\nuse = 'jsonl'\npath = '{events}'\n")
    assert main(["plugins", "--config", path]) == 0
    assert f"Nothing in {path} would fail." in words(capsys.readouterr().out)
    assert not events.exists()


@pytest.mark.parametrize(("name", "reason"), [("missing.toml", "no such file"), ("", "no such file")])
def test_a_config_file_that_is_none_is_wrong_usage(only, capsys, tmp_path, name, reason):
    only()
    assert main(["plugins", "--config", str(tmp_path / name)]) == 2
    assert reason in capsys.readouterr().err


# ---------------------------------------------------------------- penstock plugins --json


def test_the_same_as_json(site, only, capsys):
    site.install("acme", PROVIDERS)
    site.install("broken", "1 / 0")
    only("acme", "broken")
    assert main(["plugins", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    builtin, acme, broken = report["plugins"]
    assert builtin["offers"]["gate"] == ["rpm", "tpm", "concurrency"]
    assert builtin["api"] == report["hook_api"] == HOOK_API
    assert acme["offers"]["provider"] == ["works", "keyed", "regional", "broken"]
    assert acme["load_ms"] == acme["import_ms"] + acme["hook_ms"] > 0
    assert "declares no penstock_api" in acme["concerns"][0]
    assert broken["error"] == "ZeroDivisionError: division by zero"
    assert broken["remedy"]
    assert report["providers"]["keyed"] == {"usable": False, "about": "needs ACME_API_KEY"}
    assert report["providers"]["works"]["usable"] is True
    assert report["config"] is None
    (regional,) = [part for part in report["parts"] if part["name"] == "regional"]
    assert regional["options"] == [
        {"name": "region", "type": "string", "required": True, "default": "", "secret": False}
    ]


def test_what_a_plugin_prints_does_not_spoil_the_json(site, only, capsys):
    site.install("loud", f"print('hello')\n{dedent(PROVIDERS)}")
    only("loud")
    assert main(["plugins", "loud", "--json"]) == 0
    output = capsys.readouterr()
    assert [info["name"] for info in json.loads(output.out)["plugins"]] == ["loud"]
    assert output.err == "hello\n"


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


def test_a_command_of_a_package_that_is_not_installed_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["penstock.cli.main"], "installed", lambda _: [])
    assert main(["new", "step", "shout"]) == 2
    assert capsys.readouterr().err == (
        "penstock: no command 'new'; it comes with penstock-new: pip install penstock-new\n"
    )
