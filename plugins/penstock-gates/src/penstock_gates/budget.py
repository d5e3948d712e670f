"""A budget in USD: the cost of each call is reserved before it is made, so that money stops before it is overspent."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from typing import Literal

from attrs import define

from penstock import Demand, Gate, GateRefusedError, Outcome, Permit
from penstock.schema import GateSnapshot
from penstock_gates.books import Page, RunBooks, Wall, books_of_a_day, utc_now
from penstock_gates.checks import one_of, positive

__all__ = ["BudgetGate"]

DIGITS = 12
UNITS = 1_000_000_000_000
"""Money is kept in trillionths of a dollar: a price of a hundred-thousandth of a dollar per million tokens counts."""


EXACT = Context(prec=100)
"""So that no thread's own context rounds."""


def _units(usd: Decimal | float) -> int:
    """Return an amount in trillionths of a dollar, rounded up; a float means the decimal it prints as."""
    return math.ceil(EXACT.scaleb(usd if isinstance(usd, Decimal) else Decimal(str(usd)), DIGITS))


def _usd(units: int) -> float:
    return units / UNITS


def _in_words(units: int) -> str:
    return f"{_usd(units):.6f}".rstrip("0").rstrip(".")


@define(eq=False)
class _Reserved(Permit):
    """Money set aside for one attempt."""

    gate: BudgetGate
    page: Page
    units: int

    def settle(self, outcome: Outcome, now: float) -> None:  # noqa: ARG002  # money does not come back with time
        self.gate.settle(self, outcome)


class BudgetGate(Gate):
    """At most `limit_usd` in this run, or in a day.

    Before a call the engine works out what it may cost: its input as estimated, and `max_tokens` of output. So much is
    reserved, and settled to the real cost afterwards; when nobody knows what a call cost, as after a timeout, the
    reservation stands, and a call that was refused or never sent costs nothing. As long as calls cost no more than
    was reserved, the sum never exceeds the budget. Otherwise it does so by no more than what the calls under way cost
    beyond their reservations: with `max_tokens` stated, that is an input estimated too low.

    A call that has no room only because of reservations waits for those calls to finish. When what is spent leaves
    no room for it, it is refused, or waits for the next day; a cheaper call may still fit.

    Args:
        limit_usd: the budget in USD.
        per: "run", or "day".
        reset: of a budget per day: "rolling" for any 24 hours, "midnight" for the days of `tz`.
        tz: IANA name of the zone whose midnight it is.
        when_spent: of a budget per day: "refuse", or "wait" until there is room again.
        unknown: "refuse" calls that have no known price, or take them as "free".
        name: how it appears in records.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to.
        wall: tells the date, timezone-aware.
    """

    name = "budget"
    needs_cost = True

    def __init__(
        self,
        limit_usd: float,
        *,
        per: Literal["run", "day"] = "run",
        reset: Literal["rolling", "midnight"] = "midnight",
        tz: str = "UTC",
        when_spent: Literal["refuse", "wait"] = "refuse",
        unknown: Literal["refuse", "free"] = "refuse",
        name: str | None = None,
        match: str = "*",
        operation: str = "*",
        wall: Wall = utc_now,
    ) -> None:
        self.limit_usd = positive("limit_usd", limit_usd)
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self._limit = _units(limit_usd)
        self._per = one_of("per", per, ("run", "day"))
        of_a_day = books_of_a_day(one_of("reset", reset, ("rolling", "midnight")), tz, wall)
        self._books = RunBooks() if per == "run" else of_a_day
        self._may_wait = one_of("when_spent", when_spent, ("refuse", "wait")) == "wait" and per == "day"
        self._unknown_is_free = one_of("unknown", unknown, ("refuse", "free")) == "free"
        self._admitted = self._reserved = self._settled = 0

    def delay(self, demand: Demand, now: float) -> float:
        """Return 0 while there is room. Raise GateRefusedError when there will be none, or the price is unknown."""
        units = self._asked(demand)
        self._books.turn(now)
        room = self._books.delay(units, self._limit, now)
        if room > 0.0 and self._books.settled + units > self._limit and not self._will_fit(units):
            raise GateRefusedError(
                f"{self.name}: no room in the budget of {self.limit_usd:g} USD per {self._per}: "
                f"{_in_words(self._books.settled)} spent, {_in_words(self._books.reserved)} reserved for calls under "
                f"way, and this call may cost {_in_words(units)}"
            )
        return room

    def take(self, demand: Demand, now: float) -> Permit:
        """Set the money aside."""
        units = self._asked(demand)
        self._books.turn(now)
        self._admitted += 1
        self._reserved += units
        return _Reserved(self, self._books.reserve(units, now), units)

    def settle(self, reserved: _Reserved, outcome: Outcome) -> None:
        """Replace what was set aside by what was spent."""
        spent = 0
        if outcome.sent:
            spent = reserved.units if outcome.cost_usd is None else _units(outcome.cost_usd)
        self._books.settle(reserved.page, reserved.units, spent)
        self._settled += spent
        self.changed()  # there is room, or there will be none: both are news to who waits

    def snapshot(self, now: float) -> GateSnapshot:
        """Return what is spent and reserved, in USD."""
        self._books.turn(now)
        return GateSnapshot(
            name=self.name,
            match=self.match,
            limit=self.limit_usd,
            used=_usd(self._books.used),
            admitted=self._admitted,
            reserved=_usd(self._reserved),
            settled=_usd(self._settled),
        )

    def _asked(self, demand: Demand) -> int:
        if demand.cost_usd is not None:
            return _units(demand.cost_usd)
        if self._unknown_is_free:
            return 0
        raise GateRefusedError(
            f"{self.name}: the model has no known price, and a budget cannot do without: put its prices under [costs] "
            'or in MODEL_COSTS, or let the gate have unknown = "free"'
        )

    def _will_fit(self, units: int) -> bool:
        return self._may_wait and units <= self._limit
