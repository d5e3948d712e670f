"""Admission is one decision: a request waits with nothing in hand, then takes every permit at once.

Requests to which the same gates apply share a scope: one queue, first in first out within a priority. Only the head
of a queue asks the gates, and only the head owns a timer, so twenty thousand waiting requests cost nothing until it
is their turn.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from attrs import define, field, frozen

from penstock.contracts import NEVER, Bell, Clock, Gate, Outcome, Permit
from penstock.discovery import label_of
from penstock.errors import ErrorType, GateRefusedError, ProviderError
from penstock.faults import in_words
from penstock.schema import Demand, GateSnapshot, GateWait, Percentiles
from penstock.turns import Turns

__all__ = ["Admission", "Admitted"]

SHORTEST_WAIT_S = 1e-6
"""Timers are at least this long, so that a rest of one float rounding cannot spin."""

MOST_KNOWN = 1024
"""How many models and operations are remembered with their scope; the rest is looked up each time."""

RECENT_WAITS = 512
"""Over how many recent waits at a gate its percentiles are taken."""


@frozen
class Admitted:
    """Leave for one attempt: all its permits.

    Attributes:
        demand: what was taken.
        enqueued, admitted: monotonic seconds.
    """

    demand: Demand
    enqueued: float
    admitted: float
    _permits: tuple[Permit, ...] = field(alias="permits")
    _gates: tuple[Gate, ...] = field(alias="gates")
    _logger: logging.Logger = field(alias="logger")

    def settle(self, outcome: Outcome, now: float) -> None:
        """Give every permit back; a gate that raises is logged and keeps no other from settling."""
        for permit in self._permits:
            try:
                permit.settle(outcome, now)
            except Exception:  # somebody's gate: its fault must not cost the others their books
                pairs = zip(self._gates, self._permits, strict=False)  # fewer permits, when a later gate broke
                gate = next(gate for gate, its_permit in pairs if its_permit is permit)
                self._logger.exception("%s: its permit could not be settled: %r", label_of("gate", gate), permit)


@define(eq=False)
class _Waiter:
    """A request in a queue; `blocked` is how long each gate had held the queue up when it joined."""

    ask: Callable[[], Demand]
    blocked: tuple[float, ...]
    bell: Bell
    gone: bool = False


class Scope:
    """The queue before one set of gates."""

    def __init__(self, gates: Sequence[Gate], clock: Clock, logger: logging.Logger) -> None:
        self.gates = tuple(gates)
        self.needs_cost = any(gate.needs_cost for gate in gates)
        self.waiting = 0
        self.recent = [deque[float](maxlen=RECENT_WAITS) for _ in self.gates]  # milliseconds waited at each gate
        self._clock = clock
        self._logger = logger
        self._queue: Turns[_Waiter] = Turns()
        self._blocked = [0.0] * len(self.gates)  # seconds for which each gate held the head
        self._binding: int | None = None
        self._since = 0.0

    async def admit(
        self, ask: Callable[[], Demand], waits: list[GateWait], *, priority: float = 1.0, again: bool = False
    ) -> Admitted:
        """Wait for a turn and for every gate, then take all permits in the same instant.

        What is asked for is worked out by `ask` when the turn has come, so that it rests on the latest knowledge.
        What was waited for goes into `waits`, also on cancellation, which leaves no other trace.
        Raises GateRefusedError when a gate will never let it pass, and ProviderError when a gate is broken.
        """
        now = self._clock.now()
        if not self._queue:
            demand = ask()
            delay, _ = self._longest(demand, now)
            if delay <= 0.0:
                return self._take(demand, now, now)
        waiter = _Waiter(ask, tuple(self._blocked_until(now)), self._clock.bell())
        self._queue.push(waiter, priority=priority, first=again)
        self.waiting += 1
        try:
            return await self._turn(waiter, now)
        finally:
            waiter.gone = True
            self.waiting -= 1
            left = self._clock.now()
            waits.extend(self._waits_since(waiter.blocked, left))
            if self._queue.head() is waiter:
                self._hold(None, left)
                self.wake()

    def wake(self) -> None:
        """Have the head ask its gates again."""
        head = self._head()
        if head is not None:
            head.bell.ring()

    def heeds(self, failure: ProviderError, demand: Demand) -> bool:
        """Say whether `failure` is a 429 after which the gates hold everyone back, at least until the provider's hint.

        Who was refused with `demand` then keeps its place at the head of the queue.
        """
        if failure.error_type is not ErrorType.HTTP_429:
            return False
        try:
            delay, _ = self._longest(demand, self._clock.now())
        except GateRefusedError:
            return False
        return delay > 0.0 and delay >= (failure.retry_after_s or 0.0)

    def held_by(self, gate: Gate, now: float) -> tuple[float, Iterable[float]]:
        """Return the seconds for which `gate` has held the head of this queue, and the recent waits there in ms."""
        place = next(number for number, mine in enumerate(self.gates) if mine is gate)
        return self._blocked_until(now)[place], self.recent[place]

    async def _turn(self, waiter: _Waiter, enqueued: float) -> Admitted:
        while True:
            delay = NEVER  # unless it is the head
            if self._head() is waiter:
                now, demand = self._clock.now(), waiter.ask()
                delay, binding = self._longest(demand, now)
                if delay <= 0.0:
                    return self._take(demand, enqueued, now)
                self._hold(binding, now)
            await waiter.bell.wait(max(delay, SHORTEST_WAIT_S))

    def _longest(self, demand: Demand, now: float) -> tuple[float, int | None]:
        """Return the longest delay of all gates, and which gate says so. Raises ProviderError for a broken gate."""
        longest, binding, index = 0.0, None, 0
        try:
            for index, gate in enumerate(self.gates):
                delay = gate.delay(demand, now)
                if delay > longest:
                    longest, binding = delay, index
                elif not delay <= longest:
                    _refuse(delay)
        except GateRefusedError:
            raise
        except Exception as error:
            raise _fault(self.gates[index], "delay", error) from error
        return longest, binding

    def _take(self, demand: Demand, enqueued: float, now: float) -> Admitted:
        permits: list[Permit] = []
        try:
            for gate in self.gates:
                permits.append(gate.take(demand, now))  # noqa: PERF401  # what was taken must be known if one raises
        except BaseException as error:
            Admitted(demand, enqueued, now, tuple(permits), self.gates, self._logger).settle(Outcome(sent=False), now)
            if isinstance(error, Exception):
                raise _fault(self.gates[len(permits)], "take", error) from error
            raise
        return Admitted(demand, enqueued, now, tuple(permits), self.gates, self._logger)

    def _head(self) -> _Waiter | None:
        while self._queue and self._queue.head().gone:
            self._queue.pop()
        return self._queue.head() if self._queue else None

    def _hold(self, binding: int | None, now: float) -> None:
        """From `now` on the head is held by gate number `binding`; the time until now was its predecessor's."""
        self._blocked = self._blocked_until(now)
        self._binding, self._since = binding, now

    def _blocked_until(self, now: float) -> list[float]:
        blocked = list(self._blocked)
        if self._binding is not None:
            blocked[self._binding] += now - self._since
        return blocked

    def _waits_since(self, before: tuple[float, ...], now: float) -> list[GateWait]:
        """Return what held the queue up since `before`, by gate: the wait of one that stood in it all that time."""
        waits = []
        for gate, recent, start, end in zip(self.gates, self.recent, before, self._blocked_until(now), strict=True):
            if end > start:
                waits.append(GateWait(gate.name, 1, (end - start) * 1000.0))
                recent.append(waits[-1].ms)
        return waits


class Admission:
    """Lets attempts through: finds the scope of a model and queues there.

    Usable alone: `await Admission([RpmGate(60)], LoopClock()).admit("openai/gpt-4o", Demand())`.
    """

    def __init__(self, gates: Iterable[Gate], clock: Clock, *, logger: logging.Logger | None = None) -> None:
        self.gates = tuple(gates)
        self._clock = clock
        self._logger = logger or logging.getLogger(__name__)
        self._scopes: dict[tuple[int, ...], Scope] = {}
        self._known: dict[tuple[str, str | None], Scope] = {}

    @property
    def waiting(self) -> int:
        """How many attempts are in a queue now."""
        return sum(scope.waiting for scope in self._scopes.values())

    async def admit(
        self,
        model: str,
        demand: Demand,
        *,
        waits: list[GateWait] | None = None,
        operation: str | None = None,
        priority: float = 1.0,
        again: bool = False,
    ) -> Admitted:
        """Wait until every gate that applies lets `demand` through.

        Args:
            model: "provider/model".
            demand: what the attempt asks for.
            waits: gets what held it up, whether or not it gets through.
            operation: the request's operation.
            priority: its share of turns, as a weight.
            again: True for an attempt that a provider refused and that keeps its place at the head.
        """
        scope = self.scope_of(model, operation)
        return await scope.admit(lambda: demand, [] if waits is None else waits, priority=priority, again=again)

    def scope_of(self, model: str, operation: str | None = None) -> Scope:
        """Return the queue that calls of `model` for `operation` wait in. Raises ProviderError for a broken gate."""
        scope = self._known.get((model, operation))
        if scope is None:
            numbers = tuple(n for n, gate in enumerate(self.gates) if _applies(gate, model, operation))
            scope = self._scopes.get(numbers)
            if scope is None:
                scope = Scope([self.gates[n] for n in numbers], self._clock, self._logger)
                for gate in scope.gates:
                    _watch(gate, scope.wake)
                self._scopes[numbers] = scope
            if len(self._known) < MOST_KNOWN:
                self._known[model, operation] = scope
        return scope

    def snapshot(self, now: float) -> tuple[GateSnapshot, ...]:
        """Return each gate's figures, with the queues that it stands before."""
        return tuple(self._seen(gate, now) for gate in self.gates)

    def _seen(self, gate: Gate, now: float) -> GateSnapshot:
        scopes = [scope for scope in self._scopes.values() if any(mine is gate for mine in scope.gates)]
        held = [scope.held_by(gate, now) for scope in scopes]
        try:
            figures = gate.snapshot(now)
        except Exception:  # somebody's gate: its fault must not cost the others their figures
            self._logger.exception("%s could not tell its figures", label_of("gate", gate))
            figures = GateSnapshot(name=gate.name)
        return figures.replace(
            waiting=sum(scope.waiting for scope in scopes),
            blocked_s=sum(seconds for seconds, _ in held),
            wait_ms=Percentiles.of(wait for _, recent in held for wait in recent),
        )


# ---------------------------------------------------------------- gates that break their contract


def _fault(gate: Gate, method: str, error: Exception) -> ProviderError:
    """Return why nothing passes: which gate of which plugin broke, and how."""
    return ProviderError(
        f"{label_of('gate', gate)} raised {in_words(error)}, in {method}", ErrorType.UNKNOWN, sent=False
    )


def _refuse(delay: float) -> None:
    raise ValueError(f"{delay} is no delay")


def _applies(gate: Gate, model: str, operation: str | None) -> bool:
    try:
        return gate.applies_to(model, operation)
    except Exception as error:
        raise _fault(gate, "applies_to", error) from error


def _watch(gate: Gate, callback: Callable[[], None]) -> None:
    try:
        gate.watch(callback)
    except Exception as error:
        raise _fault(gate, "watch", error) from error
