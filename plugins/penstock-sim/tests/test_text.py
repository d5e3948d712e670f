"""The simulated model: the same question, the same answer."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_sim import SimRequest, answer, count_tokens, reply_text
from penstock_sim.exchange import Tool
from penstock_sim.hints import go_duration
from penstock_sim.samples import json_text

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("get_time", {"type": "object", "properties": {}})


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("ö" * 8, 2)])
def test_four_characters_are_a_token(text, tokens):
    assert count_tokens(text) == tokens


@given(st.text(), st.integers(1, 100), st.integers())
def test_a_cut_reply_has_exactly_the_tokens_allowed_and_begins_as_the_whole_one(prompt, max_tokens, seed):
    whole, _ = reply_text(prompt, None, seed)
    text, finish_reason = reply_text(prompt, max_tokens, seed)
    if count_tokens(whole) > max_tokens:
        assert (finish_reason, count_tokens(text)) == ("length", max_tokens)
        assert whole.startswith(text)
    else:
        assert (finish_reason, text) == ("stop", whole)


@given(st.text(), st.integers(1, 60_000), st.integers(0, 5_000))
def test_a_reply_has_its_natural_length(prompt, shortest, spread):
    text, _ = reply_text(prompt, None, 0, natural_tokens=(shortest, shortest + spread))
    assert shortest <= count_tokens(text) <= shortest + spread + 3


def test_seed_and_prompt_both_matter():
    texts = {reply_text(prompt, None, seed)[0] for prompt in ("a", "b") for seed in (0, 1)}
    assert len(texts) == 4


def test_the_answer_is_the_same_in_another_process():
    program = "from penstock_sim import reply_text; print(reply_text('How deep?', None, 7)[0])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == reply_text("How deep?", None, 7)[0]


def ask(question, **more):
    return answer(SimRequest(model="m", prompt=f"user: {question}", question=question, **more))


def test_a_tool_that_is_named_is_called():
    reply = ask("please get_weather", tools=(WEATHER, TIME))
    (call,) = reply.choices[0].tool_calls
    assert call.name == "get_weather"
    assert set(json.loads(call.arguments)) == {"city"}
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.completion_tokens > 0


@pytest.mark.parametrize(
    ("question", "more", "called"),
    [
        ("get_weather and get_time", {}, ["get_weather", "get_time"]),
        ("get_weather and get_time", {"parallel_tool_calls": False}, ["get_weather"]),
        ("get_weather", {"tool_choice": "none"}, []),
        ("hello", {"tool_choice": "required"}, ["get_weather"]),
        ("hello", {"tool_choice": "get_time"}, ["get_time"]),
        ("hello", {}, []),
    ],
)
def test_the_choice_of_tools_is_obeyed(question, more, called):
    (choice,) = ask(question, tools=(WEATHER, TIME), **more).choices
    assert [call.name for call in choice.tool_calls] == called


def test_a_tool_result_is_answered_with_text():
    request = SimRequest(model="m", prompt="user: get_weather\ntool: 3 °C", question=None, tools=(WEATHER,))
    assert answer(request).choices[0].text


def test_choices_differ_from_each_other():
    texts = [choice.text for choice in ask("hello", choices=3).choices]
    assert len(set(texts)) == 3


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 10},
        "kind": {"enum": ["a", "b"]},
        "version": {"const": 2},
        "size": {"type": "integer", "minimum": 5, "maximum": 7},
        "below": {"type": "integer", "maximum": -5},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.25},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 3},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "when": {"type": ["null", "string"], "format": "date"},
        "place": {"$ref": "#/$defs/place"},
    },
    "required": ["name", "kind", "version", "size", "share", "tags", "next", "when", "place"],
    "$defs": {"place": {"allOf": [{"type": "object"}, {"properties": {"x": {"type": "boolean"}}}]}},
}


@given(st.integers())
def test_json_fits_its_schema(seed):
    value = json.loads(json_text(SCHEMA, seed))
    assert list(value) == list(SCHEMA["properties"])
    assert 3 <= len(value["name"]) <= 10
    assert value["kind"] in ("a", "b")
    assert value["version"] == 2
    assert value["size"] in (5, 6, 7)
    assert value["below"] <= -5
    assert value["share"] in (0.25, 0.5, 0.75)
    assert len(value["tags"]) >= 3
    assert value["next"] is None or value["next"]["version"] == 2
    assert value["when"] == "2026-01-02"
    assert isinstance(value["place"]["x"], bool)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {key: {"$ref": "#"} for key in "abcdef"}, "required": list("abcdef")},
        {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
        {"type": "string", "minLength": 10**9},
        {"type": "integer", "minimum": 10**400},
        {"type": "number", "multipleOf": 0, "maximum": -5},
        {"type": "integer", "multipleOf": -1, "minimum": 1, "maximum": 1},
        {"type": "integer", "multipleOf": 1e-320, "minimum": 7},
        {"$ref": "#"},
        {"$ref": "#/nowhere/0"},
        {"type": [], "enum": []},
        {"type": "object", "properties": 5, "required": {"a": 1}},
        {"allOf": [5, {"properties": None}]},
    ],
    ids=repr,
)
def test_hostile_schemas_are_cut_short(schema):
    text = json_text(schema, 0)
    json.loads(text)
    assert len(text) < 200_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0042, "5ms"),
        (0.12, "120ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (8.64, "8.64s"),
        (55.212, "55.212s"),
        (252.172, "4m12.172s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (86399.999, "23h59m59.999s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds, text):
    assert go_duration(seconds) == text
