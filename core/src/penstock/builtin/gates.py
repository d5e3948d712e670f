"""The built-in gates: requests per minute, tokens per minute, and calls at once. Plain arithmetic on a clock."""

from __future__ import annotations

from attrs import define

from penstock.builtin.paced import PacedGate, positive
from penstock.contracts import NEVER, Gate, Outcome, Permit
from penstock.schema import Demand, GateSnapshot

__all__ = ["ConcurrencyGate", "RpmGate", "TpmGate"]


class RpmGate(PacedGate):
    """Requests per minute. Every attempt counts, failed ones too, as the providers count them."""

    name = "rpm"
    dimension = "requests"

    def amount(self, demand: Demand) -> float:
        """Return the requests of `demand`: one."""
        return demand.requests

    def charged(self, outcome: Outcome) -> float | None:  # noqa: ARG002  # the contract's; a request is a request
        """Return None: a request that was sent has been counted."""
        return None


class TpmGate(PacedGate):
    """Tokens per minute: reserved by the provider's estimate before the call, settled to what it counted after."""

    name = "tpm"
    dimension = "tokens"

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

    def settle(self, outcome: Outcome, now: float) -> None:  # noqa: ARG002  # the contract's; a slot is just free again
        self.gate.release()


class ConcurrencyGate(Gate):
    """At most `limit` calls with the provider at once.

    `resize` works at any time: a lower limit takes effect as calls come back, and is never exceeded by new ones.
    """

    name = "concurrency"

    def __init__(self, limit: int, *, name: str | None = None, match: str = "*", operation: str = "*") -> None:
        self.limit = int(positive("limit", limit))
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self.in_flight = 0

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # a call is a place, freed by its end
        """Return 0 while there is a place; otherwise wait for one to be given back."""
        return 0.0 if self.in_flight < self.limit else NEVER

    def take(self, demand: Demand, now: float) -> Permit:  # noqa: ARG002  # likewise
        """Take a place."""
        self.in_flight += 1
        return _Slot(self)

    def release(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self.changed()

    def resize(self, limit: int) -> None:
        """Allow `limit` calls at once from now on."""
        self.limit = int(positive("limit", limit))
        self.changed()

    def snapshot(self, now: float) -> GateSnapshot:  # noqa: ARG002  # slots are freed by calls, not by time
        """Return the places taken."""
        return GateSnapshot(name=self.name, match=self.match, limit=self.limit, used=self.in_flight)
