"""The far side: limits, a clock of the run, and the books from which the report is made."""

from __future__ import annotations

import random
from array import array
from decimal import Decimal
from typing import Final

from penstock import Demand
from penstock.schema import LimitReading
from penstock_sim.calls import readings_of
from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.workload import Load
from penstock_sim.limiters import MINUTE_S, Admission, RateLimits

__all__ = ["LabServer", "Ledger"]

_FREE: Final = Decimal(0)


class Ledger:
    """What one limit let through: when, and how much."""

    def __init__(self) -> None:
        self.times = array("d")
        self.amounts = array("d")

    def enter(self, at_s: float, amount: int) -> None:
        """Enter an amount that was let through."""
        self.times.append(at_s)
        self.amounts.append(amount)

    def between(self, start_s: float, end_s: float) -> float:
        """Return what was let through from `start_s` until before `end_s`."""
        return sum(n for at, n in zip(self.times, self.amounts, strict=True) if start_s <= at < end_s)

    def percent(self, config: LabConfig, limit: int, start_s: float, end_s: float) -> float:
        """Return the same in percent of what `limit` a minute allows in that time of the run."""
        return 100.0 * self.between(start_s, end_s) / config.allowed(limit, start_s, end_s)

    def most_in_a_minute(self) -> float:
        """Return the most that passed in any minute, wherever it began."""
        most = within = 0.0
        oldest = 0
        for at, amount in zip(self.times, self.amounts, strict=True):
            within += amount
            while self.times[oldest] <= at - MINUTE_S:
                within -= self.amounts[oldest]
                oldest += 1
            most = max(most, within)
        return most


class LabServer:
    """A server of one experiment. Times are seconds since the run began; they never decrease.

    Attributes:
        requests, tokens: what each limit let through.
        sent, answered, refused: counts by minute of the run.
        refused_by: counts by limit.
    """

    def __init__(self, config: LabConfig) -> None:
        self._config = config
        self._random = random.Random(f"server {config.seed}")  # noqa: S311  # repeatable, not secret
        # Windows of real servers do not begin when a program starts.
        self._phase_s = self._random.uniform(0.0, MINUTE_S)
        self._now = 0.0
        self._limits = RateLimits(
            config.server,
            lambda: self._now + self._phase_s,
            rpm=config.rpm,
            tpm=config.tpm,
            count_failed=config.count_failed,
        )
        self._changes_at_s = config.changes_at_s
        self.requests = Ledger()
        self.tokens = Ledger()
        minutes = int(-(-config.duration_s // MINUTE_S))
        self.sent = [0] * minutes
        self.answered = [0] * minutes
        self.refused = [0] * minutes
        self.refused_by = {"requests": 0, "tokens": 0}

    def estimate(self, load: Load) -> Demand:
        """Return what a client expects it to charge: on arrival, and at most later. Nothing costs money here."""
        output = 0 if self._config.charging == "input" else load.max_tokens
        return Demand(input_tokens=load.input_tokens, output_tokens=output, cost_usd=_FREE)

    def charge(self, input_tokens: int, output_tokens: int) -> Demand | None:
        """Return what it has charged an answered request in the end; None for what it charged on arrival."""
        match self._config.charging:
            case "reserve":
                return None
            case "input":
                return Demand(input_tokens=input_tokens)
            case _:
                return Demand(input_tokens=input_tokens, output_tokens=output_tokens)

    def left(self, at_s: float) -> None:
        """Count a request that leaves a client."""
        self.sent[self._minute(at_s)] += 1

    def arrive(self, load: Load, at_s: float) -> Admission:
        """Decide a request that has arrived."""
        self._turn(at_s)
        tokens = load.input_tokens + (load.max_tokens if self._config.charging == "reserve" else 0)
        admission = self._limits.admit(tokens)
        if admission.refused_by is not None:
            self.refused[self._minute(at_s)] += 1
            self.refused_by[admission.refused_by] += 1
        else:
            self.requests.enter(at_s, 1)
            self.tokens.enter(at_s, tokens)
        return admission

    def answer(self, load: Load, at_s: float) -> int:
        """Count an answer and return its output tokens, charging them if the output is charged as it comes."""
        self.answered[self._minute(at_s)] += 1
        output = round(load.max_tokens * self._random.uniform(*self._config.output_used))
        if self._config.charging == "usage":
            self._turn(at_s)
            self._limits.book(output)
            self.tokens.enter(at_s, output)
        return output

    def readings(self, admission: Admission) -> tuple[LimitReading, ...]:
        """Return what the answer's headers say, if there are any."""
        return readings_of(admission) if self._config.headers else ()

    def _turn(self, at_s: float) -> None:
        """Let the time pass, and the limits change when they do."""
        self._now = at_s
        if at_s >= self._changes_at_s:
            self._changes_at_s = float("inf")
            config = self._config
            self._limits.resize(
                rpm=config.limit_after_change(config.rpm) if config.rpm else None,
                tpm=config.limit_after_change(config.tpm) if config.tpm else None,
            )

    def _minute(self, at_s: float) -> int:
        return min(int(at_s // MINUTE_S), len(self.sent) - 1)
