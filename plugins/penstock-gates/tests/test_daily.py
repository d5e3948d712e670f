"""Days: rolling ones, those of a time zone, and clocks that are set."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock import Demand, Outcome
from penstock_gates import RpdGate, TpdGate
from penstock_gates.books import LOOK_AGAIN_S, SLICE_S, RollingBooks

DAY_S = 86_400.0
ONE = Demand()


class Clocks:
    """A wall clock and a monotonic one that go together until the wall clock is set."""

    def __init__(self, text="2026-03-06T20:00:00+00:00"):
        self.wall = datetime.fromisoformat(text)
        self.now = 1000.0

    def __call__(self):
        return self.wall

    def advance(self, seconds):
        self.now += seconds
        self.wall += timedelta(seconds=seconds)


def wait_for(gate, clocks, demand=ONE):
    """Return the seconds until `demand` passed."""
    began = clocks.now
    while (delay := gate.delay(demand, clocks.now)) > 0:
        clocks.advance(max(delay, 1e-3))
    gate.take(demand, clocks.now)
    return clocks.now - began


def test_a_rolling_day_is_forgotten_as_it_was_filled():
    gate, clocks = RpdGate(2), Clocks()
    assert wait_for(gate, clocks) == 0
    clocks.advance(3600)
    assert wait_for(gate, clocks) == 0
    assert wait_for(gate, clocks) == pytest.approx(DAY_S - 3600, abs=2)
    assert wait_for(gate, clocks) == pytest.approx(3600, abs=2)


@pytest.mark.parametrize(
    ("start", "hours"),
    [("2026-03-08T12:00:00+00:00", 19), ("2026-03-08T08:00:01+00:00", 23), ("2026-11-01T07:00:01+00:00", 25)],
)
def test_midnight_comes_when_it_comes_there_also_when_the_clocks_are_changed(start, hours):
    clocks = Clocks(start)
    gate = RpdGate(1, reset="midnight", wall=clocks)
    assert wait_for(gate, clocks) == 0
    assert wait_for(gate, clocks) == pytest.approx(hours * 3600, abs=2)


def test_a_day_whose_midnight_does_not_exist_begins_with_its_first_moment():
    clocks = Clocks("2026-04-23T12:00:00+00:00")  # in Cairo the 24th begins at one o'clock
    gate = RpdGate(1, reset="midnight", tz="Africa/Cairo", wall=clocks)
    gate.take(ONE, clocks.now)
    wait_for(gate, clocks)
    assert clocks.wall.astimezone(UTC) == pytest.approx(datetime(2026, 4, 23, 22, tzinfo=UTC), abs=timedelta(seconds=1))


def test_a_clock_set_forward_past_midnight_is_noticed_soon():
    clocks = Clocks()
    gate = RpdGate(1, reset="midnight", wall=clocks)
    gate.take(ONE, clocks.now)
    assert gate.delay(ONE, clocks.now) <= LOOK_AGAIN_S
    clocks.wall += timedelta(hours=12)
    assert gate.delay(ONE, clocks.now) == 0


def test_a_clock_set_back_across_midnight_does_not_open_the_day_twice_but_a_wrong_year_is_forgotten():
    clocks = Clocks("2026-03-07T08:00:01+00:00")
    gate = RpdGate(1, reset="midnight", wall=clocks)
    gate.take(ONE, clocks.now)
    clocks.wall -= timedelta(seconds=5)
    assert gate.delay(ONE, clocks.now) > 0
    clocks.wall -= timedelta(days=365)
    assert gate.delay(ONE, clocks.now) == 0


@pytest.mark.parametrize("reset", ["rolling", "midnight"])
def test_a_spread_day_is_even(reset):
    clocks = Clocks("2026-03-06T08:00:00+00:00")
    gate = RpdGate(1440, reset=reset, spread=True, wall=clocks)
    waits = [wait_for(gate, clocks) for _ in range(100)]
    assert waits[0] == 0
    assert waits[1:] == pytest.approx([60.0] * 99, rel=0.01)


def test_what_was_missed_of_a_spread_calendar_day_is_spread_over_the_rest():
    clocks = Clocks("2026-03-06T08:00:00+00:00")
    gate = RpdGate(1440, reset="midnight", spread=True, wall=clocks)
    clocks.advance(DAY_S / 2)
    assert [round(wait_for(gate, clocks)) for _ in range(3)] == [0, 30, 30]


def test_tokens_that_come_back_bring_a_spread_turn_forward():
    clocks = Clocks()
    gate = TpdGate(86_400, spread=True)
    permit = gate.take(Demand(input_tokens=1000), clocks.now)
    assert gate.delay(Demand(input_tokens=1), clocks.now) == pytest.approx(1000)
    permit.settle(Outcome(used=Demand(input_tokens=10)), clocks.now)
    assert gate.delay(Demand(input_tokens=1), clocks.now) == pytest.approx(10)


def test_tokens_are_settled_on_the_day_they_were_let_through():
    clocks = Clocks("2026-03-07T07:59:00+00:00")
    gate = TpdGate(1000, reset="midnight", wall=clocks)
    permit = gate.take(Demand(input_tokens=900), clocks.now)
    clocks.advance(120)
    assert gate.snapshot(clocks.now).used == 0
    permit.settle(Outcome(used=Demand(input_tokens=5000)), clocks.now)
    assert gate.snapshot(clocks.now).used == 0
    assert gate.snapshot(clocks.now).settled == 5000


def test_a_demand_larger_than_a_day_waits_for_an_empty_one_and_passes():
    gate, clocks = TpdGate(1000), Clocks()
    gate.take(Demand(input_tokens=1), clocks.now)
    assert wait_for(gate, clocks, Demand(input_tokens=5000)) == pytest.approx(DAY_S, abs=2)


def test_a_rolling_day_of_a_million_requests_takes_a_thousand_pages():
    gate, now, books = RpdGate(10**9), 0.0, RollingBooks()
    gate._books = books
    while now < 2 * DAY_S:
        now += SLICE_S / 7
        gate.delay(ONE, now)
        gate.take(ONE, now)
    assert len(books._pages) <= 1002


def test_failed_calls_count_and_those_never_sent_do_not():
    gate = RpdGate(10)
    gate.take(ONE, 0.0).settle(Outcome(used=Demand(requests=0)), 1.0)
    gate.take(ONE, 0.0).settle(Outcome(sent=False), 1.0)
    assert gate.snapshot(1.0).used == 1
