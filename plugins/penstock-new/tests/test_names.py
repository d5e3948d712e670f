"""One name in, all its spellings out; and what cannot be a name."""

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock
from penstock import PenstockError
from penstock_new import Name

PUBLIC = frozenset(penstock.__all__)


@pytest.mark.parametrize("given", ["shout", "Shout", "penstock-shout", "penstock_shout", " shout ", "Penstock Shout"])
def test_one_name_may_be_written_in_many_ways(given):
    name = Name.of(given)
    assert (name.dist, name.module, name.part) == ("penstock-shout", "penstock_shout", "shout")


@pytest.mark.parametrize("given", ["My Step", "my-step", "MyStep", "my_step", "my.step", "penstock--my__step"])
def test_words_are_joined_as_each_place_has_it(given):
    name = Name.of(given)
    assert (name.dist, name.module, name.part) == ("penstock-my-step", "penstock_my_step", "my_step")
    assert name.variable == "MY_STEP"


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("step", "shout", "ShoutStep"),
        ("step", "my-step", "MyStep"),
        ("sink", "metrics", "PenstockMetricsSink"),
        ("step", "pipeline", "PenstockPipelineStep"),
        ("gate", "top-10", "Top10Gate"),
    ],
)
def test_a_class_is_named_for_its_kind_and_hides_no_name_of_penstock(kind, given, expected):
    assert Name.of(given).class_of(kind, PUBLIC) == expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "nothing of it is left"),
        ("penstock", "nothing of it is left"),
        ("größe", "it has 'ß', 'ö'"),
        ("a/b", "it has '/'"),
        ("../etc", "it has '/'"),
        ("3d", "begin it with a letter"),
        ("class", "a keyword of Python; add a word, such as 'my-class'"),
        ("none", "a keyword of Python"),
        ("step", "what all of them are"),
        ("x" * 23, "it has 23 characters, and at most 22"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(given, told):
    with pytest.raises(PenstockError) as refused:
        Name.of(given)
    assert told in str(refused.value)
    assert repr(given) in str(refused.value)


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.from_regex(r"[A-Za-z0-9 ._-]{1,50}", fullmatch=True))
def test_whatever_is_given_it_is_refused_or_good_everywhere(text):
    try:
        name = Name.of(text)
    except PenstockError:
        return
    assert name.module.isidentifier()
    assert name.module.isascii()
    assert name.class_of("step", PUBLIC).isidentifier()
    assert not keyword.iskeyword(name.part)
    assert Name.of(name.dist) == Name.of(name.part) == name
