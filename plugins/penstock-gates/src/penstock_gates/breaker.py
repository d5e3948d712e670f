"""A circuit breaker: calls that cannot succeed are not made, and whoever waits to make them hears why at once."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Literal

from attrs import define, field

from penstock import Demand, ErrorType, Gate, GateRefusedError, Outcome, Permit
from penstock.contracts import NEVER
from penstock.schema import GateSnapshot
from penstock_gates.checks import one_of, positive

__all__ = ["BreakerGate"]

FATAL = frozenset(
    {ErrorType.INSUFFICIENT_QUOTA, ErrorType.AUTHENTICATION, ErrorType.PERMISSION, ErrorType.UNSUPPORTED_REGION}
)
"""What no further call will change: somebody has to pay, or to replace a key."""

BROKEN = frozenset({ErrorType.SERVER_ERROR, ErrorType.OVERLOADED, ErrorType.CONNECTION, ErrorType.TIMEOUT})
"""What says that the provider does not work."""

UNTELLING = frozenset(
    {ErrorType.HTTP_429, ErrorType.CANCELLED, ErrorType.DEADLINE_EXCEEDED, ErrorType.UNKNOWN, ErrorType.GATE_REFUSED}
)
"""What says nothing about it. All other failures are answers: of a provider that works, to requests that are wrong."""

SLICES = 10
"""The window of failures moves in so many steps."""


class Verdict(Enum):
    """What an outcome says of the provider."""

    WORKS = "works"
    BROKEN = "broken"
    FATAL = "fatal"
    NOTHING = "nothing"

    @classmethod
    def of(cls, outcome: Outcome) -> Verdict:
        """Judge an outcome. A call that was never sent counts if it is the connection that failed."""
        error = outcome.error_type
        if error in FATAL:
            return cls.FATAL
        if error in BROKEN:
            return cls.BROKEN
        return cls.NOTHING if error in UNTELLING or not outcome.sent else cls.WORKS


@define(eq=False)
class Slice:
    """Calls and failures that ended at about the same time."""

    since: float
    calls: int = 0
    failed: int = 0


@define(eq=False)
class Failures:
    """How many of the calls of the last `window_s` seconds have failed."""

    window_s: float
    calls: int = 0
    failed: int = 0
    _slices: deque[Slice] = field(factory=deque)

    def add(self, now: float, *, failed: bool) -> None:
        """Count a call."""
        while self._slices and self._slices[0].since <= now - self.window_s:
            old = self._slices.popleft()
            self.calls -= old.calls
            self.failed -= old.failed
        if not self._slices or now - self._slices[-1].since >= self.window_s / SLICES:
            self._slices.append(Slice(now))
        self._slices[-1].calls += 1
        self._slices[-1].failed += failed
        self.calls += 1
        self.failed += failed

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
        self.calls = self.failed = 0


@define(eq=False)
class _Pass(Permit):
    """Leave for one call; `era` tells calls that were sent before the breaker last changed its mind."""

    gate: BreakerGate
    era: int

    def settle(self, outcome: Outcome, now: float) -> None:
        self.gate.settle(self, outcome, now)


class BreakerGate(Gate):
    """Closed, calls pass. Open, they are refused, with the reason and for how long. Then a few probes decide.

    It opens at once on a failure that no further call will change: a quota that is used up, a key that is wrong, a
    permission or a region that is missing. It opens when of at least `calls` calls within `window_s` seconds the part
    `share` has failed: server errors, overload, lost connections, timeouts. When its time is over, up to `probes`
    calls pass: all of them must be answered, or it is open again.

    One breaker has one state, so there should be one for each provider, key or model that fails on its own: `match`.

    Args:
        share: the part of calls that must fail.
        calls: of how many at least.
        window_s: within how many seconds.
        cooldown_s: seconds for which it stays open after such failures.
        fatal_cooldown_s: seconds for which it stays open after a failure that no further call will change.
        probes: calls that must be answered before it closes again.
        when_open: "refuse" calls, or have them "wait" for the end of `cooldown_s`; after a failure that no further
            call will change they are refused in any case.
        name: how it appears in records.
        match: the "provider/model" names it applies to.
        operation: the operations it applies to.
    """

    name = "breaker"

    def __init__(
        self,
        *,
        share: float = 0.5,
        calls: int = 20,
        window_s: float = 30.0,
        cooldown_s: float = 30.0,
        fatal_cooldown_s: float = 300.0,
        probes: int = 3,
        when_open: Literal["refuse", "wait"] = "refuse",
        name: str | None = None,
        match: str = "*",
        operation: str = "*",
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must be more than 0 and at most 1, got {share!r}")
        self.share = share
        self.calls = int(positive("calls", calls))
        self.cooldown_s = positive("cooldown_s", cooldown_s)
        self.fatal_cooldown_s = positive("fatal_cooldown_s", fatal_cooldown_s)
        self.probes = int(positive("probes", probes))
        self.name = name or self.name
        self.match = match
        self.operation = operation
        self._waits = one_of("when_open", when_open, ("refuse", "wait")) == "wait"
        self._failures = Failures(positive("window_s", window_s))
        self._why = ""  # it is open; empty while it is closed
        self._until = 0.0
        self._fatal = False
        self._era = 0
        self._probing = self._answered = 0
        self._admitted = 0

    def delay(self, demand: Demand, now: float) -> float:  # noqa: ARG002  # every call is as good as another
        """Return 0 while it is closed, and for probes. Raise GateRefusedError while it is open."""
        if not self._why:
            return 0.0
        rest = self._until - now
        if rest <= 0:
            return 0.0 if self._probing + self._answered < self.probes else NEVER
        if self._waits and not self._fatal:
            return rest
        raise GateRefusedError(f"{self.name}: no calls for another {rest:.0f} s, because of {self._why}")

    def take(self, demand: Demand, now: float) -> Permit:  # noqa: ARG002  # likewise
        """Let a call pass; while the breaker is not closed, as a probe."""
        self._admitted += 1
        if self._why:
            self._probing += 1
        return _Pass(self, self._era)

    def settle(self, passed: _Pass, outcome: Outcome, now: float) -> None:
        """Learn from how a call went, unless it was sent before the breaker last opened or closed."""
        if passed.era != self._era:
            return
        verdict = Verdict.of(outcome)
        error = outcome.error_type
        if verdict is Verdict.FATAL and error is not None:
            self._open(f"{error.value}: {error.remedy}", now, fatal=True)
        elif self._why:
            self._judge_probe(verdict, outcome, now)
        elif verdict is not Verdict.NOTHING:
            self._failures.add(now, failed=verdict is Verdict.BROKEN)
            failed, calls = self._failures.failed, self._failures.calls
            if error in BROKEN and calls >= self.calls and failed >= self.share * calls:
                self._open(f"{failed} failures in {calls} calls, the last one {_name(error)}", now)

    def snapshot(self, now: float) -> GateSnapshot:
        """Return for how many seconds it is still open."""
        rest = max(0.0, self._until - now) if self._why else 0.0
        return GateSnapshot(name=self.name, match=self.match, frozen_s=rest, admitted=self._admitted)

    def _judge_probe(self, verdict: Verdict, outcome: Outcome, now: float) -> None:
        self._probing -= 1
        if verdict is Verdict.BROKEN:
            self._open(f"{_name(outcome.error_type)} when it was tried again", now)
            return
        self._answered += verdict is Verdict.WORKS
        if self._answered >= self.probes:
            self._change("", 0.0, fatal=False)
        self.changed()

    def _open(self, why: str, now: float, *, fatal: bool = False) -> None:
        self._change(why, now + (self.fatal_cooldown_s if fatal else self.cooldown_s), fatal=fatal)
        self.changed()  # those who wait for something else hear it now

    def _change(self, why: str, until: float, *, fatal: bool) -> None:
        self._why, self._until, self._fatal = why, until, fatal
        self._era += 1
        self._probing = self._answered = 0
        self._failures.clear()


def _name(error: ErrorType | None) -> str:
    return error.value if error else "unknown"
