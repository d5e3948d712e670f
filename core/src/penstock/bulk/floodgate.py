"""The gate with which a run stops rows that already wait: closed, it refuses them before they are sent."""

from __future__ import annotations

from penstock.contracts import Gate, Outcome, Permit
from penstock.errors import GateRefusedError
from penstock.schema import Demand

__all__ = ["FloodGate"]


class _Passed(Permit):
    """Leave that takes nothing, so there is nothing to give back."""

    __slots__ = ()

    def settle(self, outcome: Outcome, now: float) -> None:
        """Do nothing."""


PASSED = _Passed()


class FloodGate(Gate):
    """Lets everything through until it is closed, and then nothing, not even what waits at other gates.

    Attributes:
        reason: why it was closed; None while it is open.
    """

    name = "run"

    def __init__(self) -> None:
        self.reason: str | None = None

    def close(self, reason: str) -> None:
        """Refuse every call from now on; the queues are told at once."""
        self.reason = reason
        self.changed()

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # the contract's
        """Return 0; raise GateRefusedError once closed."""
        if self.reason is not None:
            raise GateRefusedError(f"gate 'run': {self.reason}")
        return 0.0

    def take(self, demand: Demand, now: float) -> Permit:  # noqa: ARG002  # the contract's
        """Return leave that takes nothing."""
        return PASSED
