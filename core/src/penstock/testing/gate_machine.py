"""A state machine that puts any gate through everything that can happen to it. Needs hypothesis.

Subclass it, say how the gate is made and what it must never exceed, and let pytest find its `TestCase`::

    class RpmMachine(GateMachine):
        window_s = 60.0

        def make(self):
            return RpmGate(30)

        def weigh(self, demand):
            return demand.requests

    TestRpm = RpmMachine.TestCase

`GateContract` has it as one of its checks.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.contracts import NEVER, Gate, Outcome, Permit
from penstock.errors import ErrorType, GateRefusedError
from penstock.schema import Demand

__all__ = ["GateMachine"]

MOST_ASKED = 1000
"""So many times at most must a gate be asked, each time after the delay that it gave, until a demand passes."""

TOKENS = st.integers(0, 400)
DEMANDS = st.builds(Demand, input_tokens=TOKENS, output_tokens=TOKENS, cost_usd=st.decimals(0, 2, places=4))
FAILURES = st.sampled_from([error for error in ErrorType if error is not ErrorType.GATE_REFUSED])
SECONDS = st.one_of(st.just(0.0), st.floats(0.0, 2.0), st.floats(0.0, 200.0))


@define(eq=False)
class _Call:
    """An attempt that was let through; `counts` is what it takes from the limit, as far as is known."""

    at: float
    demand: Demand
    permit: Permit
    counts: float


class GateMachine(RuleBasedStateMachine):
    """Lets calls through a gate, ends them in every way, cancels them, lets time pass; and holds the gate to its word.

    - No window ever held more than the limit when a call was let through, except for one call alone.
    - A delay is neither negative nor NaN, asking changes nothing, and its snapshot is sane.
    - Waiting as long as the gate says leads through it, however often it changes its mind on the way.
    - When all calls have ended and `rest_s` has passed, nothing is left in its books and a small demand passes.

    Attributes:
        window_s: the window in which the limit holds; `math.inf` for the whole run, None for calls at once.
        rest_s: seconds after which the gate has forgotten everything.
        scale: by what time goes faster, for gates that think in days.
        may_refuse: True for a gate that may refuse for good.
        forgets: False for a gate whose books keep what was used for ever.
        smallest: a demand that must pass in the end.
    """

    window_s: float | None = None
    rest_s: float = 2000.0
    scale: float = 1.0
    may_refuse: bool = False
    forgets: bool = True
    smallest: Demand = Demand(input_tokens=1, output_tokens=1, cost_usd=Decimal(0))

    def __init__(self) -> None:
        super().__init__()
        self.gate: Any = self.make()  # its tests may look into it
        self.now = 0.0
        self.open: list[_Call] = []
        self.calls: list[_Call] = []
        self.woken = 0
        self.gate.watch(self._wake)

    @abstractmethod
    def make(self) -> Gate:
        """Return a new gate."""

    @abstractmethod
    def weigh(self, demand: Demand) -> float:
        """Return what `demand` takes from the limit."""

    def limit(self) -> float:
        """Return the limit that holds now."""
        return float(self.gate.limit)

    def spent(self, outcome: Outcome, call: _Call) -> float:
        """Return what an ended call has taken; the default is what it reserved, and nothing if it was never sent."""
        return call.counts if outcome.sent else 0.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass; for machines that turn a wall clock as well."""
        self.now += seconds

    def _wake(self) -> None:
        self.woken += 1

    # ---------------------------------------------------------------- what can happen

    @initialize(at=st.floats(0.0, 1e6))
    def begin(self, at: float) -> None:
        """Start at any time."""
        self.pass_time(at)

    @rule(demand=DEMANDS)
    def come(self, demand: Demand) -> None:
        """A call that goes away unless it may pass at once."""
        if self.ask(demand) == 0.0:
            self.let_through(demand)

    @rule(demands=st.lists(DEMANDS, min_size=2, max_size=40))
    def crowd(self, demands: list[Demand]) -> None:
        """Many calls at the same moment."""
        for demand in demands:
            self.come(demand)

    @rule(demand=DEMANDS)
    def queue(self, demand: Demand) -> None:
        """A call that waits as long as it is told, unless it waits for others to end."""
        self.wait_for(demand)

    @rule(seconds=SECONDS)
    def idle(self, seconds: float) -> None:
        """Time."""
        self.pass_time(seconds * self.scale)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=st.integers(0, 500), share=st.decimals(0, 1, places=2), latency=SECONDS)
    def succeed(self, data: st.DataObject, used: int, share: Decimal, latency: float) -> None:
        """An answer: any number of tokens, at no more than the expected cost."""
        call = data.draw(st.sampled_from(self.open))
        cost = (call.demand.cost_usd or Decimal(0)) * share
        self.end(call, Outcome(used=Demand(input_tokens=used, output_tokens=used), cost_usd=cost, latency_s=latency))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), error=FAILURES, known=st.booleans(), hint=st.none() | st.floats(0.0, 100.0))
    def fail(self, data: st.DataObject, error: ErrorType, known: bool, hint: float | None) -> None:  # noqa: FBT001  # drawn
        """A failure, of which it is known or not what it has used."""
        call = data.draw(st.sampled_from(self.open))
        used, cost = (Demand(), Decimal(0)) if known else (None, None)
        self.end(call, Outcome(used=used, cost_usd=cost, error_type=error, retry_after_s=hint))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), error=st.none() | st.just(ErrorType.CONNECTION))
    def never_leave(self, data: st.DataObject, error: ErrorType | None) -> None:
        """A call that was not sent after all: another gate's fault, or no connection."""
        self.end(data.draw(st.sampled_from(self.open)), Outcome(sent=False, error_type=error))

    @precondition(lambda self: self.open)
    @rule()
    def cancel_all(self) -> None:
        """Every call under way is cancelled at once."""
        for call in list(self.open):
            self.end(call, Outcome(error_type=ErrorType.CANCELLED))

    @rule()
    def settle_down(self) -> None:
        """Everything ends and is forgotten, and the gate is as good as new."""
        for call in list(self.open):
            self.end(call, Outcome(used=Demand()))
        self.pass_time(self.rest_s)
        used = self.gate.snapshot(self.now).used
        assert not self.forgets or used == 0, (
            f"idle, and {used} is still in the books; give it back in settle(), or in time"
        )
        if self.wait_for(self.smallest) is None:
            assert self.may_refuse, f"{self.smallest} does not pass an idle gate"

    def teardown(self) -> None:
        """End as every story ends."""
        self.settle_down()

    # ---------------------------------------------------------------- what it is held to

    def ask(self, demand: Demand) -> float | None:
        """Return the gate's delay, twice asked; None when it refuses."""
        answers = [self._one_answer(demand) for _ in range(2)]
        assert answers[0] == answers[1], f"asked twice, answered {answers}; leave the books to take()"
        return answers[0]

    def _one_answer(self, demand: Demand) -> float | None:
        try:
            delay: float = self.gate.delay(demand, self.now)
        except GateRefusedError as refusal:
            assert self.may_refuse, f"refused: {refusal}"
            assert self.gate.name in str(refusal), f"a refusal that does not say whose it is: {refusal}"
            return None
        assert delay >= 0.0, f"a delay of {delay}"
        return delay

    def wait_for(self, demand: Demand) -> _Call | None:
        """Wait as long as the gate says until `demand` passes; None if it is refused or waits for calls to end."""
        for _ in range(MOST_ASKED):
            delay = self.ask(demand)
            if delay is None:
                return None
            if delay == 0.0:
                return self.let_through(demand)
            if delay == NEVER:
                assert self.open, f"{demand} waits for calls under way, and there are none; return seconds, or 0"
                return None
            self.pass_time(max(delay, 1e-6))
        raise AssertionError(f"{demand} has waited {MOST_ASKED} times for as long as it was told")

    def let_through(self, demand: Demand) -> _Call:
        """Take a permit, having made sure that the limit allows it."""
        amount = self.weigh(demand)
        taken = self.taken()
        assert taken + min(amount, self.limit()) <= self.limit() * (1 + 1e-9), (
            f"of {self.limit()} {taken} are taken, and {amount} more are let through; have delay() add them up"
        )
        call = _Call(self.now, demand, self.gate.take(demand, self.now), amount)
        self.open.append(call)
        self.calls.append(call)
        return call

    def end(self, call: _Call, outcome: Outcome) -> None:
        """Settle a call."""
        self.open.remove(call)
        call.permit.settle(outcome, self.now)
        call.counts = self.spent(outcome, call)

    def counts_now(self) -> Callable[[_Call], bool]:
        """Return what says whether a call still counts; the default goes by `window_s`."""
        if self.window_s is None:
            return lambda call: call in self.open
        since = self.now - self.window_s
        return lambda call: call.at > since

    def taken(self) -> float:
        """Return what the limit holds now, by the machine's own books."""
        return math.fsum(filter(None, (call.counts for call in filter(self.counts_now(), self.calls))))

    @invariant()
    def the_snapshot_is_sane(self) -> None:
        """Figures are numbers, and none is negative but a debt paid back."""
        seen = self.gate.snapshot(self.now)
        assert seen.name == self.gate.name
        figures = [seen.used, seen.pace, seen.frozen_s, seen.reserved, seen.settled, seen.limit or 0.0]
        assert all(math.isfinite(figure) and figure >= -1e-6 for figure in figures), seen
        assert 0 <= seen.refused <= seen.admitted or seen.admitted == 0, seen
        assert seen.admitted in {0, len(self.calls)}, seen
