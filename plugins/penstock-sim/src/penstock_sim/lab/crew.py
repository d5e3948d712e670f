"""The near side of an experiment: a client that always has more requests, and its books; by which way is left open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable
from typing import Final

from penstock import ErrorType
from penstock.schema import GateSnapshot, GateWait
from penstock_sim.lab.config import LabConfig

__all__ = ["PAUSE_S", "REFUSAL", "Crew"]

PAUSE_S: Final = 1.0
"""After a request that failed without a call, a worker rests, so that time passes in the run."""

REFUSAL: Final = "the lab's server refuses: over its limit"


class Crew(ABC):
    """A closed loop: each worker sends one request after the other, and there are as many as it takes.

    A worker is hired whenever fewer than `backlog` requests that were never refused wait for the gates. So the gates
    always have work, and there are no more workers than requests in flight, backing off and waiting.

    Attributes:
        sent: calls that have left.
        in_flight, most_in_flight: calls that are on their way or with the server.
        finished, given_up: requests that have a result, and those of them that failed.
        most_waiting: requests that were not in flight, at once.
        waits_s: how long requests waited, by the gate that held them.
    """

    def __init__(self, config: LabConfig) -> None:
        self.sent = self.in_flight = self.most_in_flight = 0
        self.finished = self.given_up = self.most_waiting = 0
        self.waits_s: dict[str, array[float]] = {}
        self._refused_before = 0  # requests not in flight that were refused last time
        self._hired = 0
        self._backlog = config.backlog
        self._most = config.task_limit

    @abstractmethod
    def start(self) -> None:
        """Have one more worker begin."""

    @abstractmethod
    def gates(self) -> tuple[GateSnapshot, ...]:
        """Return the client's gates as they stand now."""

    def hire(self) -> None:
        """Hire whoever is needed."""
        waiting = self._hired - self.in_flight
        self.most_waiting = max(self.most_waiting, waiting)
        missing = self._backlog + self._refused_before - waiting
        for _ in range(min(missing, self._most - self._hired)):
            self._hired += 1
            self.start()

    def left(self, *, again: bool) -> None:
        """Count a call that leaves, `again` if the server has refused the request before."""
        self.sent += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._refused_before -= again
        self.hire()

    def back(self, *, refused: bool) -> None:
        """Count a call that is over."""
        self.in_flight -= 1
        self._refused_before += refused

    def ended(self, waits: Iterable[GateWait], failure: ErrorType | None = None, message: str | None = None) -> None:
        """Count a request that is over. Raises RuntimeError for a failure that no experiment should have."""
        self.finished += 1
        if failure is not None:
            self.given_up += 1
            match failure:
                case ErrorType.HTTP_429:
                    self._refused_before -= 1
                case ErrorType.GATE_REFUSED | ErrorType.DEADLINE_EXCEEDED:
                    pass
                case _:
                    raise RuntimeError(f"the experiment has failed: {message}")
        for wait in waits:
            self.waits_s.setdefault(wait.gate, array("d")).append(wait.ms / 1000.0)
