"""JSON bodies: the round trip, and the errors."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_http import JsonBodyError, copied, dumps, loads
from penstock_http.jsonbody import MAX_DEPTH_READ, MAX_DEPTH_WRITTEN

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read(value):
    assert loads(dumps(value)) == value


@given(st.binary(max_size=60))
def test_foreign_bytes_are_a_value_or_an_error_of_ours(body):
    with suppress(JsonBodyError):  # what is not JSON has no other way out
        loads(body)


@pytest.mark.parametrize(
    ("body", "position"), [(b'{"a":}', 5), (b"", 0), (b"NaN", 0), (b'{"a":1', 6), (b'"\xff"', None)]
)
def test_an_error_says_where(body, position):
    with pytest.raises(JsonBodyError, match=r"^not JSON: .* at position \d+$") as caught:
        loads(body)
    assert isinstance(caught.value, ValueError)
    assert position is None or caught.value.position == position


def test_an_error_does_not_quote_the_body():
    with pytest.raises(JsonBodyError) as caught:
        loads(b'{"key": secret}')
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_size_and_depth_are_bounded():
    assert loads(b"[" * MAX_DEPTH_READ + b"]" * MAX_DEPTH_READ)
    with pytest.raises(JsonBodyError, match=rf"at position {MAX_DEPTH_READ + 1}"):
        loads(b"[" * (MAX_DEPTH_READ + 1) + b"]" * (MAX_DEPTH_READ + 1))
    with pytest.raises(JsonBodyError, match="4 bytes are more than the 3 allowed"):
        loads(b"1234", max_size=3)


def nested(depth):
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_what_json_cannot_say_is_refused():
    assert dumps(nested(MAX_DEPTH_WRITTEN))
    for value in (nested(MAX_DEPTH_WRITTEN + 1), object(), {1: 2}, 2**70, "\ud800"):
        with pytest.raises(JsonBodyError):
            dumps(value)


def test_a_copy_shares_nothing_with_what_it_was_made_of():
    value = {"a": [{"b": 1}]}
    copy = copied(value)
    copy["a"][0]["b"] = 2
    assert value == {"a": [{"b": 1}]}
    with pytest.raises(JsonBodyError):
        copied({"a": {1}})
