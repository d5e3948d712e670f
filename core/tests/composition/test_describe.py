"""What a part says of its options: the words of a config file, no secret, and every fault under the part's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen, validators

from penstock import Gate, PluginError, Registration, RetryPolicy, hookimpl
from penstock.registry import Option, PartInfo, Registry, load_registry


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


def made_of(settings: Any) -> None:
    """A factory that takes settings."""
    raise AssertionError("made, and it was to be described only")


def registry_with(factory: Any, settings: Any = None, *, kind: str = "gates") -> Registry:
    """A registry with a plugin that offers one part."""

    class Offers:
        pass

    def offer(self):
        return [Registration("it", factory, settings, summary="a summary")]

    offer.__name__ = f"penstock_{kind}"
    setattr(Offers, offer.__name__, hookimpl(offer))
    return load_registry(plugins=[Offers()], entry_points=False)


def part(factory: Any, settings: Any = None, *, kind: str = "gates") -> PartInfo:
    """Describe that part."""
    (found,) = [each for each in registry_with(factory, settings, kind=kind).parts() if each.name == "it"]
    return found


def option(annotation: Any, *default: Any) -> Option:
    """Describe the one option of a factory."""

    def factory(it):
        raise AssertionError("made, and it was to be described only")

    factory.__annotations__ = {"it": annotation}
    factory.__defaults__ = default
    (described,) = [each for each in part(factory).options if each.name == "it"]
    return described


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (float | None, "number or none"),
        (str | Path, "string or path"),
        (Any, "anything"),
        (Mode, '"fast" or "safe"'),
        (Literal["a", 1, True], '"a" or 1 or true'),
        (list[str], "list of strings"),
        (tuple[int, ...], "list of whole numbers"),
        (tuple[str, int], "list of strings"),
        (set, "list"),
        (list[int | str], "list of (whole number or string)"),
        (Mapping[str, float], "table of numbers"),
        (dict, "table"),
        (RetryPolicy, "table"),
        (Gate, "Gate, from code only"),
        (Callable[[], int], "Callable, from code only"),
        ("OnlyForTypeCheckers", "anything"),
    ],
)
def test_a_type_is_told_in_the_words_of_a_config_file(annotation, words):
    assert option(annotation).type == words


@pytest.mark.parametrize(
    ("annotation", "default", "words"),
    [
        (int, 5, "5"),
        (float, 60.0, "60.0"),
        (bool, True, "true"),
        (str, "*", '"*"'),
        (int | None, None, "none"),
        (Mode, Mode.SAFE, '"safe"'),
        (list[str], ["a"], '["a"]'),
        (tuple[str, ...], (), "[]"),
        (Mapping[str, int], {}, "{}"),
        (str, "x" * 100, '"' + "x" * 36 + "..."),
        (str, "https://me:hush@acme.invalid", '"https://***@acme.invalid"'),
        (Any, object(), "a object"),
    ],
)
def test_a_default_is_told_in_the_words_of_a_config_file(annotation, default, words):
    assert option(annotation, default) == Option(name="it", type=option(annotation).type, default=words)


def test_what_has_no_default_is_required():
    assert option(int) == Option(name="it", type="whole number", required=True)


def test_the_keys_of_a_table_are_options_with_dots():
    @frozen
    class Settings:
        limit: int
        retry: RetryPolicy = field(factory=RetryPolicy)

    described = part(made_of, Settings)
    names = [each.name for each in described.options]
    assert names[:2] == ["limit", "retry"]
    assert "retry.max_retries" in names
    assert described.factory.endswith(":made_of")
    assert described.settings == f"{__name__}:{Settings.__qualname__}"
    assert described.summary == "a summary"


def test_a_factory_that_takes_any_keyword_says_so():
    def open_ended(limit: int, **rest: Any) -> None:
        pass

    assert part(open_ended).open_ended
    assert not part(str.upper).open_ended


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize("name", ["api_key", "token", "password", "client_secret", "headers", "Authorization"])
def test_the_default_of_a_secret_is_not_shown_anywhere(name):
    settings = frozen(type("Settings", (), {"__annotations__": {name: str}, name: "sk-5a0c9e"}))
    described = part(made_of, settings, kind="providers")
    (secret,) = described.options
    assert (secret.secret, secret.default) == (True, "")
    assert "5a0c9e" not in f"{described!r}{described.to_dict()}"


def test_a_field_that_is_kept_out_of_the_repr_is_a_secret():
    @frozen
    class Settings:
        where: str = field(default="sk-5a0c9e", repr=False)
        max_tokens: int = 5

    where, most = part(made_of, Settings).options
    assert (where.secret, where.default) == (True, "")
    assert (most.secret, most.default) == (False, "5")


# ---------------------------------------------------------------- parts that are not right


def test_a_default_that_the_settings_refuse_themselves_is_a_problem():
    @frozen(kw_only=True)
    class Settings:
        limit: int = field(default=0, validator=validators.gt(0))
        window_s: float = "long"  # type: ignore[assignment]  # the point of it
        name: str = field(factory=lambda: "a"[1])
        match: str

    assert sorted(part(made_of, Settings).problems) == [
        "its own default is refused: limit: must be > 0: 0",
        "its own default is refused: window_s: expected a number, got 'long'",
        "making the default of name raised IndexError: string index out of range",
    ]


def test_a_rule_for_several_options_that_defaults_alone_break_is_no_problem():
    @frozen
    class Settings:
        schema: str = ""
        file: str = ""

        def __attrs_post_init__(self) -> None:
            if not self.schema and not self.file:
                raise ValueError("exactly one of schema and file")

    assert part(made_of, Settings).problems == ()


def test_a_refused_default_that_may_be_a_secret_is_not_repeated():
    def factory(api_key: int = "sk-5a0c9e") -> None:  # type: ignore[assignment]  # the point of it
        pass

    assert part(factory, kind="providers").problems == (
        "its own default is refused: api_key: expected a whole number, got a string",
    )


def exits(*_: Any) -> None:
    raise SystemExit(3)


@frozen
class Unresolvable:
    limit: OnlyForTypeCheckers  # type: ignore[name-defined]  # noqa: F821  # the point of it


@frozen
class Exits:
    limit: int = field(default=5, validator=exits)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [(Unresolvable, "NameError: name 'OnlyForTypeCheckers' is not defined"), (Exits, "SystemExit: 3")],
)
def test_settings_that_cannot_be_read_are_the_fault_of_their_plugin_and_not_of_the_config(settings, reason):
    described = part(made_of, settings)
    expected = f"plugin 'Offers': gate 'it': reading its options raised {reason}"
    assert described.problems == (expected,)
    with pytest.raises(PluginError) as caught:
        registry_with(made_of, settings).build("gate", "it", {"limit": 1})
    assert str(caught.value) == expected


def test_a_default_that_all_instances_share_is_a_concern():
    @frozen
    class Settings:
        tags: list[str] = ["a"]  # noqa: RUF008  # the point of it

    described = part(made_of, Settings)
    assert described.problems == ()
    assert described.concerns == (
        "the default of tags is one list for all: attrs.field(factory=list) makes one for each",
    )


@pytest.mark.parametrize(
    ("factory", "settings", "reason"),
    [
        (
            "nowhere_to_be_found:make",
            None,
            "gate 'it': importing 'nowhere_to_be_found:make' raised ModuleNotFoundError",
        ),
        ("json:nothing.there", None, "importing 'json:nothing.there' raised AttributeError"),
        ("math:pi", None, "the factory of gate 'it' is a float"),
        ("builtins:print", "collections:OrderedDict", "the settings of gate 'it' are no attrs class"),
        ("builtins:print", "math:pi", "the settings of gate 'it' are no attrs class"),
        ("builtins:print", "nowhere_to_be_found:Settings", "importing 'nowhere_to_be_found:Settings' raised"),
        ("builtins:dict", None, "gate 'it': reading its options raised ValueError: no signature found"),
    ],
)
def test_a_part_that_cannot_be_described_is_named_and_the_rest_is_described(factory, settings, reason):
    described = part(factory, settings)
    (problem,) = described.problems
    assert problem.startswith("plugin 'Offers': ")
    assert reason in problem
    assert described.options == ()


def test_a_module_that_ends_the_process_is_a_problem_of_its_part_alone(site):
    (site.folder / "ends_for_a_test.py").write_text("raise SystemExit(3)")
    source = """
        from penstock import Registration, hookimpl

        @hookimpl
        def penstock_gates():
            return [Registration("bad", "ends_for_a_test:Gate"), Registration("good", "penstock:RpmGate")]
    """
    site.install("acme", source, version="2.3")
    found = {each.name: each for each in site.load("acme").parts()}
    assert found["bad"].problems == (
        "plugin 'acme' of penstock-acme 2.3: gate 'bad': importing 'ends_for_a_test:Gate' raised SystemExit: 3",
    )
    assert found["good"].problems == ()
    assert found["good"].options[0] == Option(name="limit", type="number", required=True)


def test_both_owners_of_a_name_are_described_with_what_is_wrong(site):
    source = """
        from penstock import Registration, hookimpl

        @hookimpl
        def penstock_gates():
            return [Registration("night", "penstock:RpmGate")]
    """
    site.install("one", source)
    site.install("two", source)
    registry = site.load("one", "two")
    twice = [each for each in registry.parts() if each.name == "night"]
    assert [each.owner for each in twice] == [info.label for info in registry.plugins[1:]]
    assert [each.problems for each in twice] == [registry.conflicts] * 2
