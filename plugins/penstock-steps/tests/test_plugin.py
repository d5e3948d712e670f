"""The package as penstock finds it: by name, from a file, in a service; and what it imports when."""

import json
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from penstock import ConfigError, GenerationRequest, RepairPolicy, Service, StepSpec
from penstock.testing import ScriptedProvider
from penstock_steps import JsonSchema, Number, ToDict
from penstock_steps.plugin import penstock_steps

FILE = """
pipeline = [
  {use = "strip_fences"},
  {use = "to_dict", max_depth = 20},
  {use = "json_schema", file = "schema.json"},
  {use = "extract_value", path = "items[*].name", default = []},
]
"""
EVERY = """
pipeline = [
  {use = "semantic_isolation", element = "answer", model = "fake/m", max_tokens = 100},
  {use = "string_match", any_of = ["a"], ignore_case = true},
  {use = "regex", pattern = "(?i)a+", group = 0, find = "all"},
  {use = "choice", options = ["a", "b"], aliases = {a = ["alpha"]}},
  {use = "boolean", true = ["ja"], false = ["nein"]},
  {use = "number", kind = "int", minimum = 0, maximum = 10.5},
  {use = "json_load"},
  {use = "structure", target = "datetime:timezone"},
  {use = "json_schema", schema = {type = "object", properties = {a = {type = "integer"}}}},
  {use = "extract_value", path = "a"},
  {use = "strip_fences", language = "json", required = true},
  {use = "to_dict", of_list = "first"},
]
"""


def test_a_file_puts_steps_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text(FILE)
    (tmp_path / "schema.json").write_text(json.dumps({"required": ["items"]}))
    with Service.from_config(tmp_path / "penstock.toml"):
        pass
    steps = [StepSpec(use="to_dict"), StepSpec(use="extract_value", options={"path": "items[*].name"})]
    provider = ScriptedProvider(["```json\n{'items': [{'name': 'a'}, {'name': 'b'}],}\n```"])
    with Service(providers=[provider], default_model="fake/m") as service:
        result = service.generate_output(GenerationRequest(prompt="?", pipeline=steps))
    assert result.content == ["a", "b"]


def test_every_step_is_found_by_name_with_its_options(tmp_path):
    (tmp_path / "penstock.toml").write_text(EVERY.replace("datetime:timezone", "penstock.schema:TextPart"))
    with Service.from_config(tmp_path / "penstock.toml"):
        pass


def test_wrong_options_are_told_all_at_once_with_their_paths(tmp_path):
    (tmp_path / "penstock.toml").write_text("""
pipeline = [
  {use = "to_dict", max_chars = "many", of_list = "middle"},
  {use = "regex", pattern = "("},
  {use = "extract_value", path = "a..b"},
  {use = "choice"},
  {use = "number", minimal = 1},
]
""")
    with pytest.raises(ConfigError) as caught:
        Service.from_config(tmp_path / "penstock.toml")
    problems = "\n".join(caught.value.problems)
    for expected in (
        "pipeline[0].max_chars",
        "pipeline[0].of_list",
        "pipeline[1].pattern",
        "pipeline[2].path",
        "pipeline[3].options",
        "pipeline[4].minimal",
    ):
        assert expected in problems


def test_every_registration_has_typed_settings_and_a_summary():
    for each in penstock_steps():
        assert isinstance(each.settings, str)
        module, _, name = each.settings.partition(":")
        settings: Any = getattr(import_module(module), name)
        assert "__attrs_attrs__" in vars(settings)
        assert settings.name == each.name
        assert each.summary
        assert "Attributes:" in settings.__doc__
        assert any(
            words in settings.__doc__
            for words in ("cannot fail", "all but text", "it cannot", "a failure", "fails only")
        )


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import penstock_steps.plugin",
            ["json_repair", "jsonschema", "penstock_steps.tolerant", "penstock_steps.base"],
        ),
        ("from penstock_steps import Regex, Choice", ["json_repair", "jsonschema", "cattrs.preconf.json"]),
        ("from penstock_steps import ToDict", ["jsonschema", "pydantic"]),
        ("from penstock_steps import Structure", ["jsonschema", "json_repair", "pydantic"]),
    ],
)
def test_a_library_is_imported_with_the_step_that_needs_it(code, absent):
    check = f"import sys; {code}; print([name for name in {absent!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_steps_follow_each_other_in_a_service_and_nothing_is_parsed_twice():
    provider = ScriptedProvider(["The result: {'price': '1,250 EUR'}"])
    steps: list[Any] = [ToDict(), JsonSchema({"required": ["price"]}), lambda data: data["price"], Number(kind="int")]
    with Service(providers=[provider], default_model="fake/m", pipeline=steps) as service:
        result = service.generate_output("How much?")
    assert result.content == 1250
    passed = [step.content_after for step in result.pipeline_results]
    assert passed[0] is passed[1]


def test_b49_a_failed_step_leaves_the_raw_text_and_says_why():
    provider = ScriptedProvider(["I do not know."])
    with Service(providers=[provider], default_model="fake/m", pipeline=[ToDict()]) as service:
        result = service.generate_output("How much?")
    assert result.success
    assert result.degraded
    assert result.content == "I do not know."
    assert "no object in the answer" in str(result.pipeline_results[-1].error_message)


def test_the_feedback_of_a_step_mends_the_answer():
    provider = ScriptedProvider(['{"price": "x"}', '{"price": 5}'])
    steps = [ToDict(), JsonSchema({"properties": {"price": {"type": "number"}}})]
    with Service(providers=[provider], default_model="fake/m", pipeline=steps) as service:
        result = service.generate_output(GenerationRequest(prompt="How much?", repair=RepairPolicy(max_repairs=1)))
    assert result.content == {"price": 5}
    told = str(provider.calls[1])
    assert "/price: " in told
