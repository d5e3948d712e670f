"""This package's gates held to the contract of gates; test_gate_machines.py has their state machines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from penstock import Demand
from penstock.testing import GateContract
from penstock_gates import AdaptiveGate, BreakerGate, BudgetGate, ItpmGate, OtpmGate, RpdGate, TpdGate

DAY_S = 86_400.0


class WallGateContract(GateContract):
    """Of gates that go by a wall clock as well: theirs goes as the monotonic one does."""

    rest_s = 2 * DAY_S
    _passed_s = 0.0

    def pass_time(self, seconds):
        self._passed_s += seconds

    def _wall(self):
        return datetime(2026, 3, 6, 12, tzinfo=UTC) + timedelta(seconds=self._passed_s)


class TestItpmGate(GateContract):
    def make(self):
        return ItpmGate(500, burst=250)


class TestOtpmGate(GateContract):
    def make(self):
        return OtpmGate(500, burst=250)


class TestRpdGate(WallGateContract):
    def make(self):
        return RpdGate(12, reset="rolling", wall=self._wall)


class TestTpdGate(WallGateContract):
    def make(self):
        return TpdGate(2000, reset="rolling", wall=self._wall)


class TestRpdGateAtMidnight(WallGateContract):
    def make(self):
        return RpdGate(12, reset="midnight", tz="America/Los_Angeles", wall=self._wall)


class TestBudgetGate(GateContract):
    demand = Demand(input_tokens=10, output_tokens=10, cost_usd=Decimal("0.5"))
    may_refuse = True

    def make(self):
        return BudgetGate(5)


class TestBudgetGateThatWaits(WallGateContract):
    demand = Demand(input_tokens=10, output_tokens=10, cost_usd=Decimal("0.5"))
    may_refuse = True  # a model without a price

    def make(self):
        return BudgetGate(5, per="day", when_spent="wait", wall=self._wall)


class TestAdaptiveGate(GateContract):
    def make(self):
        return AdaptiveGate(start=4, minimum=2, maximum=30)


class TestBreakerGate(GateContract):
    may_refuse = True

    def make(self):
        return BreakerGate(calls=5, probes=2, when_open="refuse")


class TestBreakerGateThatWaits(GateContract):
    def make(self):
        return BreakerGate(calls=5, probes=2, when_open="wait")
