"""Sliding windows and percentiles, against a reference that counts by brute force."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.metrics import Window
from penstock.schema import Percentiles

steps = st.lists(
    st.tuples(st.integers(0, 200).map(lambda tenths: tenths / 10), st.integers(0, 5000)), min_size=1, max_size=200
)


@given(steps=steps, window_s=st.sampled_from([0.5, 1.0, 7.0, 60.0]), pause_s=st.sampled_from([0.0, 0.5, 6.9, 60.0]))
def test_b34_b35_a_window_agrees_with_counting_by_hand(steps, window_s, pause_s):
    window, seen, now = Window(window_s), [], 0.0
    for pause, amount in steps:
        now += pause
        window.add(now, amount)
        seen.append((now, amount))
    now += pause_s
    inside = [(at, amount) for at, amount in seen if now - at < window_s]
    assert window.count_per_minute(now) == len(inside) * 60 / window_s
    assert window.total_per_minute(now) == sum(amount for _, amount in inside) * 60 / window_s
    assert list(window.times) == [at for at, _ in inside]


@given(steps=steps, limit=st.integers(1, 50))
def test_b34_memory_is_bounded_on_writing_alone_and_the_sum_fits_what_is_kept(steps, limit):
    window, now = Window(60.0, limit=limit), 0.0
    kept: deque[tuple[float, int]] = deque(maxlen=limit)
    for pause, amount in steps:
        now += pause
        window.add(now, amount)
        kept.append((now, amount))
        assert len(window.times) <= limit
    assert window.total == sum(amount for at, amount in kept if now - at < 60.0)


def test_b34_an_entry_exactly_as_old_as_the_window_is_out():
    window = Window(60.0)
    window.add(0.0, 10)
    assert window.count_per_minute(59.999) == 1
    assert window.count_per_minute(60.0) == 0
    assert window.total == 0
    assert not window.times


def test_b35_a_burst_across_the_turn_of_a_minute_shows_as_one():
    window = Window(60.0)
    for at in (59.0, 59.5, 60.5, 61.0):
        window.add(at)
    assert window.count_per_minute(61.0) == 4
    assert window.count_per_minute(119.4) == 3


def test_b34_rates_are_per_minute_whatever_the_window():
    window = Window(1.0)
    for tenth in range(10):
        window.add(tenth / 10, 5)
    assert window.count_per_minute(0.95) == 600
    assert window.total_per_minute(0.95) == 3000


def test_b34_rates_stay_right_beyond_the_bound_on_entries():
    window = Window(60.0, limit=100)
    for tenth in range(600):
        window.add(tenth / 10, 7)
    assert window.count_per_minute(59.9) == pytest.approx(600, rel=0.02)
    assert window.total_per_minute(59.9) == pytest.approx(4200, rel=0.02)


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_a_window_without_length_is_refused(wrong):
    with pytest.raises(ValueError, match="above 0"):
        Window(wrong)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_percentile_is_the_least_value_that_covers_its_share(sample):
    found = Percentiles.of(sample)
    for share, value in ((50, found.p50), (90, found.p90), (99, found.p99)):
        covered = [each for each in sorted(sample) if 100 * sum(one <= each for one in sample) >= share * len(sample)]
        assert value == covered[0]


def test_an_empty_sample_has_no_percentiles():
    assert Percentiles.of([]) == Percentiles(p50=None, p90=None, p99=None)
