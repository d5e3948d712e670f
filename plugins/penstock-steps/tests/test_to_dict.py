"""`to_dict`: what it reads, that it only ever fails with StepError, invents no key, and takes no time."""

import json
import time
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import StepError
from penstock.testing import StepContract, step_context
from penstock_steps import ToDict

FAILS = object()
MEGABYTE = 1_000_000

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
objects = st.dictionaries(st.text(max_size=8), values, min_size=1, max_size=5)
pieces = st.sampled_from(
    [*"{}[]\"':,=\\/#()`“”｛｝：，\n ", "a", "1", "true", "None", "```json\n", "\n```\n", '{"a": 1}']
)
broken = st.lists(pieces | st.text(max_size=3), max_size=40).map("".join)


def read(text, **options):
    """What the step makes of a text; FAILS when it fails."""
    try:
        return ToDict(**options).process(text, step_context(text))
    except StepError:
        return FAILS


def same(one, other):
    """Equality for which NaN is NaN."""
    return repr(one) == repr(other)


def keys(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def stands_in(text, key):
    spellings = (key, json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1], repr(key)[1:-1])
    return any(spelling in text for spelling in spellings)


class TestKeepsTheContractOfSteps(StepContract):
    examples = (
        ('{"a": 1}', {"a": 1}),
        ("Sure:\n```json\n{'a': None,}\n```", {"a": None}),
        ({"a": [1]}, {"a": [1]}),
        ([{"a": 1}], {"a": 1}),
    )
    failures = ("no object", "", "[1, 2]", 5, None, [{"a": 1}, {"a": 2}])

    def make(self):
        return ToDict()


# ---------------------------------------------------------------- what holds for any text


@given(st.text() | broken)
@settings(max_examples=300)
def test_any_text_gives_a_dict_or_a_step_error(text):
    made = read(text)
    assert made is FAILS or type(made) is dict


@given(broken | broken.map(lambda text: '{"' + text) | broken.map(lambda text: "{a: " + text))
@settings(max_examples=300)
def test_no_key_is_invented(text):
    made = read(text)
    if made is not FAILS:
        assert [key for key in keys(made) if not stands_in(text, key)] == []


@given(broken.map(lambda text: '{"a": ' + text))
@settings(max_examples=100)
def test_strings_are_plain_strings(text):
    made = read(text)
    rest = [] if made is FAILS else [made]
    while rest:
        each = rest.pop()
        assert type(each) in {dict, list, str, int, float, bool, type(None)}
        rest += [*each, *each.values()] if isinstance(each, dict) else each if isinstance(each, list) else []


@given(objects, st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=100)
def test_an_object_in_prose_and_fences_is_read_exactly(made, indent, ascii_only):
    text = json.dumps(made, indent=indent, ensure_ascii=ascii_only)
    assert same(read(text), made)
    assert same(read(f"Here you are: {text} - anything else?"), made)
    assert same(read(f"Of course.\n\n```json\n{text}\n```\n\nUse {{braces}} and [1] with care."), made)


@given(objects)
@settings(max_examples=100)
def test_what_python_prints_is_read_exactly(made):
    assert same(read(f"The result is {made!r}"), made)


@given(objects, st.data())
@settings(max_examples=100)
def test_what_is_left_of_a_cut_off_object_is_never_something_else(made, data):
    text = json.dumps(made)
    cut = text[: data.draw(st.integers(min_value=2, max_value=len(text) - 1))]
    rest = read(cut)
    assert rest is FAILS or list(rest) == list(made)[: len(rest)]
    if rest is not FAILS:
        before = list(rest)[:-1]  # the last value may be the one that was cut
        assert same([rest[key] for key in before], [made[key] for key in before])


# ---------------------------------------------------------------- bounds

HOSTILE = {
    "opening braces": "{" * MEGABYTE,
    "opening brackets": "[" * MEGABYTE,
    "objects in objects": '{"a":' * (MEGABYTE // 5),
    "lists of objects": '[{"a":' * (MEGABYTE // 6),
    "quotes": '{"a": ' + '"' * MEGABYTE,
    "braces and quotes": '{"' * (MEGABYTE // 2),
    "quotes in strings": '{"a": "' + 'x "y" ' * (MEGABYTE // 6) + '"}',
    "numbers and quotes": '{"a": [' + '1"' * (MEGABYTE // 2),
    "broken objects": '{"a": b c} x ' * (MEGABYTE // 13),
    "half keys": '{"a" ' * (MEGABYTE // 5),
    "apostrophes": "{'a': '" + "it's " * (MEGABYTE // 5) + "'}",
    "fences": "```json\n{" * (MEGABYTE // 9),
    "comments": "{" + "/*" * (MEGABYTE // 2),
    "backslashes": '{"' + "\\" * MEGABYTE,
    "a word": "{" + "a" * MEGABYTE,
    "a long key": '{"a": ' + "'" + "x" * MEGABYTE + "' : 1, b c: 2}",
    "objects that go on": '{"a": 1}, "b": 2' * (MEGABYTE // 15),
    "words and parentheses": "{a: " + "(x" * (MEGABYTE // 2),
    "thoughts": "</think>" * (MEGABYTE // 8),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_made_to_hurt_takes_seconds_at_most(name):
    began = time.process_time()
    read(HOSTILE[name])
    assert time.process_time() - began < 10  # 0.01 to 2 s; what grows with the square takes hours


READABLE = {
    "strict": ('{"a": [', '{"k": "vvvvv", "n": 1}, ', "1]}"),
    "in prose": ('Here: {"a": [', '{"k": "vvvvv", "n": 1}, ', "1]} as asked"),
    "single quotes": ("{'a': [", "{'k': 'vvvvv', 'n': None}, ", "1]}"),
    "trailing comma": ('{"a": [', '{"k": "vvvvv", "n": 1}, ', "1],}"),
    "cut off": ('{"a": [', '{"k": "vvvvv", "n": 1}, ', '{"k": "v'),
}


@pytest.mark.parametrize("name", READABLE)
def test_a_megabyte_is_read_whole(name):
    begin, middle, end = READABLE[name]
    count = MEGABYTE // len(middle)
    assert len(read(begin + middle * count + end)["a"]) == count + 1


@pytest.mark.parametrize("depth", [101, 400, 5000, 100_000])
def test_what_nests_too_deeply_is_refused(depth):
    whole = '{"a":' * depth + "1" + "}" * depth
    for text in (whole, f"In prose: {whole}.", "{'a':" * depth + "1", '{"a": ' + "[" * depth + "]" * depth + "}"):
        assert read(text) is FAILS
    assert read(f'{whole} and {{"b": 1}}') in ({"b": 1}, FAILS)


def test_depth_and_length_are_settings():
    assert read('{"a": [[1]]}', max_depth=2) is FAILS
    assert read('{"a": [[1]]}', max_depth=3) == {"a": [[1]]}
    with pytest.raises(StepError, match=r"takes at most 5 characters \(max_chars\), and got 8"):
        ToDict(max_chars=5).process('{"a": 1}', step_context())


# ---------------------------------------------------------------- what it says


def test_a_failure_says_what_was_there_and_what_the_model_should_do():
    with pytest.raises(StepError, match=r"no object in the answer: .*'I cannot say.'") as caught:
        ToDict().process("I cannot say.", step_context())
    assert caught.value.feedback == "Answer with one JSON object and nothing else."


def test_a_list_of_several_objects_is_refused_unless_told_which():
    two = '[{"a": 1}, {"a": 2}]'
    with pytest.raises(StepError, match=r"a list of 2 items.*of_list") as caught:
        ToDict().process(two, step_context())
    assert "It was a list of 2 items." in str(caught.value.feedback)
    assert read(two, of_list="first") == {"a": 1}
    assert read(two, of_list="last") == {"a": 2}
    assert ToDict(of_list="last").process([{"a": 1}, {"a": 2}], step_context()) == {"a": 2}


def test_a_type_it_cannot_use_is_named():
    with pytest.raises(StepError, match="to_dict takes text, a dict or a list, and got a bytes; put it first"):
        ToDict().process(b"{}", step_context())


def test_a_dict_is_not_parsed_again():
    given_before = {"a": 1}
    assert ToDict().process(given_before, step_context()) is given_before


def test_nan_stays_a_float():
    assert isnan(read('{"a": NaN}')["a"])
