"""The contract that penstock holds every gate to, and what this one does of its own."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock import Demand, Outcome
from penstock.testing import GateContract, GateMachine

from penstock_example_hours import HoursGate, HoursSettings

MONDAY_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
OFFICE = HoursSettings(opens="08:00", closes="18:00", days=("mon", "tue", "wed", "thu", "fri"))
NIGHT = HoursSettings(opens="22:30", closes="06:00", tz="Europe/Berlin")


def gate_at(wall: datetime, settings: HoursSettings = OFFICE) -> HoursGate:
    return HoursGate(settings, _utc=lambda: wall)


class OfficeMachine(GateMachine):
    """Lets hours and days pass, and looks at the wall clock whenever a call is let through."""

    scale = 300.0

    def make(self) -> HoursGate:
        self.wall = MONDAY_NOON
        return HoursGate(OFFICE, _utc=lambda: self.wall)

    def weigh(self, demand: Demand) -> float:
        return 1.0

    def limit(self) -> float:
        return math.inf

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        self.wall += timedelta(seconds=seconds)

    def let_through(self, demand: Demand) -> Any:
        assert self.wall.weekday() < 5, f"let through on {self.wall}"
        assert 8 <= self.wall.hour < 18, f"let through at {self.wall}"
        return super().let_through(demand)


class TestHoursGate(GateContract):
    def make(self) -> HoursGate:
        return gate_at(MONDAY_NOON)

    def machine(self) -> type[GateMachine]:
        return OfficeMachine


@pytest.mark.parametrize(
    ("wall", "delay"),
    [
        ("2026-01-05T07:59:30Z", 30.0),
        ("2026-01-05T08:00:00Z", 0.0),
        ("2026-01-05T17:59:59Z", 0.0),
        ("2026-01-05T18:00:00Z", 600.0),
        ("2026-01-09T18:00:00Z", 600.0),  # a Friday
        ("2026-01-10T12:00:00Z", 600.0),
        ("2026-01-12T07:55:00Z", 300.0),
    ],
)
def test_it_is_open_in_office_hours(wall: str, delay: float) -> None:
    assert gate_at(datetime.fromisoformat(wall)).delay(Demand(), 0.0) == delay


@pytest.mark.parametrize(
    ("wall", "delay"),
    [
        ("2026-01-05T22:29:00", 60.0),
        ("2026-01-05T23:00:00", 0.0),
        ("2026-01-06T05:59:59", 0.0),
        ("2026-01-06T06:00:00", 600.0),
        ("2026-03-29T05:59:59", 0.0),  # an hour is missing in this night
        ("2026-10-25T05:59:59", 0.0),  # and comes twice in this one
    ],
)
def test_a_night_ends_on_the_day_after_as_the_wall_clock_has_it(wall: str, delay: float) -> None:
    local = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert gate_at(local.astimezone(UTC), NIGHT).delay(Demand(), 0.0) == delay


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday = HoursSettings(opens="22:00", closes="06:00", days=("fri",))
    assert gate_at(datetime(2026, 1, 10, 3, tzinfo=UTC), friday).delay(Demand(), 0.0) == 0
    assert gate_at(datetime(2026, 1, 9, 3, tzinfo=UTC), friday).delay(Demand(), 0.0) == 600


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.sampled_from([OFFICE, NIGHT]))
def test_who_waits_as_told_gets_through_and_not_before(naive: datetime, settings: HoursSettings) -> None:
    wall = naive.replace(tzinfo=UTC)
    while delay := gate_at(wall, settings).delay(Demand(), 0.0):
        assert 0 < delay <= 600
        assert gate_at(wall + timedelta(seconds=delay / 2), settings).delay(Demand(), 0.0) > 0
        wall += timedelta(seconds=delay)


def test_it_counts_the_calls_under_way() -> None:
    gate = gate_at(MONDAY_NOON)
    permit = gate.take(Demand(), 0.0)
    assert gate.snapshot(0.0).used == 1
    permit.settle(Outcome(), 1.0)
    assert gate.snapshot(1.0).used == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"opens": "8", "closes": "18:00"},
        {"opens": "08:00", "closes": "25:00"},
        {"opens": "08:00", "closes": "08:00"},
        {"opens": "08:00", "closes": "18:00", "tz": "Europe/Atlantis"},
        {"opens": "08:00", "closes": "18:00", "tz": "../etc"},
        {"opens": "08:00", "closes": "18:00", "days": ("monday",)},
        {"opens": "08:00", "closes": "18:00", "days": ()},
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        HoursGate(HoursSettings(**wrong))
