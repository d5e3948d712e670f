"""penstock.toml: every problem at once, each with its path; and nothing but ConfigError, whatever is in the file."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.builtin.gates import RpmGate
from penstock.config import Config, check_config, load_config, parse_config
from penstock.contracts import PipelineStep, Registration
from penstock.errors import ConfigError, ProviderError
from penstock.hookspecs import hookimpl
from penstock.registry import load_registry
from penstock.schema import RetryPolicy

EXAMPLE = """
[service]
default_model = "acme/small"
max_concurrent_requests = 200
max_tpm = inf
retry = { max_retries = 5, base_s = 1 }

[[gates]]
use = "rpm"
limit = 500
match = "acme/*"

[[gates]]
use = "tpm"
limit = 200_000

[[pipeline]]
use = "upper"

[[sinks]]
use = "jsonl"
path = "events.jsonl"

[providers.acme]
api_key = "sk-5a0c9e"

[costs."acme/small"]
input = 0.15
output = 0.6
"""


class Upper(PipelineStep):
    def process(self, content: Any, context: Any) -> Any:
        return content.upper()


def acme(api_key: str, *, base_url: str = "") -> None:
    raise ProviderError("made, and a check must not")


class Plugin:
    @hookimpl
    def penstock_steps(self):
        return [Registration("upper", Upper)]

    @hookimpl
    def penstock_providers(self):
        return [Registration("acme", acme)]


@pytest.fixture(scope="module")
def registry():
    return load_registry(plugins=[Plugin()], entry_points=False)


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes) -> str:
        path = tmp_path / "penstock.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def problems_of(data: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    return caught.value.problems


# ---------------------------------------------------------------- a good file


def test_a_file_becomes_a_config(written):
    config = load_config(written(EXAMPLE))
    assert config.service.default_model == "acme/small"
    assert config.service.max_rpm == 100
    assert config.service.max_tpm is None
    assert config.service.retry == RetryPolicy(max_retries=5, base_s=1.0)
    assert [(gate.use, gate.match, dict(gate.options)) for gate in config.gates] == [
        ("rpm", "acme/*", {"limit": 500}),
        ("tpm", "*", {"limit": 200_000}),
    ]
    assert config.pipeline[0].use == "upper"
    assert config.sinks[0].options == {"path": "events.jsonl"}
    assert config.costs == {"acme/small": {"input": Decimal("0.15"), "output": Decimal("0.6")}}


def test_an_empty_file_is_all_defaults(written):
    assert load_config(written("")) == Config(source=written(""))


def test_a_config_becomes_the_arguments_of_a_service(written, registry):
    arguments = load_config(written(EXAMPLE)).service_arguments(registry)
    rpm, tpm = arguments["gates"]
    assert (type(rpm), rpm.limit, rpm.match, tpm.limit) == (RpmGate, 500, "acme/*", 200_000)
    assert isinstance(arguments["pipeline"][0], Upper)
    assert arguments["provider_options"] == {"acme": {"api_key": "sk-5a0c9e"}}
    assert "max_rpm" not in arguments  # not stated, so the service's own rules for defaults apply
    assert arguments["max_concurrent_requests"] == 200
    for sink in arguments["sinks"]:
        sink.close()


def test_a_byte_order_mark_and_windows_line_ends_are_fine(written):
    assert load_config(written(b"\xef\xbb\xbf[service]\r\nmax_rpm = 5\r\n")).service.max_rpm == 5


# ---------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[service]\nmax_rpm 5\n", "not TOML: Expected '=' after a key in a key/value pair (at line 2, column 9)"),
        ("[service", "(at line 1, column 9, the end of the file)"),
        ("a = 1\na = 2\n", "(at line 2, column 6)"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "not TOML: "),
        (b"a = '\xff'", "byte 5 is not UTF-8: save the file as UTF-8"),
    ],
)
def test_a_file_that_is_no_toml_says_where(written, content, problem):
    path = written(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.source == path
    assert problem in caught.value.problems[0]


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "absent.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=reason) as caught:
            load_config(path)
        assert str(path) in str(caught.value)


# ---------------------------------------------------------------- problems


def test_three_mistakes_are_three_problems(written):
    path = written('[service]\nmax_rpm = "fast"\nmax_tmp = 5\n[[gates]]\nlimit = 5\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"3 problems in {path}:\n"
        "  service.max_rpm: expected a number, got 'fast'\n"
        "  service.max_tmp: unknown key; did you mean 'max_tpm'?\n"
        "  gates[0].use: missing"
    )


def test_mistakes_of_every_kind_are_told_in_one_go(written, registry):
    with pytest.raises(ConfigError) as caught:
        load_config(written('[service]\nmax_rmp = 5\n[[gates]]\nuse = "rmp"\n[[gates]]\nuse = "rpm"\n'), registry)
    assert caught.value.problems == (
        "service.max_rmp: unknown key; did you mean 'max_rpm'?",
        "gates[0].use: no gate named 'rmp'; did you mean 'rpm'?",
        "gates[1].limit: missing",
    )


def test_names_and_options_are_checked_against_the_plugins(written, registry):
    path = written(
        '[service]\ndefault_model = "amce/small"\n'
        '[[gates]]\nuse = "rpn"\n'
        '[[gates]]\nuse = "rpm"\nlimt = 5\n'
        '[[gates]]\nuse = "rpm"\nlimit = 0\n'
        '[[pipeline]]\nuse = "upper"\nmatch = "a/*"\n'
        '[[sinks]]\nuse = "jsonl"\npath = 5\n'
        '[providers.acme]\nbase_ulr = "x"\n'
        "[providers.other]\n"
    )
    with pytest.raises(ConfigError) as caught:
        check_config(load_config(path), registry)
    *problems, last = caught.value.problems
    assert caught.value.source == path
    assert problems[3].startswith("gates[2]: limit must be ")
    assert [problem for problem in problems if not problem.startswith("gates[2]")] == [
        "gates[0].use: no gate named 'rpn'; did you mean 'rpm'?",
        "gates[1].limit: missing",
        "gates[1].limt: unknown key; did you mean 'limit'?",
        "pipeline[0].match: unknown key",
        "sinks[0].path: expected a string, got a number",
        "providers.acme.api_key: missing",
        "providers.acme.base_ulr: unknown key; did you mean 'base_url'?",
        "providers.other: no provider named 'other'; known: acme",
    ]
    assert last == "service.default_model: no provider named 'amce'; did you mean 'acme'?"


def test_a_check_makes_no_provider(written, registry):
    check_config(load_config(written(EXAMPLE)), registry)


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ({"default_model": "small"}, "service.default_model: write it as provider/model, not 'small'"),
        ({"default_model": "/small"}, "service.default_model: write it as provider/model, not '/small'"),
        ({"default_provider": "amce"}, "service.default_provider: no provider named 'amce'; did you mean 'acme'?"),
    ],
)
def test_the_default_model_must_belong_to_a_provider(registry, service, problem):
    with pytest.raises(ConfigError) as caught:
        check_config(parse_config({"service": service}), registry)
    assert caught.value.problems == (problem,)


def test_a_bare_default_model_goes_with_a_default_provider(registry):
    check_config(parse_config({"service": {"default_provider": "acme", "default_model": "small"}}), registry)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "expected a table of service, gates, pipeline, sinks, providers, costs, got a list"),
        ({"gate": []}, "gate: unknown key; did you mean 'gates'?"),
        ({"gates": {"use": "rpm"}}, "gates: expected a list of tables, each one headed [[gates]], got a table"),
        ({"gates": [5]}, "gates[0]: expected a table, got a number"),
        ({"gates": [{"use": 5}]}, "gates[0].use: expected a string, got 5"),
        ({"gates": [{"use": "rpm", "match": 5}]}, "gates[0].match: expected a string, got 5"),
        ({"service": 5}, "service: expected a table, got 5"),
        ({"service": {"max_rpm": 0}}, "service.max_rpm: must be positive, got 0.0"),
        ({"service": {"max_rpm": math.nan}}, "service.max_rpm: expected a number, got nan"),
        (
            {"service": {"max_concurrent_requests": 1.5}},
            "service.max_concurrent_requests: expected a whole number, got 1.5",
        ),
        (
            {"service": {"retry": {"max_retires": 1}}},
            "service.retry.max_retires: unknown key; did you mean 'max_retries'?",
        ),
        ({"costs": {"a/b": {"input": 1}}}, 'costs."a/b".output: missing'),
        ({"costs": {"a": {"input": -1, "output": 0}}}, "costs.a.input: must not be negative, got -1"),
        ({"providers": {"acme": "sk-5a0c9e"}}, "providers.acme: expected a table, got a string"),
        ({"providers": "sk-5a0c9e"}, "providers: expected a table, got a string"),
    ],
)
def test_a_mistake_is_named_by_its_path(data, problem):
    assert problems_of(data) == (problem,)


# ---------------------------------------------------------------- credentials


def test_credentials_show_in_no_repr(written):
    config = load_config(written(EXAMPLE + '[[sinks]]\nuse = "web"\ntoken = "5a0c9e"\n'))
    assert "5a0c9e" not in repr(config)
    assert "5a0c9e" not in str(config.sinks)


def test_a_wrong_credential_is_named_by_its_path_only(registry):
    config = parse_config({"providers": {"acme": {"api_key": ["sk-5a0c9e"]}}})
    with pytest.raises(ConfigError) as caught:
        check_config(config, registry)
    assert caught.value.problems == ("providers.acme.api_key: expected a string, got a list",)


# ---------------------------------------------------------------- whatever is in the file

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["use", "match", "limit", "max_rpm", "retry", "default_model", "strategy", "input", "output"])
tables = st.dictionaries(keys | st.text(), anything, max_size=5)
sections = st.fixed_dictionaries(
    {},
    optional={
        "service": tables | anything,
        "gates": st.lists(tables) | anything,
        "pipeline": st.lists(tables) | anything,
        "sinks": st.lists(tables) | anything,
        "providers": st.dictionaries(st.text(), tables) | anything,
        "costs": st.dictionaries(st.text(), tables) | anything,
    },
)


@given(data=anything | sections)
def test_data_of_any_shape_is_a_config_or_a_config_error(registry, data):
    problems: tuple[str, ...] = ()
    try:
        check_config(parse_config(data, "the file"), registry)
    except ConfigError as error:
        problems = error.problems
    assert all(": " in problem or problem.startswith("expected") for problem in problems)
