"""The registry makes things: imported when they are asked for, their options checked by signature and by class."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen, validators

from penstock.contracts import BaseLLMProvider, Gate, Permit, Registration
from penstock.errors import ConfigError, ErrorType, PluginError, ProviderError
from penstock.registry import load_registry
from penstock.schema import RetryPolicy

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


@pytest.fixture
def gate_of(plugin_of):
    """Make a gate of this factory with these options."""

    def made(factory: Any, options: dict[str, Any], settings: Any = None) -> Any:
        offers = plugin_of(gates=[Registration("it", factory, settings)])
        return load_registry(plugins=[offers], entry_points=False).build("gate", "it", options, "gates[0]")

    return made


@pytest.fixture
def problems_of(gate_of):
    """Return the problems that keep the gate from being made."""

    def found(*given: Any) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            gate_of(*given)
        return caught.value.problems

    return found


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


def test_a_provider_without_a_name_is_refused_by_the_plugins_name(plugin_of):
    class Nameless(KeyedProvider):
        name = None  # type: ignore[assignment]  # the point of it

    registry = load_registry(plugins=[plugin_of(providers=[Registration("acme", Nameless)])], entry_points=False)
    with pytest.raises(PluginError, match="plugin 'plugin_of_a_test': provider 'acme' has no name"):
        registry.build("provider", "acme", {"api_key": "sk-5a0c9e"})


def test_a_refusal_of_the_factory_is_a_problem_with_a_path(problems_of):
    assert problems_of(OpenGate, {"limit": 0}) == ("gates[0]: limit must be positive, got 0",)


def test_check_finds_what_build_would_without_making_anything(plugin_of):
    made = []

    def factory(limit: int) -> Gate:
        made.append(limit)
        return OpenGate(limit)

    registry = load_registry(plugins=[plugin_of(gates=[Registration("it", factory)])], entry_points=False)
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
def test_an_option_becomes_what_its_annotation_says(gate_of, annotation, given, made):
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
def test_a_value_of_another_type_is_refused(problems_of, annotation, given, problem):
    def factory(it):
        raise AssertionError("made in spite of it")

    factory.__annotations__ = {"it": annotation}
    assert problems_of(factory, {"it": given}) == (f"gates[0].it: {problem}",)


def test_problems_inside_lists_and_tables_have_a_path(problems_of):
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


def test_an_attrs_class_of_settings_is_given_whole_and_reports_everything(gate_of, problems_of):
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


def test_an_attrs_class_and_a_callable_with_open_keywords_are_factories_too(gate_of, problems_of):
    @frozen
    class FrozenGate(OpenGate):
        limit: int
        window_s: float = 60.0

    def open_ended(limit: int, **extra: Any) -> Gate:
        return OpenGate(limit, **extra)

    assert gate_of(FrozenGate, {"limit": 2, "window_s": 1}).window_s == 1.0
    assert problems_of(FrozenGate, {"limit": "2"}) == ("gates[0].limit: expected a whole number, got '2'",)
    assert gate_of(open_ended, {"limit": 2, "match": "a/*"}).match == "a/*"


def test_a_factory_that_cannot_be_hashed_is_one_all_the_same(gate_of, problems_of):
    class Maker:
        __hash__ = None  # type: ignore[assignment]  # the point of it

        def __call__(self, limit: int) -> Gate:
            return OpenGate(limit)

    assert gate_of(Maker(), {"limit": 2}).limit == 2
    assert problems_of(Maker(), {"limit": "2"}) == ("gates[0].limit: expected a whole number, got '2'",)


def test_a_ready_made_object_is_an_option_from_code(gate_of):
    def factory(inner: Gate, after: Any = None) -> Gate:
        return inner

    inner = OpenGate(1)
    assert gate_of(factory, {"inner": inner}) is inner


# ---------------------------------------------------------------- credentials

SECRET = "sk-5a0c9e"


@pytest.fixture
def refusal(plugin_of):
    """Make the provider with these options, and return what it raises."""

    def raised(options: dict[str, Any]) -> BaseException:
        registry = load_registry(
            plugins=[plugin_of(providers=[Registration("acme", KeyedProvider)])], entry_points=False
        )
        with pytest.raises((ConfigError, PluginError)) as caught:
            registry.build("provider", "acme", options, "providers.acme")
        return caught.value

    return raised


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
def test_no_error_about_a_provider_repeats_what_it_was_given(refusal, options):
    error = refusal(options)
    shown = "".join(traceback.format_exception(error))
    assert "5a0c9e" not in f"{shown} {error!r}"
    assert "acme" in str(error)


def test_a_provider_says_itself_that_a_key_is_missing(plugin_of):
    registry = load_registry(plugins=[plugin_of(providers=[Registration("acme", KeyedProvider)])], entry_points=False)
    with pytest.raises(ProviderError, match="needs ACME_API_KEY"):
        registry.build("provider", "acme")
    assert registry.check("provider", "acme", {}, "providers.acme") == ()
