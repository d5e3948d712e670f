"""The built-in gates: requests per minute, tokens per minute, and calls at once. Plain arithmetic on a clock."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque

from attrs import define

from penstock.contracts import NEVER, Gate, Outcome, Permit
from penstock.schema import Demand, GateSnapshot

__all__ = ["ConcurrencyGate", "RpmGate", "TpmGate"]

BURST_S = 0.5
"""The default burst is what the rate gives in this many seconds: half of what a server that counts in seconds allows,
so that jitter on the way may bunch requests and still trip nothing."""

JITTER_S = 0.2
"""How much the way to the server may vary, in seconds; requests sent a window and this much apart arrive apart."""

ROUNDING = 1e-9
"""Amounts this close to each other are the same; sums of floats are not exact."""


def positive(name: str, value: float) -> float:
    """Return `value`; raise ValueError naming `name` unless it is a positive, finite number."""
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be a positive number, got {value!r}; leave the gate out for no limit")
    return value


@define(eq=False)
class _Entry(Permit):
    """One admitted attempt in the books of a gate, and at the same time its permit."""

    at: float
    amount: float
    gate: PacedGate

    def settle(self, outcome: Outcome, now: float) -> None:
        used = self.gate.charged(outcome) if outcome.sent else 0.0
        if used is not None:
            self.gate.correct(self, used, now)


class PacedGate(Gate):
    """At most `limit` in any `window_s` seconds, spread evenly with a small burst.

    Two rules hold together. A log of the last window gives exactness: whatever arrives within `jitter_s` of being
    sent, no sliding window at the server sees more than `limit`. A bucket that fills at the same rate paces what the
    log allows, so that servers that enforce their limit per second are not tripped either.

    A demand larger than the whole limit waits until the window is empty, passes alone, and leaves the gate in debt.

    Args:
        limit: amount per window.
        window_s: seconds.
        burst: amount that may pass at once after a pause; None takes half a second's worth, at least 1.
        jitter_s: seconds by which the way to the server may vary.
        match: the "provider/model" names it applies to.
    """

    def __init__(
        self,
        limit: float,
        *,
        window_s: float = 60.0,
        burst: float | None = None,
        jitter_s: float = JITTER_S,
        match: str = "*",
    ) -> None:
        self.limit = positive("limit", limit)
        self.match = match
        self.window_s = positive("window_s", window_s) + jitter_s
        self.rate = limit / self.window_s
        self.burst = max(1.0, self.rate * BURST_S) if burst is None else positive("burst", burst)
        self._log: deque[_Entry] = deque()
        self._used = 0.0
        self._level = self.burst
        self._level_at = -math.inf

    @abstractmethod
    def amount(self, demand: Demand) -> float:
        """Return what `demand` takes from the limit."""

    @abstractmethod
    def charged(self, outcome: Outcome) -> float | None:
        """Return what an attempt that was sent has really taken; None when that is unknown or not corrected."""

    def delay(self, demand: Demand, now: float) -> float:
        """Return the seconds until both rules let `demand` through."""
        self._advance(now)
        amount = self.amount(demand)
        return max(self._until_paced(amount), self._until_logged(amount, now))

    def take(self, demand: Demand, now: float) -> Permit:
        """Enter `demand` into the log and take it from the bucket."""
        self._advance(now)
        entry = _Entry(now, self.amount(demand), self)
        self._log.append(entry)
        self._used += entry.amount
        self._level -= entry.amount
        return entry

    def correct(self, entry: _Entry, used: float, now: float) -> None:
        """Replace what `entry` reserved by what it `used`."""
        self._advance(now)
        surplus = entry.amount - used
        entry.amount = used
        if entry.at > now - self.window_s:
            self._used -= surplus
        self._level = min(self.burst, self._level + surplus)
        if surplus > 0:
            self.changed()

    def snapshot(self, now: float) -> GateSnapshot:
        """Return what the last window used of the limit."""
        self._advance(now)
        return GateSnapshot(name=self.name, match=self.match, limit=self.limit, used=self._used)

    def _advance(self, now: float) -> None:
        """Fill the bucket, and forget what has left the window: an entry exactly one window old is out."""
        if now > self._level_at:
            self._level = min(self.burst, self._level + (now - self._level_at) * self.rate)
            self._level_at = now
        while self._log and self._log[0].at <= now - self.window_s:
            self._used -= self._log.popleft().amount
        if not self._log:
            self._used = 0.0  # drop what rounding left behind

    def _until_paced(self, amount: float) -> float:
        missing = min(amount, self.burst) - self._level
        return missing / self.rate if missing > ROUNDING else 0.0

    def _until_logged(self, amount: float, now: float) -> float:
        excess = self._used + min(amount, self.limit) - self.limit
        if excess <= ROUNDING:
            return 0.0
        for entry in self._log:
            excess -= entry.amount
            if excess <= ROUNDING:
                return entry.at + self.window_s - now
        return self._log[-1].at + self.window_s - now


class RpmGate(PacedGate):
    """Requests per minute. Every attempt counts, failed ones too, as the providers count them."""

    name = "rpm"

    def amount(self, demand: Demand) -> float:
        """Return the requests of `demand`: one."""
        return demand.requests

    def charged(self, outcome: Outcome) -> float | None:  # noqa: ARG002  # the contract's; a request is a request
        """Return None: a request that was sent has been counted."""
        return None


class TpmGate(PacedGate):
    """Tokens per minute: reserved by the provider's estimate before the call, settled to what it counted after."""

    name = "tpm"

    def amount(self, demand: Demand) -> float:
        """Return the tokens of `demand`."""
        return demand.tokens

    def charged(self, outcome: Outcome) -> float | None:
        """Return the tokens really used; None, so that the reservation stands, when nothing is known."""
        return None if outcome.used is None else outcome.used.tokens


@define(eq=False)
class _Slot(Permit):
    """A place among the calls in flight."""

    gate: ConcurrencyGate
    places: int

    def settle(self, outcome: Outcome, now: float) -> None:  # noqa: ARG002  # the contract's; a slot is just free again
        self.gate.release(self.places)


class ConcurrencyGate(Gate):
    """At most `limit` calls with the provider at once.

    `resize` works at any time: a lower limit takes effect as calls come back, and is never exceeded by new ones.
    """

    name = "concurrency"

    def __init__(self, limit: int, *, match: str = "*") -> None:
        self.limit = int(positive("limit", limit))
        self.match = match
        self.in_flight = 0

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # slots are freed by calls, not by time
        """Return 0 while there is a place; otherwise wait for one to be given back."""
        return 0.0 if self.in_flight + min(demand.requests, self.limit) <= self.limit else NEVER

    def take(self, demand: Demand, now: float) -> Permit:  # noqa: ARG002  # likewise
        """Take a place."""
        self.in_flight += demand.requests
        return _Slot(self, demand.requests)

    def release(self, places: int) -> None:
        """Give places back."""
        self.in_flight -= places
        self.changed()

    def resize(self, limit: int) -> None:
        """Allow `limit` calls at once from now on."""
        self.limit = int(positive("limit", limit))
        self.changed()

    def snapshot(self, now: float) -> GateSnapshot:  # noqa: ARG002  # slots are freed by calls, not by time
        """Return the places taken."""
        return GateSnapshot(name=self.name, match=self.match, limit=self.limit, used=self.in_flight)
