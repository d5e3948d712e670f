"""Retry and limit headers: what real servers send, and anything at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_http import LimitReading, RetryHint, parse_duration, parse_limits, parse_retry
from penstock_http.headers import MAX_WAIT_S

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1m30.5s", 90.5),
        ("1h2m", 3720.0),
        ("4m12.172s", 252.172),
        ("7.66s", 7.66),
        ("500us", 0.0005),
        ("500µs", 0.0005),
        ("10ns", 1e-8),
        ("0s", 0.0),
        (" 2 ", 2.0),
        ("2.5", 2.5),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1x", None),
        ("1m 30s", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("１s", None),  # noqa: RUF001 - a full-width digit is what is tested
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "20"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "20"}, 20.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, MAX_WAIT_S),
        ({"retry-after": "999999999"}, MAX_WAIT_S),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_how_long_to_wait(headers, after_s):
    assert parse_retry(headers, now_wall=NOW) == RetryHint(after_s, None)


@pytest.mark.parametrize(("word", "should"), [("true", True), ("False", False), ("maybe", None), ("", None)])
def test_whether_to_try_at_all(word, should):
    assert parse_retry({"x-should-retry": word}, now_wall=NOW).should_retry is should


def test_openai_limits():
    headers = {
        "x-ratelimit-limit-requests": "60000",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1ms",
        "x-ratelimit-limit-tokens": "150000000",
        "x-ratelimit-remaining-tokens": "149999984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert parse_limits(headers, now_wall=NOW) == (
        LimitReading(dimension="requests", limit=60_000, remaining=0, reset_s=0.001),
        LimitReading(dimension="tokens", limit=150_000_000, remaining=149_999_984, reset_s=360.0),
    )


def test_anthropic_limits():
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:21.5Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "2023-11-14T22:00:00Z",
        "anthropic-ratelimit-tokens-limit": "garbage",
    }
    assert parse_limits(headers, now_wall=NOW) == (
        LimitReading(dimension="requests", limit=50, remaining=49, reset_s=1.5),
        LimitReading(dimension="input_tokens", limit=None, remaining=0, reset_s=None),
        LimitReading(dimension="output_tokens", limit=None, remaining=None, reset_s=0.0),
    )


def test_limits_that_name_the_minute():
    headers = {
        "x-ratelimit-limit-req-minute": "60",
        "x-ratelimit-remaining-req-minute": "58",
        "x-ratelimit-limit-tokens-minute": "100000",
        "x-ratelimit-remaining-tokens-minute": "98188",
        "x-ratelimit-limit-tokens-month": "10000000000",
    }
    assert parse_limits(headers, now_wall=NOW) == (
        LimitReading(dimension="requests", limit=60, remaining=58, reset_s=None),
        LimitReading(dimension="tokens", limit=100_000, remaining=98_188, reset_s=None),
    )


def test_no_limit_headers_are_no_readings():
    assert parse_limits({"content-type": "application/json"}, now_wall=NOW) == ()


NAMES = [
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    *(f"x-ratelimit-{field}-{name}" for field in ("limit", "remaining", "reset") for name in ("requests", "tokens")),
    *(f"anthropic-ratelimit-input-tokens-{field}" for field in ("limit", "remaining", "reset")),
]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda when: when.isoformat()),
    st.from_regex(r"([0-9]{1,20}(\.[0-9]+)?(h|m|s|ms|us|ns)?){1,3}", fullmatch=True),
    st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})"),
)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS), st.floats(0, 1e11))
def test_no_header_raises_and_every_figure_is_usable(headers, now_wall):
    hint = parse_retry(headers, now_wall=now_wall)
    waits = [hint.after_s, *(reading.reset_s for reading in parse_limits(headers, now_wall=now_wall))]
    assert all(wait is None or (math.isfinite(wait) and 0 <= wait <= MAX_WAIT_S) for wait in waits)
    for reading in parse_limits(headers, now_wall=now_wall):
        assert all(count is None or count >= 0 for count in (reading.limit, reading.remaining))
