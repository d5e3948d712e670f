"""The limiters under virtual time, against brute force."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_sim.limiters import SERVER_MODELS, FixedWindow, RateLimits, SlidingWindow, TokenBucket, make_limiter


class VirtualClock:
    def __init__(self, now: float = 1_700_000_040.0) -> None:  # the start of a minute
        self.now = now

    def __call__(self) -> float:
        return self.now


LIMITS = st.integers(1, 1000)
# Steps of 1/64 s are exact in floating point, so that brute force and limiter see the same times.
STEPS = st.lists(st.tuples(st.integers(0, 64 * 40), st.integers(1, 300)), max_size=60)


def admitted(limiter, clock, steps):
    """Send a request per step; the (time, amount) of those that passed."""
    passed = []
    for ticks, amount in steps:
        clock.now += ticks / 64
        if limiter.wait_s(amount) == 0:
            limiter.take(amount)
            passed.append((clock.now, amount))
    return passed


@given(LIMITS, st.sampled_from([1, 60]), STEPS)
def test_a_bucket_admits_what_exact_arithmetic_admits(limit, capacity_s, steps):
    clock = VirtualClock()
    bucket = TokenBucket(limit, clock, capacity_s=capacity_s)
    capacity = max(Fraction(1), Fraction(limit * capacity_s, 60))
    level = capacity
    for ticks, amount in steps:
        clock.now += ticks / 64
        level = min(capacity, level + Fraction(ticks, 64) * Fraction(limit, 60))
        missing = min(Fraction(amount), capacity) - level
        passes = bucket.wait_s(amount) == 0
        if abs(missing) > Fraction(1, 1000):  # closer than that, the grace decides
            assert passes == (missing <= 0)
        if passes:
            bucket.take(amount)
            level -= amount


@given(LIMITS, st.sampled_from([1, 60]), STEPS)
def test_a_bucket_is_never_over_its_rate_in_any_stretch_of_time(limit, capacity_s, steps):
    clock = VirtualClock()
    passed = admitted(TokenBucket(limit, clock, capacity_s=capacity_s), clock, steps)
    capacity = max(1.0, limit * capacity_s / 60)
    for first, (start, _) in enumerate(passed):
        total = 0
        for end, amount in passed[first:]:
            total += amount
            assert total - max(0, amount - capacity) <= capacity + (end - start) * limit / 60 + 1e-3


@given(LIMITS, STEPS)
def test_a_sliding_window_is_exact(limit, steps):
    clock = VirtualClock()
    window = SlidingWindow(limit, clock)
    passed: list[tuple[float, int]] = []
    for ticks, amount in steps:
        clock.now += ticks / 64
        used = sum(booked for at, booked in passed if at > clock.now - 60)
        assert (window.wait_s(amount) == 0) == (used + min(amount, limit) <= limit)
        if window.wait_s(amount) == 0:
            window.take(amount)
            passed.append((clock.now, amount))
        in_use = sum(booked for at, booked in passed if at > clock.now - 60)
        assert window.state().remaining == max(0, limit - in_use)


@given(LIMITS, st.sampled_from([10, 60]), STEPS)
def test_a_fixed_window_counts_by_the_wall_clock(limit, window_s, steps):
    clock = VirtualClock()
    window = FixedWindow(limit, clock, window_s=window_s)
    share = max(1, limit * window_s // 60)
    used: dict[int, int] = {}
    for ticks, amount in steps:
        clock.now += ticks / 64
        index = int(clock.now // window_s)
        passes = window.wait_s(amount) == 0
        assert passes == (used.get(index, 0) + min(amount, share) <= share)
        if passes:
            window.take(amount)
            used[index] = used.get(index, 0) + amount


@pytest.mark.parametrize("model", SERVER_MODELS)
@given(limit=LIMITS, steps=STEPS, amount=st.integers(1, 2000))
def test_the_wait_told_is_enough_and_no_longer_than_needed(model, limit, steps, amount):
    clock = VirtualClock()
    limiter = make_limiter(model, limit, clock)
    admitted(limiter, clock, steps)
    wait_s = limiter.wait_s(amount)
    if wait_s > 0.001:
        clock.now += wait_s - 0.001
        assert limiter.wait_s(amount) > 0
        clock.now += 0.001
    else:
        clock.now += wait_s
    assert limiter.wait_s(amount) == 0


@pytest.mark.parametrize("model", SERVER_MODELS)
def test_an_amount_larger_than_the_limit_passes_when_nothing_is_in_use(model):
    clock = VirtualClock()
    limiter = make_limiter(model, 60, clock)
    assert limiter.wait_s(500) == 0
    limiter.take(500)
    assert limiter.state().remaining == 0
    assert limiter.wait_s(1) > 0


def test_the_debt_of_a_large_request_is_paid_before_the_next_one():
    clock = VirtualClock()
    bucket = TokenBucket(60, clock, capacity_s=1)
    bucket.take(31)
    assert bucket.wait_s(1) == pytest.approx(31)


def test_the_reset_of_a_bucket_follows_the_published_headers():
    clock = VirtualClock()
    bucket = TokenBucket(60_000, clock)
    bucket.take(55_213)
    state = bucket.state()
    assert (state.limit, state.remaining) == (60_000, 4_787)
    assert state.reset_s == pytest.approx(55.213)


def test_a_one_second_bucket_refuses_while_its_header_shows_plenty():
    clock = VirtualClock()
    bucket = TokenBucket(600, clock, capacity_s=1)
    bucket.take(10)
    assert bucket.state().remaining == 590
    assert bucket.wait_s(1) == pytest.approx(0.1)


def test_a_tenth_of_a_minute_is_given_every_ten_seconds():
    clock = VirtualClock()
    window = make_limiter("tenths", 600, clock)
    assert len(admitted(window, clock, [(0, 1)] * 200)) == 100
    assert window.wait_s(1) == 10
    assert window.state().limit == 100


def test_a_clock_that_goes_back_gives_nothing_away():
    clock = VirtualClock()
    bucket = TokenBucket(60, clock)
    bucket.take(60)
    clock.now -= 30
    assert bucket.wait_s(1) == pytest.approx(1)
    clock.now += 30
    assert bucket.wait_s(1) == pytest.approx(1)


def test_a_request_takes_from_both_limits_or_from_neither():
    limits = RateLimits("sliding", VirtualClock(), rpm=10, tpm=100)
    assert limits.admit(90).refused_by is None
    refusal = limits.admit(20)
    assert refusal.refused_by == "tokens"
    assert refusal.wait_s == 60
    assert refusal.requests is not None
    assert refusal.requests.remaining == 9
    assert limits.admit(10).refused_by is None


@pytest.mark.parametrize(("count_failed", "left"), [(False, 9), (True, 4)])
def test_refused_requests_count_only_where_the_server_counts_them(count_failed, left):
    limits = RateLimits("full", VirtualClock(), rpm=10, tpm=100, count_failed=count_failed)
    limits.admit(100)
    last = [limits.admit(100) for _ in range(5)][-1]
    assert last.requests is not None
    assert last.requests.remaining == left


def test_hammering_a_bucket_that_counts_refusals_is_never_let_in():
    clock = VirtualClock()
    limits = RateLimits("full", clock, rpm=60, count_failed=True)
    for _ in range(60):
        assert limits.admit(1).refused_by is None
    for _ in range(100):
        clock.now += 0.5
        assert limits.admit(1).refused_by == "requests"
    clock.now += limits.admit(1).wait_s
    assert limits.admit(1).refused_by is None


def test_no_limit_admits_everything_and_shows_nothing():
    admission = RateLimits("full", VirtualClock()).admit(10**9)
    assert (admission.refused_by, admission.requests, admission.tokens) == (None, None, None)


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        make_limiter("full", 0, VirtualClock())
