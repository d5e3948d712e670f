"""The suite of gates."""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from penstock.contracts import NEVER, Gate, Outcome, Permit
from penstock.errors import ErrorType, GateRefusedError
from penstock.schema import Demand, LimitReading
from penstock.service import Service
from penstock.testing.contract import Contract, explained, on_each_loop
from penstock.testing.fakes import ScriptedProvider
from penstock.testing.gate_machine import MOST_ASKED, GateMachine

__all__ = ["GateContract"]

FILL = 200
"""So many calls at most are let through to see what a gate does when it has had enough."""

FAR_S = 1e6
ROUNDS = 2_000

DEMANDS = (
    Demand(),
    Demand(requests=0),
    Demand(input_tokens=1, output_tokens=1, cost_usd=Decimal("0.0001")),
    Demand(input_tokens=10**9, output_tokens=10**9, cost_usd=Decimal(10**6)),
)

READINGS = (
    LimitReading(dimension="requests", limit=0.0, remaining=0.0, reset_s=0.0),
    LimitReading(dimension="tokens", limit=1e12, remaining=-1.0, reset_s=1e9),
    LimitReading(dimension="a dimension of a later version"),
)

OUTCOMES = (
    Outcome(),
    Outcome(sent=False),
    Outcome(sent=False, error_type=ErrorType.CONNECTION),
    Outcome(used=Demand(requests=0), cost_usd=Decimal(0)),
    Outcome(used=Demand(input_tokens=10**9, output_tokens=10**9), cost_usd=Decimal("1e9"), latency_s=1e6),
    Outcome(limits=READINGS),
    *(Outcome(error_type=error_type) for error_type in ErrorType),
    *(Outcome(error_type=ErrorType.HTTP_429, retry_after_s=hint, limits=READINGS) for hint in (None, 0.0, 1.5, 1e9)),
)
"""Everything that can become of a call."""


class GateContract(Contract[Gate], suite=True):
    """Checks a gate. Define `make`; define `weigh` too, and a state machine looks for what the checks do not think of.

    Times are seconds on a clock that the suite turns itself; nothing waits.

    Attributes:
        demand: a usual demand, of which an unused gate lets at least one pass.
        may_refuse: True for a gate that may refuse for good.
        window_s: the window in which the limit holds; `math.inf` for the whole run, None for calls at once.
        rest_s: seconds after which the gate has forgotten everything.
        scale: by what time goes faster in the state machine, for gates that think in days.
        forgets: False for a gate whose books keep what was used for ever.
        max_examples: how many stories the state machine tells.
        limit_us: microseconds that a call may take at the gate, from `delay` to `settle`.
    """

    demand: Demand = Demand(input_tokens=10, output_tokens=10, cost_usd=Decimal("0.001"))
    may_refuse: bool = False
    window_s: float | None = None
    rest_s: float = 2000.0
    scale: float = 1.0
    forgets: bool = True
    max_examples: int = 50
    limit_us: float = 500.0

    def weigh(self, demand: Demand) -> float:
        """Return what `demand` takes from the limit, such as `demand.tokens`; without it there is no state machine."""
        raise NotImplementedError

    def limit(self, gate: Any) -> float:
        """Return the limit that holds now."""
        with explained("the suite asks for gate.limit and gets {!r}; define limit(self, gate) to return it"):
            return float(gate.limit)

    def spent(self, outcome: Outcome, reserved: float) -> float:
        """Return what an ended call has taken; the default is what it reserved, and nothing if it was never sent."""
        return reserved if outcome.sent else 0.0

    def pass_time(self, seconds: float) -> None:
        """Called when time passes; for gates that go by a wall clock as well, which must pass too."""

    def machine(self) -> type[GateMachine]:
        """Return the state machine; override it to return one of your own, with rules of your own."""
        if type(self).weigh is GateContract.weigh:
            pytest.skip(f"{type(self).__name__} defines no weigh(self, demand), so there is no state machine")
        contract = self

        class Machine(GateMachine):
            window_s, rest_s, scale = contract.window_s, contract.rest_s, contract.scale
            may_refuse, forgets = contract.may_refuse, contract.forgets

            def make(self) -> Gate:
                return contract.make()

            def pass_time(self, seconds: float) -> None:
                super().pass_time(seconds)
                contract.pass_time(seconds)

            def weigh(self, demand: Demand) -> float:
                return contract.weigh(demand)

            def limit(self) -> float:
                return contract.limit(self.gate)

            def spent(self, outcome: Outcome, call: Any) -> float:
                return contract.spent(outcome, call.counts)

        return Machine

    # ---------------------------------------------------------------- the checks

    def test_it_has_a_name_and_a_match(self) -> None:
        """A gate has a name of its own, and its match and operation are patterns."""
        gate = self.make()
        for attribute in ("name", "match", "operation"):
            value = getattr(gate, attribute)
            assert isinstance(value, str), f"{attribute} is {value!r}; make it a str"
            assert value, f"{attribute} is empty; the pattern of everything is '*'"
        assert gate.name != Gate.name, "the gate has no name of its own; set `name`, by which waits are recorded"

    def test_unused_it_lets_a_call_pass(self) -> None:
        """A new gate lets a usual call pass at once, at whatever time the clock stands."""
        for now in (0.0, FAR_S):
            delay = self.make().delay(self.demand, now)
            assert delay == 0, (
                f"at {now:g} a new gate answers {delay!r} for {self.demand}; count time from the first call, as the "
                f"clock's zero means nothing, and set `demand` to what it lets pass"
            )

    def test_a_delay_is_a_number_of_seconds(self) -> None:
        """A delay is 0, a number of seconds or infinity for any demand; never negative and never NaN."""
        gate = self.make()
        for demand in (self.demand, *DEMANDS):
            delay = self._delay(gate, demand, 1.0)
            if delay is None:
                continue
            assert isinstance(delay, int | float), f"the delay of {demand} is {delay!r}; return seconds"
            assert delay >= 0, (
                f"the delay of {demand} is {delay!r}; return 0 for now and math.inf for 'not until changed'"
            )

    def test_a_refusal_names_the_gate(self) -> None:
        """A gate that will never let a demand pass raises GateRefusedError with its name in the message."""
        gate = self.make()
        for demand in (self.demand, *DEMANDS):
            try:
                gate.delay(demand, 1.0)
            except GateRefusedError as error:
                assert self.may_refuse, f"it refuses {demand}: {error}; say may_refuse = True if it should"
                assert gate.name in str(error), f"the refusal is {error}; put the gate's name ({gate.name!r}) into it"
            except Exception as error:
                raise AssertionError(
                    f"for {demand} delay() raises {error!r:.200}; raise GateRefusedError for what never passes"
                ) from error

    def test_asking_changes_nothing(self) -> None:
        """`delay` only answers: asked again it answers the same, and its books do not move."""
        gate = self.make()
        self._fill(gate, 1.0)
        before, answer = gate.snapshot(1.0), self._delay(gate, self.demand, 1.0)
        for demand in DEMANDS:
            self._delay(gate, demand, 1.0)
        assert gate.snapshot(1.0) == before, "delay() changed the snapshot; move what it books to take()"
        again = self._delay(gate, self.demand, 1.0)
        assert again == answer, f"asked again it answers {again!r} and not {answer!r}; move what it books to take()"

    def test_time_is_the_one_it_is_told(self) -> None:
        """A gate knows no time but `now`: the same calls a million seconds later get the same delays."""
        told = []
        for start in (0.0, FAR_S):
            gate = self.make()
            self._fill(gate, start)
            told.append([self._delay(gate, self.demand, start + seconds) or 0.0 for seconds in (0.0, 0.5, 7.0, 100.0)])
        assert all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-3) for a, b in zip(*told, strict=True)), (
            f"delays from 0 on: {told[0]}, from {FAR_S:g} on: {told[1]}; count only differences of `now`, and read no "
            f"clock of your own"
        )

    def test_waiting_as_told_leads_through(self) -> None:
        """Who waits for as long as the gate says gets through, or is told to wait for others to end."""
        gate, now = self.make(), 0.0
        permits = self._fill(gate, now)
        for _ in range(MOST_ASKED):
            delay = self._delay(gate, self.demand, now)
            if not delay:
                return
            if delay == NEVER:
                assert permits, "it says to wait for others to end, and there are none"
                return
            step = max(delay, 1e-6)
            now += step
            self.pass_time(step)
        raise AssertionError(
            f"after waiting as told {MOST_ASKED} times (until {now:g} s) a call still does not pass; return a delay "
            f"after which it does"
        )

    def test_settling_never_raises(self) -> None:
        """A permit is settled whatever became of the call: any error, any usage, any reading of the limits."""
        for outcome in OUTCOMES:
            gate = self.make()
            permit = gate.take(self.demand, 1.0)
            assert isinstance(permit, Permit), f"take() returns {permit!r:.100}; return a Permit"
            try:
                permit.settle(outcome, 2.0)
            except Exception as error:
                raise AssertionError(
                    f"settle() raises {error!r:.200} on {outcome}; pass over what it does not understand"
                ) from error
            delay = self._delay(gate, self.demand, 2.0)
            assert delay is None or delay >= 0, f"after {outcome} the delay is {delay!r}"

    def test_what_was_taken_comes_back(self) -> None:
        """Once all calls have ended and `rest_s` has passed, the gate is as good as new."""
        gate = self.make()
        for permit in self._fill(gate, 0.0):
            permit.settle(Outcome(used=Demand(), cost_usd=Decimal(0)), 1.0)
        self.pass_time(1.0 + self.rest_s)
        delay = self._delay(gate, self.demand, 1.0 + self.rest_s)
        assert delay == 0 or not self.forgets, (
            f"{self.rest_s:g} s after the last call a usual one is told {delay!r}; give back in settle() what take() "
            f"took, set rest_s to what it needs, or say forgets = False"
        )

    def test_a_call_that_was_not_sent_takes_nothing(self) -> None:
        """A call that never left gives back all that its permit took."""
        gate = self.make()
        before = self._delay(gate, self.demand, 1.0)
        for _ in range(FILL):
            gate.take(self.demand, 1.0).settle(Outcome(sent=False), 1.0)
        after = self._delay(gate, self.demand, 1.0)
        assert after == before, (
            f"after {FILL} calls that were not sent the delay is {after!r} and not {before!r}; give everything back "
            f"in settle() when outcome.sent is False"
        )

    def test_the_end_of_a_call_wakes_who_waits_for_it(self) -> None:
        """A gate that says `math.inf` calls `changed()` when a waiting call may pass: nobody asks before."""
        gate, woken = self.make(), []
        gate.watch(lambda: woken.append(1))
        permits = self._fill(gate, 0.0)
        if self._delay(gate, self.demand, 0.0) != NEVER:
            pytest.skip("it never says to wait for others to end")
        woken.clear()
        for permit in permits:
            permit.settle(Outcome(used=Demand()), 1.0)
            if self._delay(gate, self.demand, 1.0) != NEVER:
                break
        assert woken, "calls ended, one may pass, and nobody was told; call self.changed() in settle()"

    def test_everybody_who_watches_is_told(self) -> None:
        """`changed` calls all watchers: a gate may stand before several queues."""
        gate, told = self.make(), []
        for watcher in ("first", "second"):
            gate.watch(lambda watcher=watcher: told.append(watcher))  # type: ignore[misc]  # the default binds the name
        gate.changed()
        assert told == ["first", "second"], f"told: {told}; call Gate.watch and Gate.changed if you override them"

    def test_it_stands_where_its_match_says(self) -> None:
        """A gate applies to the models and operations that its patterns match, shell wildcards included."""
        gate = self.make()
        gate.match, gate.operation = "acme/*", "sum*"
        cases = {("acme/large", "summary"): True, ("acme/large", None): False, ("other/large", "summary"): False}
        for (model, operation), expected in cases.items():
            assert gate.applies_to(model, operation) is expected, (
                f"match 'acme/*' and operation 'sum*': applies_to({model!r}, {operation!r}) is not {expected}; leave "
                f"applies_to to Gate, or call it"
            )

    def test_its_snapshot_is_sane(self) -> None:
        """A snapshot has the gate's name and match, and figures that are finite and not negative."""
        gate = self.make()
        for _ in range(3):
            self._fill(gate, 1.0)
            seen = gate.snapshot(1.0)
            assert (seen.name, seen.match) == (gate.name, gate.match), f"snapshot() is of {seen.name!r}, {seen.match!r}"
            figures = [seen.used, seen.pace, seen.frozen_s, seen.reserved, seen.settled, seen.limit or 0.0]
            assert all(math.isfinite(figure) and figure >= 0 for figure in figures), (
                f"{seen}; keep each figure finite and at least 0 (limit may be None)"
            )

    def test_it_costs_microseconds(self) -> None:
        """A gate is arithmetic: what it does for a call takes the same few microseconds after thousands of calls."""
        gate = self.make()
        began, now = time.perf_counter(), 0.0
        for _ in range(ROUNDS):
            now += 0.1
            if self._delay(gate, self.demand, now) == 0:
                gate.take(self.demand, now).settle(Outcome(used=Demand(input_tokens=5)), now)
        took_us = (time.perf_counter() - began) / ROUNDS * 1e6
        assert took_us <= self.limit_us, (
            f"a call takes {took_us:.0f} microseconds; keep running sums in place of lists that are added up, and do "
            f"no I/O"
        )

    def test_the_state_machine_finds_no_fault(self) -> None:
        """Whatever happens, in whatever order, no window holds more than the limit and nobody waits for ever."""
        machine = self.machine()
        slow_machine = [HealthCheck.too_slow]  # says more of the computer than of the gate
        told = settings(
            max_examples=self.max_examples, stateful_step_count=40, deadline=None, suppress_health_check=slow_machine
        )
        run_state_machine_as_test(machine, settings=told)

    @on_each_loop
    async def test_a_service_waits_at_it(self) -> None:
        """In a service requests pass the gate and get their answers."""
        async with Service(providers=[ScriptedProvider()], gates=[self.make()]) as service:
            results = [result async for result in service.generate_many([{"model": "fake/m", "prompt": "hi"}] * 3)]
        failed = [result.error_message for result in results if not result.success]
        assert not failed or self.may_refuse, (
            f"requests failed: {failed}; let usual ones pass, or say may_refuse = True"
        )

    # ---------------------------------------------------------------- how they are made

    def _delay(self, gate: Gate, demand: Demand, now: float) -> float | None:
        """Return the delay, None for a refusal."""
        try:
            return gate.delay(demand, now)
        except GateRefusedError:
            return None

    def _fill(self, gate: Gate, now: float) -> list[Permit]:
        """Let calls through at one moment until no more pass, and return their permits."""
        permits: list[Permit] = []
        while len(permits) < FILL and self._delay(gate, self.demand, now) == 0:
            permits.append(gate.take(self.demand, now))
        return permits
