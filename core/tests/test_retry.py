"""Backoff is a pure function, so its tests are tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ErrorType, ProviderError, RetryPolicy
from penstock.retry import backoff, failure_of

OVERLOADED = ProviderError("busy", ErrorType.OVERLOADED)


@pytest.mark.parametrize("error_type", list(ErrorType))
def test_b8_each_error_type_says_whether_it_is_retried_and_what_to_do(error_type):
    assert error_type.remedy.endswith(".")
    wait = backoff(RetryPolicy(), ProviderError("x", error_type), retries=0)
    assert (wait is not None) == error_type.retryable


def test_b9_the_three_types_of_the_seed_keep_their_names_and_values():
    assert ErrorType("unsupported_region") is ErrorType.UNSUPPORTED_REGION
    assert ErrorType("insufficient_quota") is ErrorType.INSUFFICIENT_QUOTA
    assert ErrorType("http_429") is ErrorType.HTTP_429


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_b17_exponential_backoff_has_full_jitter_under_a_doubling_ceiling(retries, draw):
    policy = RetryPolicy(max_retries=1000, base_s=0.5, max_s=60)
    wait = backoff(policy, OVERLOADED, retries=retries, draw=lambda: draw)
    assert wait == pytest.approx(draw * min(60, 0.5 * 2 ** min(retries, 60)))


def test_b17_constant_backoff_waits_the_same_each_time():
    policy = RetryPolicy(strategy="constant", base_s=3, max_retries=9)
    assert [backoff(policy, OVERLOADED, retries=n) for n in range(3)] == [3, 3, 3]


def test_b17_no_strategy_never_waits():
    assert backoff(RetryPolicy(strategy="none", max_retries=9), OVERLOADED, retries=0) is None


def test_b14_retries_are_bounded():
    policy = RetryPolicy(max_retries=2)
    assert backoff(policy, OVERLOADED, retries=1) is not None
    assert backoff(policy, OVERLOADED, retries=2) is None


@given(st.floats(0, 600), st.floats(0, 1, exclude_max=True))
def test_a_hint_is_a_floor_and_jitter_only_adds_to_it(hint, draw):
    failure = ProviderError("slow down", ErrorType.HTTP_429, retry_after_s=hint)
    wait = backoff(RetryPolicy(strategy="constant", base_s=0), failure, retries=0, draw=lambda: draw)
    assert hint <= wait <= hint * 1.1


def test_a_hint_beyond_the_policy_ends_the_request_instead_of_a_wait():
    failure = ProviderError("tomorrow", ErrorType.HTTP_429, retry_after_s=86_400)
    assert backoff(RetryPolicy(), failure, retries=0) is None


@pytest.mark.parametrize(("word", "retried"), [(True, True), (False, False), (None, True)])
def test_the_providers_own_word_wins_over_the_type(word, retried):
    failure = ProviderError("x", ErrorType.HTTP_429, should_retry=word)
    assert (backoff(RetryPolicy(), failure, retries=0) is not None) is retried


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (TimeoutError("late"), ErrorType.TIMEOUT),
        (ConnectionResetError("gone"), ErrorType.CONNECTION),
        (OSError("unreachable"), ErrorType.CONNECTION),
        (ValueError("odd"), ErrorType.UNKNOWN),
        (KeyError(), ErrorType.UNKNOWN),
    ],
)
def test_failure_8_what_no_provider_typed_is_told_apart_by_its_class(error, error_type):
    failure = failure_of(error)
    assert failure.error_type is error_type
    assert type(error).__name__ in str(failure)


@pytest.mark.parametrize("bad", [{"strategy": "hope"}, {"max_retries": -1}, {"base_s": -0.1}])
def test_a_policy_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        RetryPolicy(**bad)
