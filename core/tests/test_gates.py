"""The built-in gates are arithmetic on a clock, so their tests are too."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ConcurrencyGate, Demand, Outcome, RpmGate, TpmGate
from penstock.contracts import NEVER


def admit_all(gate, demands, *, now=0.0):
    """Let each demand through as early as the gate allows; return when each one passed."""
    times = []
    for demand in demands:
        while (delay := gate.delay(demand, now)) > 0:
            now += max(delay, 1e-6)
        gate.take(demand, now)
        times.append(now)
    return times


def most_in_any_window(times, amounts, window_s):
    """Return the largest sum of amounts within any half-open window that starts at an admission."""
    return max(sum(amounts[i : bisect_left(times, times[i] + window_s)]) for i in range(len(times)))


@pytest.mark.parametrize("gate", [RpmGate, TpmGate, ConcurrencyGate])
@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf])
def test_b43_a_limit_that_is_no_positive_number_is_refused_by_name(gate, limit):
    with pytest.raises(ValueError, match="limit must be a positive number"):
        gate(limit)


@given(limit=st.integers(1, 2000), count=st.integers(1, 3000))
def test_b16_no_sliding_window_holds_more_requests_than_the_limit(limit, count):
    times = admit_all(RpmGate(limit), [Demand()] * min(count, 3 * limit))
    assert most_in_any_window(times, [1] * len(times), 60.0) <= limit


@given(limit=st.integers(1, 600), chance=st.randoms(use_true_random=False))
def test_b16_nor_does_one_at_the_server_when_the_way_there_jitters(limit, chance):
    times = admit_all(RpmGate(limit), [Demand()] * min(600, 3 * limit))
    arrivals = sorted(at + chance.uniform(0.0, 0.2) for at in times)
    assert most_in_any_window(arrivals, [1] * len(arrivals), 60.0) <= limit


@given(
    limit=st.integers(100, 100_000),
    sizes=st.lists(st.integers(1, 8_000), min_size=1, max_size=200),
)
def test_b16_no_sliding_window_holds_more_tokens_than_the_limit_but_for_one_larger_than_it(limit, sizes):
    times = admit_all(TpmGate(limit), [Demand(input_tokens=size) for size in sizes])
    for i in range(len(times)):
        inside = sizes[i : bisect_left(times, times[i] + 60.0)]
        assert sum(inside) <= limit or len(inside) == 1


def test_b35_a_burst_across_the_edge_of_a_minute_is_limited_all_the_same():
    gate = RpmGate(60, burst=60)
    times = admit_all(gate, [Demand()] * 60, now=59.0)
    assert times[-1] == 59.0
    assert gate.delay(Demand(), 60.5) > 58.0


@pytest.mark.parametrize("limit", [60, 600, 10_000])
def test_b41_a_saturated_gate_uses_nearly_all_of_its_limit(limit):
    times = admit_all(RpmGate(limit), [Demand()] * (limit * 5))
    assert limit * 5 / (times[-1] / 60.0) >= 0.97 * limit


def test_requests_are_spread_so_that_a_server_that_counts_in_seconds_is_not_tripped():
    times = admit_all(RpmGate(600), [Demand()] * 600)
    level = 10.0  # of a server's bucket that holds one second's worth, were every request 0.18 s late and the next not
    for before, at in zip([0.0, *times], times, strict=False):
        level = min(10.0, level + (at - before) * 10.0) - 1.0
        assert level >= 0.18 * 10.0 - 1.0


def test_nor_one_that_checks_a_sixth_of_the_limit_in_ten_seconds():
    times = admit_all(RpmGate(600), [Demand()] * 1800)
    assert most_in_any_window(times, [1] * 1800, 10.2) <= 100


def test_a_wait_is_exact_so_one_timer_is_enough():
    gate = RpmGate(60, burst=1, jitter_s=0)
    gate.take(Demand(), 0.0)
    assert gate.delay(Demand(), 0.25) == pytest.approx(0.75)
    assert gate.delay(Demand(), 1.0) == 0.0


def test_b43_a_demand_larger_than_the_whole_limit_passes_alone_and_leaves_a_debt():
    gate = TpmGate(600, jitter_s=0)
    gate.take(Demand(input_tokens=100), 0.0)
    huge = Demand(input_tokens=6000)
    assert gate.delay(huge, 1.0) == pytest.approx(59.0)
    gate.take(huge, 60.0)
    assert gate.delay(Demand(input_tokens=1), 61.0) > 58.0


def test_tokens_that_were_reserved_and_not_used_come_back():
    gate = TpmGate(1000, burst=1000, jitter_s=0)
    permit = gate.take(Demand(input_tokens=100, output_tokens=900), 0.0)
    assert gate.delay(Demand(input_tokens=500), 1.0) > 0
    permit.settle(Outcome(used=Demand(input_tokens=100, output_tokens=50)), 1.0)
    assert gate.delay(Demand(input_tokens=500), 1.0) == 0.0
    assert gate.snapshot(1.0).used == 150


def test_tokens_used_beyond_the_reservation_are_owed():
    gate = TpmGate(1000, burst=1000, jitter_s=0)
    gate.take(Demand(input_tokens=100), 0.0).settle(Outcome(used=Demand(input_tokens=1500)), 1.0)
    assert gate.snapshot(1.0).used == 1500
    assert gate.delay(Demand(input_tokens=1), 1.0) > 0


def test_a_reservation_stands_when_nobody_knows_what_was_used():
    gate = TpmGate(1000)
    gate.take(Demand(input_tokens=400), 0.0).settle(Outcome(used=None), 1.0)
    assert gate.snapshot(1.0).used == 400


def test_a_permit_for_a_call_that_never_left_gives_everything_back():
    for gate in (RpmGate(10), TpmGate(1000)):
        gate.take(Demand(input_tokens=10), 0.0).settle(Outcome(sent=False), 0.0)
        assert gate.snapshot(0.0).used == 0


def test_failure_6_a_failed_call_still_counts_as_a_request():
    gate = RpmGate(10)
    gate.take(Demand(), 0.0).settle(Outcome(used=Demand(requests=0)), 1.0)
    assert gate.snapshot(1.0).used == 1


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 90)), max_size=100))
def test_the_books_balance_to_zero_once_the_window_has_passed(calls):
    gate, now = TpmGate(10_000), 0.0
    for reserved, used, pause in calls:
        now += pause
        permit = gate.take(Demand(input_tokens=reserved), now)
        now += pause / 2
        permit.settle(Outcome(used=Demand(input_tokens=used)), now)
    assert gate.snapshot(now + 61.0).used == 0
    assert gate.snapshot(now + 61.0 + 1e6).used == 0


def test_failure_5_resizing_the_concurrency_never_lets_more_through_than_the_new_limit():
    gate = ConcurrencyGate(10)
    permits = [gate.take(Demand(), 0.0) for _ in range(10)]
    gate.resize(5)
    for permit in permits[:5]:
        permit.settle(Outcome(), 0.0)
        assert gate.delay(Demand(), 0.0) == NEVER
    permits[5].settle(Outcome(), 0.0)
    assert gate.delay(Demand(), 0.0) == 0.0


def test_a_gate_tells_its_watchers_when_a_slot_is_free_or_the_limit_rises():
    gate, told = ConcurrencyGate(1), []
    gate.watch(lambda: told.append(gate.in_flight))
    gate.take(Demand(), 0.0).settle(Outcome(), 0.0)
    gate.resize(2)
    assert told == [0, 0]
