"""Requests and tokens per day: the last 24 hours, or from midnight to midnight where the provider's day is."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

from attrs import define

from penstock import Demand, Gate, Outcome, Permit
from penstock.schema import GateSnapshot
from penstock_gates.books import Page, Wall, books_of_a_day, utc_now
from penstock_gates.checks import one_of, positive

__all__ = ["DayGate", "RpdGate", "TpdGate"]


@define(eq=False)
class _Taken(Permit):
    """What one attempt took of the day; `spacing` is the seconds that each unit of it was given when spread."""

    gate: DayGate
    page: Page
    amount: int
    spacing: float

    def settle(self, outcome: Outcome, now: float) -> None:  # noqa: ARG002  # the day is the one it was let through in
        self.gate.settle(self, outcome)


class DayGate(Gate):
    """At most `limit` a day. What the day has left may be used at once, unless it is to be spread.

    A call counts in the day in which it was let through. A demand larger than the limit waits for an empty day and
    passes alone. The books live in memory: a new process starts with none. It learns nothing from responses; a 429
    for the day that comes all the same is retried as the retry policy says.

    Args:
        limit: amount per day.
        reset: "rolling" for any 24 hours, "midnight" for the days of `tz`.
        tz: IANA name of the zone whose midnight it is; Google's quotas reset at midnight Pacific time.
        spread: True to pace what is left evenly over what is left of the day.
        name: how it appears in records.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to.
        wall: tells the date, timezone-aware.
    """

    def __init__(
        self,
        limit: int,
        *,
        reset: Literal["rolling", "midnight"] = "rolling",
        tz: str = "America/Los_Angeles",
        spread: bool = False,
        name: str | None = None,
        match: str = "*",
        operation: str = "*",
        wall: Wall = utc_now,
    ) -> None:
        self.limit = int(positive("limit", limit))
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self._books = books_of_a_day(one_of("reset", reset, ("rolling", "midnight")), tz, wall)
        self._spread = spread
        self._next = -math.inf
        self._admitted = self._reserved = self._settled = 0

    @abstractmethod
    def amount(self, demand: Demand) -> int:
        """Return what `demand` takes from the limit."""

    @abstractmethod
    def charged(self, outcome: Outcome) -> int | None:
        """Return what an attempt that was sent has really taken; None when that is unknown or not corrected."""

    def delay(self, demand: Demand, now: float) -> float:
        """Return the seconds until the day has room for `demand`, and if spread, until its turn."""
        self._books.turn(now)
        room = self._books.delay(min(self.amount(demand), self.limit), self.limit, now)
        return max(room, self._next - now, 0.0)

    def take(self, demand: Demand, now: float) -> Permit:
        """Enter `demand` into the books."""
        self._books.turn(now)
        amount = self.amount(demand)
        spacing = self._books.spacing(self.limit, now) if self._spread else 0.0
        if self._spread:
            self._next = max(self._next, now) + min(amount, self.limit) * spacing
        self._admitted += 1
        self._reserved += amount
        return _Taken(self, self._books.reserve(amount, now), amount, spacing)

    def settle(self, taken: _Taken, outcome: Outcome) -> None:
        """Replace what was reserved by what was used."""
        used = self.charged(outcome) if outcome.sent else 0
        if used is None:
            used = taken.amount
        self._books.settle(taken.page, taken.amount, used)
        self._settled += used
        if used < taken.amount:
            self._next -= (taken.amount - used) * taken.spacing
            self.changed()

    def snapshot(self, now: float) -> GateSnapshot:
        """Return what the day has used."""
        self._books.turn(now)
        return GateSnapshot(
            name=self.name,
            match=self.match,
            limit=self.limit,
            used=self._books.used,
            admitted=self._admitted,
            reserved=self._reserved,
            settled=self._settled,
        )


class RpdGate(DayGate):
    """Requests per day. Every attempt counts, failed ones too."""

    name = "rpd"

    def amount(self, demand: Demand) -> int:
        """Return the requests of `demand`: one."""
        return demand.requests

    def charged(self, outcome: Outcome) -> int | None:  # noqa: ARG002  # the contract's; a request is a request
        """Return None: a request that was sent has been counted."""
        return None


class TpdGate(DayGate):
    """Tokens per day: reserved by the provider's estimate, settled to what it counted."""

    name = "tpd"

    def amount(self, demand: Demand) -> int:
        """Return the tokens of `demand`."""
        return demand.tokens

    def charged(self, outcome: Outcome) -> int | None:
        """Return the tokens really used; None, so that the reservation stands, when nothing is known."""
        return None if outcome.used is None else outcome.used.tokens
