"""The registry: plugins found by real metadata, each broken one alone, options checked by signature and by class."""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen, validators

from penstock.contracts import BaseLLMProvider, Gate, Permit, Registration
from penstock.errors import ConfigError, ErrorType, PluginError, ProviderError
from penstock.hookspecs import hookimpl
from penstock.registry import PLUGINS_VARIABLE, load_registry
from penstock.registry.offers import HOOK_OF
from penstock.schema import RetryPolicy

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


class OpenPermit(Permit):
    def settle(self, outcome, now):
        pass


class OpenGate(Gate):
    """A stand-in with the options of a real one."""

    def __init__(self, limit: float, *, window_s: float = 60.0, match: str = "*") -> None:
        if limit <= 0:
            raise ValueError(f"limit must be positive, got {limit:g}")
        self.limit, self.window_s, self.match = limit, window_s, match

    def delay(self, demand, now):
        return 0.0

    def take(self, demand, now):
        return OpenPermit()


class KeyedProvider(BaseLLMProvider):
    name = "acme"

    def __init__(self, api_key: str | None = None, *, base_url: str = "", retries: int = 0) -> None:
        if api_key is None:
            raise ProviderError("needs ACME_API_KEY", ErrorType.AUTHENTICATION)
        if not api_key.startswith("sk-"):
            raise ValueError(f"api_key {api_key!r} is no key")
        if retries > 5:
            raise RuntimeError(f"lost {api_key}")

    def convert_request(self, request):
        return {}

    def _invoke_impl(self, payload):
        return "", None


def plugin(**hooks: list[Registration]) -> types.ModuleType:
    """A plugin with these registrations, by hook name without the prefix."""
    module = types.ModuleType("plugin_of_a_test")
    for name, registrations in hooks.items():

        def implementation(registrations=registrations):
            return registrations

        setattr(module, f"penstock_{name}", hookimpl(implementation))
    return module


def gate_of(factory: Any, options: dict[str, Any], settings: Any = None) -> Any:
    registry = load_registry(plugins=[plugin(gates=[Registration("it", factory, settings)])], entry_points=False)
    return registry.build("gate", "it", options, "gates[0]")


def problems_of(factory: Any, options: dict[str, Any], settings: Any = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        gate_of(factory, options, settings)
    return caught.value.problems


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


def test_every_hook_has_a_kind_and_is_called():
    registrations = {hook.removeprefix("penstock_"): [Registration(kind, print)] for kind, hook in HOOK_OF.items()}
    registry = load_registry(plugins=[plugin(**registrations)], entry_points=False)
    assert [kind for kind in HOOK_OF if kind in registry.names(kind)] == list(HOOK_OF)


def test_two_registries_share_nothing(site):
    site.install("upper", GOOD)
    assert "upper" in site.load("upper").names("step")
    assert "upper" not in site.load().names("step")


def test_an_object_is_a_plugin_too():
    class Offers:
        @hookimpl
        def penstock_gates(self):
            return (Registration("open", OpenGate),)

    registry = load_registry(plugins=[Offers()], entry_points=False)
    assert registry.plugins[-1].name == "Offers"
    assert isinstance(registry.build("gate", "open", {"limit": 1}), OpenGate)


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


def test_an_object_that_cannot_be_hashed_is_refused_alone():
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # the point of it

        @hookimpl
        def penstock_gates(self):
            return [Registration("a", OpenGate)]

    registry = load_registry(plugins=[Unhashable(), plugin(gates=[Registration("b", OpenGate)])], entry_points=False)
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


def test_a_plugin_given_twice_is_refused_the_second_time():
    twice = plugin(gates=[Registration("open", OpenGate)])
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


# ---------------------------------------------------------------- making things


def test_an_unknown_name_is_reported_with_the_nearest_and_with_the_plugins_that_failed(site):
    site.install("broken", "1 / 0")
    registry = site.load("broken")
    with pytest.raises(ConfigError) as caught:
        registry.build("gate", "rpn", {}, "gates[1]")
    (problem,) = caught.value.problems
    assert problem.startswith("gates[1].use: no gate named 'rpn'; did you mean 'rpm'?")
    assert "plugin 'broken' of penstock-broken 1.0 could not be loaded" in problem


def test_a_module_is_imported_only_when_its_part_is_made(site):
    (site.folder / "heavy_for_a_test.py").write_text("def make():\n    return lambda content: content\n")
    source = (
        HEAD + "\n    @hookimpl\n    def penstock_steps():\n        return [Registration('a', 'heavy_for_a_test:make')]"
    )
    site.install("lazy", source)
    registry = site.load("lazy")
    assert "heavy_for_a_test" not in sys.modules
    assert callable(registry.build("step", "a"))
    assert "heavy_for_a_test" in sys.modules


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere_to_be_found:make", "importing 'nowhere_to_be_found:make' raised ModuleNotFoundError"),
        ("json:nothing.there", "importing 'json:nothing.there' raised AttributeError"),
        ("math:pi", "the factory of gate 'a' is a float"),
        ("string:Formatter", "is a Formatter, not a Gate"),
        ("builtins:exit", "making it raised SystemExit"),
    ],
)
def test_a_part_that_cannot_be_made_is_the_fault_of_a_named_plugin(site, target, reason):
    site.install(
        "bad",
        f"{HEAD}\n    @hookimpl\n    def penstock_gates():\n        return [Registration('a', {target!r})]",
        version="7",
    )
    with pytest.raises(PluginError) as caught:
        site.load("bad").build("gate", "a")
    assert "plugin 'bad' of penstock-bad 7" in str(caught.value)
    assert reason in str(caught.value)


def test_a_provider_without_a_name_is_refused_by_the_plugins_name():
    class Nameless(KeyedProvider):
        name = None  # type: ignore[assignment]  # the point of it

    registry = load_registry(plugins=[plugin(providers=[Registration("acme", Nameless)])], entry_points=False)
    with pytest.raises(PluginError, match="plugin 'plugin_of_a_test': provider 'acme' has no name"):
        registry.build("provider", "acme", {"api_key": "sk-5a0c9e"})


def test_a_refusal_of_the_factory_is_a_problem_with_a_path():
    assert problems_of(OpenGate, {"limit": 0}) == ("gates[0]: limit must be positive, got 0",)


def test_check_finds_what_build_would_without_making_anything():
    made = []

    def factory(limit: int) -> Gate:
        made.append(limit)
        return OpenGate(limit)

    registry = load_registry(plugins=[plugin(gates=[Registration("it", factory)])], entry_points=False)
    assert registry.check("gate", "it", {"limt": 5}, "gates[0]") == (
        "gates[0].limit: missing",
        "gates[0].limt: unknown key; did you mean 'limit'?",
    )
    assert registry.check("gate", "it", {"limit": 5}, "gates[0]") == ()
    assert made == []


# ---------------------------------------------------------------- options


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


@pytest.mark.parametrize(
    ("annotation", "given", "made"),
    [
        (int, 5, 5),
        (float, 5, 5.0),
        (str, "a", "a"),
        (bool, True, True),
        (Any, [1], [1]),
        (Path, "a/b", Path("a/b")),
        (str | Path, "a/b", "a/b"),
        (int | None, None, None),
        (float | None, math.inf, None),
        (int | None, math.inf, None),
        (float, math.inf, math.inf),
        (int | float, 2, 2),
        (int | float, 2.5, 2.5),
        (list[str], ["a"], ["a"]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (set[int], [1, 1], {1}),
        (Mapping[str, float], {"a": 1}, {"a": 1.0}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (Mode, "fast", Mode.FAST),
        (Literal["a", 1], 1, 1),
        (RetryPolicy, {"max_retries": 5}, RetryPolicy(max_retries=5)),
        (RetryPolicy | None, {"base_s": 1}, RetryPolicy(base_s=1.0)),
        ("Mapping[str, int]", {"a": 1}, {"a": 1}),
        ("OnlyForTypeCheckers", {"a": 1}, {"a": 1}),
    ],
)
def test_an_option_becomes_what_its_annotation_says(annotation, given, made):
    seen = []

    def factory(it):
        seen.append(it)
        return OpenGate(1)

    factory.__annotations__ = {"it": annotation}
    gate_of(factory, {"it": given})
    assert seen == [made]
    assert type(seen[0]) is type(made)


@pytest.mark.parametrize(
    ("annotation", "given", "problem"),
    [
        (int, "500", "expected a whole number, got '500'"),
        (int, True, "expected a whole number, got true"),
        (int, 1.0, "expected a whole number, got 1.0"),
        (float, "fast", "expected a number, got 'fast'"),
        (float, False, "expected a number, got false"),
        (float, math.nan, "expected a number, got nan"),
        (float, 10**400, "expected a number, got a number"),
        (bool, 1, "expected true or false, got 1"),
        (str, 5, "expected a string, got 5"),
        (str, None, "expected a string, got nothing"),
        (int | None, "no", "expected a whole number, got 'no'"),
        (int | str, [], "expected a whole number or a string, got a list"),
        (list[str], "abc", "expected a list, got 'abc'"),
        (Mapping[str, int], [1], "expected a table, got a list"),
        (Mode, "fats", "expected 'fast' or 'safe', got 'fats'; did you mean 'fast'?"),
        (Literal[1], True, "expected 1, got true"),
        (RetryPolicy, 3, "expected a table, got 3"),
        (Gate, {"use": "rpm"}, "expected a Gate, got a table"),
    ],
)
def test_a_value_of_another_type_is_refused(annotation, given, problem):
    def factory(it):
        raise AssertionError("made in spite of it")

    factory.__annotations__ = {"it": annotation}
    assert problems_of(factory, {"it": given}) == (f"gates[0].it: {problem}",)


def test_problems_inside_lists_and_tables_have_a_path():
    def factory(numbers: list[int], prices: dict[str, float], retry: RetryPolicy) -> Gate:
        raise AssertionError("made in spite of it")

    options = {"numbers": [1, "2", True], "prices": {"a/b": "x"}, "retry": {"max_retries": -1, "basis_s": 1}}
    assert sorted(problems_of(factory, options)) == [
        "gates[0].numbers[1]: expected a whole number, got '2'",
        "gates[0].numbers[2]: expected a whole number, got true",
        "gates[0].prices.\"a/b\": expected a number, got 'x'",
        "gates[0].retry.basis_s: unknown key; did you mean 'base_s'?",
        "gates[0].retry.max_retries: must be >= 0: -1",
    ]


def test_an_attrs_class_of_settings_is_given_whole_and_reports_everything():
    @frozen
    class Settings:
        limit: int = field(validator=validators.gt(0))
        window_s: float = field(default=60.0, validator=validators.gt(0))

    def factory(settings: Settings) -> Gate:
        return OpenGate(settings.limit, window_s=settings.window_s)

    assert gate_of(factory, {"limit": 5, "window_s": 1}, Settings).window_s == 1.0
    assert problems_of(factory, {"limit": 0, "window_s": -1}, Settings) == (
        "gates[0].limit: must be > 0: 0",
        "gates[0].window_s: must be > 0: -1.0",
    )
    assert problems_of(factory, {}, Settings) == ("gates[0].limit: missing",)


def test_an_attrs_class_and_a_callable_with_open_keywords_are_factories_too():
    @frozen
    class FrozenGate(OpenGate):
        limit: int
        window_s: float = 60.0

    def open_ended(limit: int, **extra: Any) -> Gate:
        return OpenGate(limit, **extra)

    assert gate_of(FrozenGate, {"limit": 2, "window_s": 1}).window_s == 1.0
    assert problems_of(FrozenGate, {"limit": "2"}) == ("gates[0].limit: expected a whole number, got '2'",)
    assert gate_of(open_ended, {"limit": 2, "match": "a/*"}).match == "a/*"


def test_a_factory_that_cannot_be_hashed_is_one_all_the_same():
    class Maker:
        __hash__ = None  # type: ignore[assignment]  # the point of it

        def __call__(self, limit: int) -> Gate:
            return OpenGate(limit)

    assert gate_of(Maker(), {"limit": 2}).limit == 2
    assert problems_of(Maker(), {"limit": "2"}) == ("gates[0].limit: expected a whole number, got '2'",)


def test_a_ready_made_object_is_an_option_from_code():
    def factory(inner: Gate, after: Any = None) -> Gate:
        return inner

    inner = OpenGate(1)
    assert gate_of(factory, {"inner": inner}) is inner


# ---------------------------------------------------------------- credentials

SECRET = "sk-5a0c9e"


def refusal(options: dict[str, Any]) -> BaseException:
    registry = load_registry(plugins=[plugin(providers=[Registration("acme", KeyedProvider)])], entry_points=False)
    with pytest.raises((ConfigError, PluginError)) as caught:
        registry.build("provider", "acme", options, "providers.acme")
    return caught.value


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": SECRET.removeprefix("sk-")},
        {"api_key": [SECRET]},
        {"api_key": SECRET, "retries": SECRET},
        {"api_key": SECRET, "retries": 6},
        {"api_kye": SECRET},
    ],
)
def test_no_error_about_a_provider_repeats_what_it_was_given(options):
    error = refusal(options)
    shown = "".join(traceback.format_exception(error))
    assert "5a0c9e" not in f"{shown} {error!r}"
    assert "acme" in str(error)


def test_a_provider_says_itself_that_a_key_is_missing():
    registry = load_registry(plugins=[plugin(providers=[Registration("acme", KeyedProvider)])], entry_points=False)
    with pytest.raises(ProviderError, match="needs ACME_API_KEY"):
        registry.build("provider", "acme")
    assert registry.check("provider", "acme", {}, "providers.acme") == ()
