"""The registry: plugins found by real metadata, and each broken one alone."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from penstock import RpmGate
from penstock.contracts import Registration
from penstock.errors import PluginError
from penstock.hookspecs import hookimpl
from penstock.registry import PLUGINS_VARIABLE, load_registry
from penstock.registry.offers import HOOK_OF

GOOD = """
    from penstock.contracts import PipelineStep, Registration
    from penstock.hookspecs import hookimpl

    class Upper(PipelineStep):
        name = "upper"
        def process(self, content, context):
            return content.upper()

    @hookimpl
    def penstock_steps():
        return [Registration("upper", Upper, summary="capitals")]
"""
HEAD = """
    from penstock.contracts import Registration
    from penstock.hookspecs import hookimpl
"""


# ---------------------------------------------------------------- what is found


def test_the_built_in_parts_are_registered_through_the_same_hooks():
    registry = load_registry(entry_points=False)
    assert registry.names("gate") == ("concurrency", "rpm", "tpm")
    assert registry.names("sink") == ("jsonl", "log")
    (builtin,) = registry.plugins
    assert (builtin.name, builtin.dist, builtin.error) == ("builtin", "penstock", None)


def test_the_built_in_parts_can_be_made(tmp_path):
    registry = load_registry(entry_points=False)
    assert registry.build("gate", "rpm", {"limit": 500}).name == "rpm"
    assert registry.build("gate", "tpm", {"limit": 200_000, "match": "openai/*"}).match == "openai/*"
    assert registry.build("gate", "concurrency", {"limit": 20}).name == "concurrency"
    registry.build("sink", "jsonl", {"path": str(tmp_path / "events.jsonl")}).close()
    registry.build("sink", "log").close()


def test_an_installed_plugin_is_found_by_its_metadata(site):
    site.install("upper", GOOD, version="3.2")
    registry = site.load("upper")
    info = registry.plugins[-1]
    assert (info.name, info.dist, info.version, info.error) == ("upper", "penstock-upper", "3.2", None)
    assert info.hooks == ("penstock_steps",)
    assert info.offers["step"] == ("upper",)
    assert info.origin == str(site.folder / "penstock_upper_for_a_test.py")
    assert info.load_ms > 0
    assert registry.get("step", "upper").summary == "capitals"
    assert registry.build("step", "upper").process("a", None) == "A"


def test_every_hook_has_a_kind_and_is_called(plugin_of):
    registrations = {hook.removeprefix("penstock_"): [Registration(kind, print)] for kind, hook in HOOK_OF.items()}
    registry = load_registry(plugins=[plugin_of(**registrations)], entry_points=False)
    assert [kind for kind in HOOK_OF if kind in registry.names(kind)] == list(HOOK_OF)


def test_two_registries_share_nothing(site):
    site.install("upper", GOOD)
    assert "upper" in site.load("upper").names("step")
    assert "upper" not in site.load().names("step")


def test_an_object_is_a_plugin_too():
    class Offers:
        @hookimpl
        def penstock_gates(self):
            return (Registration("open", RpmGate),)

    registry = load_registry(plugins=[Offers()], entry_points=False)
    assert registry.plugins[-1].name == "Offers"
    assert isinstance(registry.build("gate", "open", {"limit": 1}), RpmGate)


def test_plugin_records_are_json():
    registry = load_registry(entry_points=False)
    assert json.loads(json.dumps(registry.plugins[0].to_dict()))["offers"]["gate"] == ["rpm", "tpm", "concurrency"]


# ---------------------------------------------------------------- PENSTOCK_PLUGINS


def test_without_the_variable_everything_installed_is_loaded(site):
    site.install("upper", GOOD)
    assert "upper" in load_registry(environ={}).names("step")


def test_an_empty_variable_loads_nothing_but_the_built_in_parts(site):
    site.install("upper", GOOD)
    registry = load_registry(environ={PLUGINS_VARIABLE: ""})
    assert [info.name for info in registry.plugins] == ["builtin"]


def test_the_variable_keeps_others_from_even_being_imported(site):
    site.install("upper", GOOD)
    site.install("loud", "raise RuntimeError('imported')")
    registry = load_registry(environ={PLUGINS_VARIABLE: " upper ,"})
    assert [info.name for info in registry.plugins] == ["builtin", "upper"]
    assert "penstock_loud_for_a_test" not in sys.modules


def test_an_unknown_name_in_the_variable_is_reported_with_the_nearest(site):
    site.install("upper", GOOD)
    info = site.load_one("uper")
    assert info.error == "PENSTOCK_PLUGINS names 'uper', which is not installed; did you mean 'upper'?"


# ---------------------------------------------------------------- broken plugins

BROKEN = {
    "raises at import": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "ends the process at import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "does not parse": ("def", "SyntaxError: invalid syntax"),
    "lacks a dependency": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "raises in the hook": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        raise KeyError('oops')",
        "KeyError: oops",
    ),
    "raises while its registrations are read": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        yield Registration('a', print)\n        1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "returns nothing": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        pass",
        "penstock_gates returned None, not a list of Registration",
    ),
    "returns a word": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return 'rpm'",
        "penstock_gates returned a str, not a list of Registration",
    ),
    "returns one registration": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return Registration('a', print)",
        "penstock_gates returned a Registration, not a list of Registration",
    ),
    "returns a table": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return {'a': print}",
        "penstock_gates returned a dict, not a list of Registration",
    ),
    "returns classes": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return [dict]",
        "penstock_gates returned a list with a type, not a Registration",
    ),
    "offers a name that cannot be written": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return [Registration('My Gate', print)]",
        "penstock_gates: the name 'My Gate' must be of lower-case letters, digits, '-' and '_'",
    ),
    "offers a factory that is none": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return [Registration('a', 'somewhere')]",
        "penstock_gates: the factory of 'a' must be a callable or 'module:attribute', not 'somewhere'",
    ),
    "has settings that are none": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return [Registration('a', print, dict)]",
        "penstock_gates: the settings of 'a' must be an attrs class, not <class 'dict'>",
    ),
    "offers a name twice": (
        HEAD + "\n    @hookimpl\n    def penstock_gates():\n        return [Registration('a', print)] * 2",
        "penstock_gates offers the name 'a' twice",
    ),
    "misspells a hook": (
        HEAD + "\n    @hookimpl\n    def penstock_provders():\n        return []",
        "there is no hook 'penstock_provders'; did you mean 'penstock_providers'?",
    ),
    "forgets the mark": (
        HEAD + "\n    def penstock_gates():\n        return []",
        "the function 'penstock_gates' is no hook yet: is @hookimpl missing?",
    ),
    "asks for arguments": (
        HEAD + "\n    @hookimpl\n    def penstock_gates(config):\n        return []",
        "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "implements nothing": ("x = 1", "it implements no hook; known: penstock_gates"),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_recorded_and_harms_no_other(site, caplog, source, reason):
    site.install("aaa", GOOD.replace("upper", "first"))
    site.install("broken", source, version="2.0")
    site.install("zzz", GOOD.replace("upper", "last"))
    with caplog.at_level(logging.WARNING):
        registry = site.load("aaa", "broken", "zzz")
    info = {info.name: info for info in registry.plugins}["broken"]
    assert reason in info.error
    assert info.remedy
    assert not any(info.offers.values())
    assert registry.names("step") == ("first", "last")
    assert [record.message for record in caplog.records] == [
        f"plugin 'broken' of penstock-broken 2.0 is left out: {info.error}"
    ]


def test_an_interrupt_at_import_is_not_swallowed(site):
    site.install("stop", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.load("stop")


def test_the_remedy_of_a_missing_module_names_it(site):
    site.install("broken", "import nowhere_to_be_found")
    assert "'nowhere_to_be_found'" in site.load_one("broken").remedy


def test_an_object_that_cannot_be_hashed_is_refused_alone(plugin_of):
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # the point of it

        @hookimpl
        def penstock_gates(self):
            return [Registration("a", RpmGate)]

    registry = load_registry(plugins=[Unhashable(), plugin_of(gates=[Registration("b", RpmGate)])], entry_points=False)
    assert [bool(info.error) for info in registry.plugins] == [False, True, False]
    assert "b" in registry.names("gate")


def test_imports_of_the_specifications_and_helpers_are_no_forgotten_hooks(site):
    site.install(
        "helpers",
        GOOD
        + """
    from penstock.hookspecs import penstock_gates
    import penstock.contracts as penstock_contracts
    def penstock_of_my_own():
        pass
    """,
    )
    assert site.load_one("helpers").error is None


def test_unreadable_metadata_of_one_distribution_hides_no_other(site):
    site.install("upper", GOOD)
    malformed = site.folder / "malformed-1.0.dist-info"
    malformed.mkdir()
    (malformed / "METADATA").write_text("Name: malformed\nVersion: 1.0\n")
    (malformed / "entry_points.txt").write_text("[penstock]\nno equals sign\n")
    assert "upper" in load_registry(environ={PLUGINS_VARIABLE: "upper"}).names("step")


def test_a_plugin_given_twice_is_refused_the_second_time(plugin_of):
    twice = plugin_of(gates=[Registration("open", RpmGate)])
    registry = load_registry(plugins=[twice, twice], entry_points=False)
    assert "already registered" in str(registry.plugins[-1].error)
    assert "open" in registry.names("gate")


def test_two_owners_of_a_name_are_both_named_and_neither_wins(site, caplog):
    site.install("one", GOOD, version="1.1")
    site.install("two", GOOD, version="2.2")
    with caplog.at_level(logging.WARNING):
        registry = site.load("one", "two")
    (conflict,) = registry.conflicts
    assert "plugin 'one' of penstock-one 1.1 and plugin 'two' of penstock-two 2.2" in conflict
    assert caplog.messages == [conflict]
    assert registry.names("step") == ()
    with pytest.raises(PluginError, match=r"penstock-one 1.1 and .* penstock-two 2.2"):
        registry.get("step", "upper")
    with pytest.raises(PluginError, match=r"penstock-one 1.1 and .* penstock-two 2.2"):
        registry.build("step", "upper")
    assert registry.check("step", "upper", {}, "pipeline[0]") == (f"pipeline[0]: {conflict}",)


def test_two_distributions_may_use_the_same_plugin_name(site):
    site.install("one", GOOD)
    other = site.folder / "penstock_other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Name: penstock-other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[penstock]\none = penstock_other_for_a_test\n")
    (site.folder / "penstock_other_for_a_test.py").write_text(
        "from penstock.contracts import Registration\nfrom penstock.hookspecs import hookimpl\n"
        "@hookimpl\ndef penstock_gates():\n    return [Registration('other', print)]\n"
    )
    registry = site.load("one")
    assert [info.error for info in registry.plugins] == [None, None, None]
