"""The steps that take text: `strip_fences`, `regex`, `string_match`, `choice`, `number`, `boolean`."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import StepError
from penstock.testing import StepContract, step_context
from penstock_steps import Boolean, Choice, Number, Regex, StringMatch, StripFences

TWO = "One:\n```py\na = 1\n```\nTwo:\n~~~json\n{}\n{ }\n~~~\n"


def run(step, content):
    return step.process(content, step_context(content))


def failure(step, content):
    with pytest.raises(StepError) as caught:
        run(step, content)
    return caught.value


STEPS = [StripFences(), Regex("a"), StringMatch(any_of=["a"]), Choice(["a"]), Number(), Boolean()]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@given(st.text() | st.none() | st.integers() | st.booleans() | st.lists(st.text()) | st.binary())
def test_a_step_fails_with_step_error_alone(step, content):
    with suppress(StepError):
        run(step, content)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_type_that_a_step_cannot_use_is_named(step):
    assert f"{step.name} takes text" in str(failure(step, {"a": 1}))
    assert "got a dict" in str(failure(step, {"a": 1}))
    assert "before it" in str(failure(step, {"a": 1}))


@pytest.mark.parametrize(
    "step",
    [
        StripFences(max_chars=3),
        Regex("a", max_chars=3),
        StringMatch(any_of=["a"], max_chars=3),
        Choice(["a"], max_chars=3),
        Number(max_chars=3),
        Boolean(max_chars=3),
    ],
    ids=lambda step: step.name,
)
def test_longer_text_is_refused_unread(step):
    assert "takes at most 3 characters (max_chars), and got 4" in str(failure(step, "aaaa"))


@pytest.mark.parametrize("unit", ["1,", "1.", "- ", "yes ", "a", "``` \n", "'", "\n", "1 000", "٣", "\u2e80"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_longest_text_takes_a_moment(step, unit):
    text = (unit * 100_000)[:100_000]
    began = time.process_time()
    with suppress(StepError):
        run(step, text)
    assert time.process_time() - began < 5


# ---------------------------------------------------------------- strip_fences


class TestStripFences(StepContract):
    examples = (
        ("```py\na = 1\n```", "a = 1"),
        ("no fence", "no fence"),
        (f"{TWO}", "a = 1"),
        ("```\ncut off", "cut off"),
    )
    failures = ({}, None)

    def make(self):
        return StripFences()


def test_strip_fences_picks():
    assert run(StripFences(pick="last"), TWO) == "{}\n{ }"
    assert run(StripFences(pick="longest"), TWO) == "{}\n{ }"
    assert run(StripFences(pick="all"), TWO) == "a = 1\n\n{}\n{ }"
    assert run(StripFences(language="JSON"), TWO) == "{}\n{ }"
    assert run(StripFences(language="sql"), TWO) == TWO


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("```\r\nx\r\ny\r\n```\r\n", "x\r\ny"),
        ("```\nx\n`````", "x"),
        ("- so:\n  ```py\n  if x:\n      y\n  ```", "if x:\n    y"),
        ("> ```\n> x\n>\n> > y\n> ```", "x\n\n> y"),
        ("```\n>>> 1\n1\n```", ">>> 1\n1"),
    ],
)
def test_strip_fences_knows_line_ends_margins_and_longer_ends(text, inside):
    assert run(StripFences(), text) == inside


def test_strip_fences_leaves_thoughts_out():
    assert run(StripFences(), "<think>\n```\ndraft\n```\n</think>\n```\nfinal\n```") == "final"


def test_strip_fences_can_require_one():
    error = failure(StripFences(language="sql", required=True), TWO)
    assert str(error) == "there is no fence of sql in the answer"
    assert error.feedback == "Put the answer into one Markdown code fence of sql."


def test_a_longer_fence_holds_a_shorter_one():
    assert run(StripFences(), "````md\n```py\nx\n```\n````") == "```py\nx\n```"


# ---------------------------------------------------------------- regex


class TestRegex(StepContract):
    examples = (("v1.20, v2.0", "1.20"),)
    failures = ("none", "", {}, None)

    def make(self):
        return Regex(r"v(\d+\.\d+)", group=1)


def test_regex_finds_first_last_all_and_groups():
    text = "a=1, b=22, c="
    assert run(Regex(r"\w=\d*"), text) == "a=1"
    assert run(Regex(r"\w=\d*", find="last"), text) == "c="
    assert run(Regex(r"(?P<k>\w)=(\d)?", group="k", find="all"), text) == ["a", "b", "c"]
    assert run(Regex(r"(?P<k>\w)=(\d)?", group=2, find="all"), text) == ["1", "2", ""]


def test_regex_says_what_it_looked_for():
    error = failure(Regex(r"\d{4}"), "no year")
    assert str(error) == r"nothing in the answer matches '\\d{4}': 'no year'"
    assert r"\d{4}" in str(error.feedback)


@pytest.mark.parametrize(
    ("pattern", "group"), [("(", 0), ("a", 1), ("a", "name"), ("(?P<n>a)", "m"), ("a{99999999999}", 0)]
)
def test_a_pattern_or_group_that_cannot_be_is_refused_when_the_step_is_made(pattern, group):
    with pytest.raises(ValueError, match=r"is no regular expression|is not in the pattern"):
        Regex(pattern, group=group)


# ---------------------------------------------------------------- string_match


class TestStringMatch(StepContract):
    examples = (("It is a Dam.", "It is a Dam."), ("a lock and a dam", "a lock and a dam"))
    failures = ("a lock", "", "a dam with a secret", {}, None)

    def make(self):
        return StringMatch(all_of=["dam"], none_of=["secret"], ignore_case=True)


def test_string_match_says_all_that_is_wrong():
    error = failure(StringMatch(all_of=["a", "b", "c"], any_of=["x", "y"], none_of=["d"]), "ad")
    assert str(error) == (
        "the answer does not match: it must contain 'b', 'c'; it must contain one of 'x', 'y'; it must not contain 'd'"
    )
    assert error.feedback


def test_string_match_takes_patterns_and_minds_case():
    assert failure(StringMatch(all_of=["DAM"]), "dam")
    assert failure(StringMatch(all_of=["d.m"]), "dam")
    assert run(StringMatch(all_of=["d.m"], patterns=True), "dam") == "dam"
    assert run(StringMatch(any_of="dam"), "dam") == "dam"


def test_string_match_knows_letters_however_they_are_coded():
    assert run(StringMatch(all_of=["cafe\u0301"]), "caf\u00e9") == "caf\u00e9"
    assert run(StringMatch(all_of=["straße"], ignore_case=True), "STRASSE") == "STRASSE"


def test_string_match_needs_something_to_match():
    with pytest.raises(ValueError, match="needs all_of, any_of or none_of"):
        StringMatch()
    with pytest.raises(ValueError, match="not empty"):
        StringMatch(any_of=[""])
    with pytest.raises(ValueError, match="is no regular expression"):
        StringMatch(all_of=["("], patterns=True)


# ---------------------------------------------------------------- choice


class TestChoice(StepContract):
    examples = (
        ("positive", "Positive"),
        (" **POSITIVE.**\n", "Positive"),
        ('"negative"', "Negative"),
        ("The sentiment is negative, I think.", "Negative"),
        ("Positive. It is not negative at all.", "Positive"),
        ("I am not sure", "Not sure"),
        ("positive\n\nBecause it says so, and is not negative.", "Positive"),
        ("Positive - there is nothing negative.", "Positive"),
        ("```\nnegative\n```", "Negative"),
        ("<think>positive? or negative?</think>\nnegative", "Negative"),
    )
    failures = ("", "neutral", "positive or negative?", "It is both positive and negative.", "unpositive", {}, None, 5)

    def make(self):
        return Choice(["Positive", "Negative", "Not sure", "Sure"])


def test_choice_knows_scripts_without_spaces():
    step = Choice(["正面", "负面"])
    assert run(step, "这条评论是正面的。") == "正面"
    assert run(step, "“负面”") == "负面"
    assert failure(step, "正面还是负面")
    assert run(Choice(["yes", "no"]), "答案是yes吧") == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "not good",
        "It isn't good.",
        "It isn’t really a good one",
        "No good",
        "far from bad, and never good",
        "neither good nor bad",
        "It's not bad, it's good",
        "I'm not sure whether good or bad",
        "Das ist nicht good",
        "Ce n'est pas good",
        "不是good",
    ],
)
def test_choice_does_not_take_what_the_prose_denies(text):
    assert failure(Choice(["good", "bad"]), text).feedback


def test_a_denial_ends_with_its_clause():
    step = Choice(["spam", "not spam"])
    assert run(step, "There is no doubt: spam") == "spam"
    assert run(step, "This is not spam.") == "not spam"
    assert run(Boolean(), "I looked and found nothing. Not bad! Answer: yes") is True
    assert failure(Choice(["是", "否"]), "不是")


def test_choice_takes_full_width_letters_and_signs():
    assert run(Choice(["A", "B"]), "Ｂ") == "B"
    assert run(Choice(["+", "-"]), "-") == "-"
    assert run(Choice(["C", "C++", "C#"]), "It is C++ code") == "C++"


def test_choice_takes_aliases():
    step = Choice(["positive", "negative"], aliases={"positive": ["pos", "good"]})
    assert run(step, "Good, pos!") == "positive"
    with pytest.raises(ValueError, match="aliases has 'neutral', which is not in options"):
        Choice(["positive"], aliases={"neutral": ["meh"]})


def test_choice_without_prose_takes_the_option_alone():
    step = Choice(["yes", "no"], prose=False)
    assert run(step, "Yes!") == "yes"
    assert failure(step, "Yes, it is")


def test_choice_tells_the_model_what_to_choose_from():
    error = failure(Choice(["a", "b"]), "c")
    assert str(error) == "the answer names none of 'a', 'b', or denies one: 'c'"
    assert error.feedback == "Answer with exactly one of 'a', 'b' and nothing else."
    assert "names 'a', 'b'" in str(failure(Choice(["a", "b"]), "a b"))


@pytest.mark.parametrize("options", [[], [""], [" "], ["a", "A"], ["a", "a"]])
def test_options_that_cannot_be_told_apart_are_refused_when_the_step_is_made(options):
    with pytest.raises(ValueError, match=r"options|empty|same word"):
        Choice(options)


# ---------------------------------------------------------------- boolean


class TestBoolean(StepContract):
    examples = (
        ("Yes", True),
        ("no.", False),
        ("**True**", True),
        ("Yes, there is no doubt.", True),
        ("The answer is no", False),
        ("0", False),
        (True, True),
    )
    failures = ("", "maybe", "yes and no", "not true", "It is not false", 5, None, {})

    def make(self):
        return Boolean()


def test_boolean_takes_other_words():
    step = Boolean(true=["ja", "wahr"], false=["nein"])
    assert run(step, "Ja!") is True
    assert run(step, "Nein, das ist nicht wahr") is False
    assert failure(step, "yes").feedback == "Answer with 'ja' or 'nein' and nothing else."
    with pytest.raises(ValueError, match="are the same word"):
        Boolean(true=["ja"], false=["JA"])


# ---------------------------------------------------------------- number


class TestNumber(StepContract):
    examples = (
        ("42", 42.0),
        ("about 1,250.5 kg", 1250.5),
        ("-3", -3.0),
        ("It is 7.", 7.0),
        (5, 5.0),
        ("$1,000", 1000.0),
    )
    failures = ("", "none", "3 or 4", "1.2 million", True, None, {}, float("nan"), float("inf"), "1e999", "9" * 400)

    def make(self):
        return Number()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1 234 567", 1234567),
        ("1'000'000 CHF", 1000000),
        ("1\u202f000,5", None),
        ("1_000", 1000),
        ("−5 °C", -5),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5),
        ("3.2e6", 3200000),
        ("1e-3", 0.001),
        ("50%", 50),
        ("12kg", 12),
        ("€12.50", 12.5),
        ("٣٠", 30),
        ("٣٫٥", 3.5),
        ("１２", 12),
        ("GPT-4 says 12", 12),
        ("item2: 12", 12),
        ("version 1.2.3", None),
        ("3-5", None),
        ("2024-01-02", None),
        ("1,5", None),
        ("1,2345", None),
        ("1/2", None),
        ("12 million", None),
        ("3万", None),
        ("5k", None),
        ("7B parameters", None),
        ("0x10", None),
        ("5 kg", 5),
        ("<think>17, or 18</think>\n42", 42),
    ],
)
def test_number_reads(text, number):
    if number is None:
        assert failure(Number(), text).feedback
    else:
        assert run(Number(), text) == number


def test_number_with_a_decimal_comma():
    step = Number(decimal=",")
    assert run(step, "1.234,5 €") == 1234.5
    assert run(step, "3,5") == 3.5
    assert failure(step, "1.5")


def test_number_as_int():
    step = Number(kind="int")
    assert run(step, "3.0") == 3
    assert type(run(step, "3.0")) is int
    assert run(step, "12345678901234567890") == 12345678901234567890
    assert "is 3.5, not a whole number" in str(failure(step, "3.5"))


def test_number_minds_its_bounds():
    step = Number(kind="int", minimum=1, maximum=10)
    assert run(step, "1") == 1
    assert run(step, 10) == 10
    error = failure(step, "11")
    assert str(error) == "the answer is 11, more than 10"
    assert error.feedback == (
        "Answer with one whole number of at least 1 and at most 10, in digits, and nothing else. "
        "Your answer is 11, more than 10."
    )
    with pytest.raises(ValueError, match="minimum 2 is more than maximum 1"):
        Number(minimum=2, maximum=1)


def test_number_picks_of_several():
    assert run(Number(pick="first"), "3 or 4") == 3
    assert run(Number(pick="last"), "3 or 4") == 4
    assert "has 2 numbers" in str(failure(Number(), "3 or 4"))


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_number_reads_what_python_writes(number):
    assert run(Number(kind="int"), f"It is {number:,} in all") == number
    assert run(Number(kind="int"), f"{number}") == number


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200))
def test_number_reads_floats_exactly(number):
    assert run(Number(), repr(number)) == number
