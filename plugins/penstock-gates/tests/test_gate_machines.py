"""This package's gates, put through everything that can happen to a gate."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from penstock import Demand
from penstock.testing import GateMachine
from penstock_gates import AdaptiveGate, BreakerGate, BudgetGate, ItpmGate, OtpmGate, RpdGate, TpdGate

DAY_S = 86_400.0


class ItpmMachine(GateMachine):
    window_s = 60.0

    def make(self):
        return ItpmGate(500, burst=250)

    def weigh(self, demand):
        return demand.input_tokens

    def spent(self, outcome, call):
        if not outcome.sent:
            return 0
        return call.counts if outcome.used is None else outcome.used.input_tokens


class OtpmMachine(ItpmMachine):
    def make(self):
        return OtpmGate(500, burst=250)

    def weigh(self, demand):
        return demand.output_tokens

    def spent(self, outcome, call):
        if not outcome.sent:
            return 0
        return call.counts if outcome.used is None else outcome.used.output_tokens


class DayMachine(GateMachine):
    """With a wall clock that goes as the monotonic one does, and is set now and then."""

    window_s = DAY_S
    rest_s = 2 * DAY_S
    scale = 500.0
    options: ClassVar[dict[str, Any]] = {"reset": "rolling"}

    def make_with(self, **options):
        raise NotImplementedError

    def make(self):
        self.wall, self.dates = datetime(2026, 3, 6, 20, 30, tzinfo=UTC), {}
        return self.make_with(wall=lambda: self.wall, **self.options)

    def pass_time(self, seconds):
        super().pass_time(seconds)
        self.wall += timedelta(seconds=seconds)


class RpdMachine(DayMachine):
    def make_with(self, **options):
        return RpdGate(12, **options)

    def weigh(self, demand):
        return demand.requests


class SpreadRpdMachine(RpdMachine):
    options: ClassVar[dict[str, Any]] = {"reset": "rolling", "spread": True}


class TpdMachine(DayMachine):
    def make_with(self, **options):
        return TpdGate(2000, **options)

    def weigh(self, demand):
        return demand.tokens

    def spent(self, outcome, call):
        if not outcome.sent:
            return 0
        return call.counts if outcome.used is None else outcome.used.tokens


class CalendarDay(DayMachine):
    """A call counts on the date of its admission where the provider is."""

    options: ClassVar[dict[str, Any]] = {"reset": "midnight", "tz": "America/Los_Angeles"}

    def date(self):
        return self.wall.astimezone(self.gate._books._zone).date()

    def let_through(self, demand):
        call = super().let_through(demand)
        self.dates[call] = self.date()
        return call

    def counts_now(self):
        today = self.date()
        return lambda call: self.dates[call] == today

    @rule(seconds=st.floats(0, 7200))
    def set_forward(self, seconds):
        self.wall += timedelta(seconds=seconds)

    @rule(seconds=st.floats(0, 7200))
    def set_back_within_the_day(self, seconds):
        earlier, later = self.wall - timedelta(seconds=seconds), self.wall
        self.wall = earlier
        if self.date() != later.astimezone(self.gate._books._zone).date():
            self.wall = later


class CalendarRpdMachine(CalendarDay, RpdMachine):
    pass


class CalendarTpdMachine(CalendarDay, TpdMachine):
    pass


class SpreadCalendarTpdMachine(CalendarDay, TpdMachine):
    options: ClassVar[dict[str, Any]] = {"reset": "midnight", "tz": "America/Los_Angeles", "spread": True}


class Money(GateMachine):
    """Calls cost no more than was reserved for them; then the budget holds, in flight and settled."""

    window_s = math.inf
    may_refuse = True
    forgets = False
    smallest = Demand(cost_usd=Decimal(0))

    def make(self):
        return BudgetGate(5)

    def limit(self):
        return 5.0

    def weigh(self, demand):
        return float(demand.cost_usd)

    def spent(self, outcome, call):
        if not outcome.sent:
            return 0
        return call.counts if outcome.cost_usd is None else float(outcome.cost_usd)

    @invariant()
    def it_is_never_overspent(self):
        assert self.taken() <= 5.0 + 1e-9


class DailyMoney(Money, DayMachine):
    forgets = True
    smallest = Demand(cost_usd=Decimal("0.01"))
    may_refuse = False
    window_s = DAY_S

    def make_with(self, **options):
        return BudgetGate(5, per="day", when_spent="wait", **options)

    make = DayMachine.make


class CalendarMoney(CalendarDay, DailyMoney):
    options: ClassVar[dict[str, Any]] = {"reset": "midnight", "tz": "Europe/Berlin"}


class AdaptiveMachine(GateMachine):
    def make(self):
        return AdaptiveGate(start=4, minimum=2, maximum=30)

    def weigh(self, demand):
        return demand.requests

    def end(self, call, outcome):
        woken = self.woken
        super().end(call, outcome)
        assert self.woken > woken
        assert 2 <= self.gate.limit <= 30


class BreakerMachine(GateMachine):
    """It has no limit while it is closed; while it is not, no more than the probes are under way."""

    may_refuse = True
    options: ClassVar[dict[str, Any]] = {"when_open": "refuse"}

    def make(self):
        return BreakerGate(calls=5, probes=2, **self.options)

    def limit(self):
        return 2 if self.gate._why else math.inf

    def weigh(self, demand):
        return demand.requests

    def counts_now(self):
        return lambda call: call in self.open and call.permit.era == self.gate._era


class WaitingBreakerMachine(BreakerMachine):
    options: ClassVar[dict[str, Any]] = {"when_open": "wait"}


MACHINES = [
    ItpmMachine,
    OtpmMachine,
    RpdMachine,
    SpreadRpdMachine,
    TpdMachine,
    CalendarRpdMachine,
    CalendarTpdMachine,
    SpreadCalendarTpdMachine,
    Money,
    DailyMoney,
    CalendarMoney,
    AdaptiveMachine,
    BreakerMachine,
    WaitingBreakerMachine,
]
for machine in MACHINES:
    machine.TestCase.settings = settings(max_examples=50, stateful_step_count=40)
    globals()[f"Test{machine.__name__.removesuffix('Machine')}"] = machine.TestCase
