"""A gate that breaks one rule fails the check of that rule, which says what to change, and no other."""

import math
import time

import hypothesis
import pytest
from attrs import define

from penstock import Gate, GateRefusedError, Permit
from penstock.schema import GateSnapshot
from penstock.testing import GateContract

HUGE = 10**9


@define(eq=False)
class Leave(Permit):
    gate: "Turnstile"

    def settle(self, outcome, now):
        self.gate.settle(outcome)


class Turnstile(Gate):
    """Lets three calls through at once: the sound gate that the others break."""

    name = "turnstile"

    def __init__(self):
        self.limit = 3
        self.inside = 0

    def delay(self, demand, now):
        return 0.0 if self.inside < self.limit else math.inf

    def take(self, demand, now):
        self.inside += 1
        return Leave(self)

    def settle(self, outcome):
        self.inside -= 1
        self.changed()

    def snapshot(self, now):
        return GateSnapshot(name=self.name, match=self.match, used=self.inside, limit=self.limit)


class TurnstileContract(GateContract):
    max_examples = 10

    def make(self):
        return Turnstile()

    def weigh(self, demand):
        return demand.requests


class Nameless(Turnstile):
    name = "gate"


class OpensLate(Turnstile):
    def delay(self, demand, now):
        return max(0.0, 5.0 - now) or super().delay(demand, now)


class GoesBack(Turnstile):
    def delay(self, demand, now):
        return -1.0 if demand.requests == 0 else super().delay(demand, now)


class RefusesSilently(Turnstile):
    def delay(self, demand, now):
        if demand.input_tokens >= HUGE:
            raise GateRefusedError("too large")
        return super().delay(demand, now)


class RefusesUnannounced(Turnstile):
    def delay(self, demand, now):
        if demand.input_tokens >= HUGE:
            raise GateRefusedError("turnstile: too large")
        return super().delay(demand, now)


class Counts(Turnstile):
    asked = 0

    def delay(self, demand, now):
        self.asked += 1
        return super().delay(demand, now)

    def snapshot(self, now):
        return GateSnapshot(name=self.name, match=self.match, reserved=self.asked)


class Tires(Turnstile):
    """Answers otherwise after many questions."""

    asked = 0

    def delay(self, demand, now):
        self.asked += demand.input_tokens >= HUGE
        return super().delay(demand, now) if not self.asked else 7.0


class GoesByTheClock(Turnstile):
    """Three calls in each minute of the clock, whose zero means nothing."""

    def __init__(self):
        super().__init__()
        self.minute = 0.0

    def delay(self, demand, now):
        return 60.0 - now % 60.0 if self.inside >= self.limit and now // 60.0 == self.minute else 0.0

    def take(self, demand, now):
        if now // 60.0 != self.minute:
            self.minute, self.inside = now // 60.0, 0
        return super().take(demand, now)

    def settle(self, outcome):
        self.inside -= not outcome.sent


class NeverOpens(Turnstile):
    def delay(self, demand, now):
        return 0.0 if self.inside < self.limit else 1.0


class Picky(Turnstile):
    def settle(self, outcome):
        known = {"requests": 1, "tokens": 2}
        for reading in outcome.limits:
            known[reading.dimension]
        super().settle(outcome)


class Keeps(Turnstile):
    def settle(self, outcome):
        if outcome.cost_usd is None:
            super().settle(outcome)


class ChargesForNothing(Turnstile):
    def settle(self, outcome):
        if outcome.sent:
            super().settle(outcome)


class Silent(Turnstile):
    def settle(self, outcome):
        self.inside -= 1


class TellsTheLast(Turnstile):
    def watch(self, callback):
        self._watchers = (callback,)


class StandsEverywhere(Turnstile):
    def applies_to(self, model, operation):
        return True


class Negative(Turnstile):
    def snapshot(self, now):
        return GateSnapshot(name=self.name, match=self.match, used=-1.0)


class Ponders(Turnstile):
    def take(self, demand, now):
        time.sleep(0.0003)
        return super().take(demand, now)


class LetsOneMoreThrough(Turnstile):
    def delay(self, demand, now):
        return 0.0 if self.inside <= self.limit else math.inf


class RefusesTheUsual(Turnstile):
    def delay(self, demand, now):
        if demand.output_tokens == 256:
            raise GateRefusedError("turnstile: not you")
        return super().delay(demand, now)


BROKEN = {
    Nameless: ("test_it_has_a_name_and_a_match", "set `name`"),
    OpensLate: ("test_unused_it_lets_a_call_pass", "count time from the first call"),
    GoesBack: ("test_a_delay_is_a_number_of_seconds", "return 0 for now and math.inf"),
    RefusesSilently: ("test_a_refusal_names_the_gate", "put the gate's name"),
    RefusesUnannounced: ("test_a_refusal_names_the_gate", "say may_refuse = True if it should"),
    Counts: ("test_asking_changes_nothing", "move what it books to take()"),
    Tires: ("test_asking_changes_nothing", "move what it books to take()"),
    GoesByTheClock: ("test_time_is_the_one_it_is_told", "count only differences of `now`"),
    NeverOpens: ("test_waiting_as_told_leads_through", "return a delay after which it does"),
    Picky: ("test_settling_never_raises", "pass over what it does not understand"),
    Keeps: ("test_what_was_taken_comes_back", "give back in settle() what take() took"),
    ChargesForNothing: ("test_a_call_that_was_not_sent_takes_nothing", "when outcome.sent is False"),
    Silent: ("test_the_end_of_a_call_wakes_who_waits_for_it", "call self.changed() in settle()"),
    TellsTheLast: ("test_everybody_who_watches_is_told", "call Gate.watch and Gate.changed"),
    StandsEverywhere: ("test_it_stands_where_its_match_says", "leave applies_to to Gate"),
    Negative: ("test_its_snapshot_is_sane", "finite and at least 0"),
    Ponders: ("test_it_costs_microseconds", "keep running sums"),
    LetsOneMoreThrough: ("test_the_state_machine_finds_no_fault", "have delay() add them up"),
    RefusesTheUsual: ("test_a_service_waits_at_it", "let usual ones pass"),
}

# An opening hour is a matter of the clock's zero too.
ALSO = {OpensLate: {"test_time_is_the_one_it_is_told"}}


def contract_of(gate):
    told = {
        "make": staticmethod(gate),
        "may_refuse": gate is RefusesSilently,
        "limit_us": 100.0 if gate is Ponders else TurnstileContract.limit_us,
    }
    if gate is not LetsOneMoreThrough:  # the state machine would find most of the others too
        told["weigh"] = GateContract.weigh
    return type(f"{gate.__name__}Contract", (TurnstileContract,), told)


def test_a_sound_gate_passes_every_check(failed_checks):
    assert failed_checks(TurnstileContract) == {}


@pytest.fixture
def unshrunk():
    """Have hypothesis report what it finds first: to make it smaller takes a while."""
    hypothesis.settings.register_profile("unshrunk", phases=[hypothesis.Phase.generate])
    hypothesis.settings.load_profile("unshrunk")
    yield
    hypothesis.settings.load_profile("penstock")


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize("gate", BROKEN, ids=lambda gate: gate.__name__)
def test_a_broken_gate_fails_the_check_of_its_rule_alone(gate, failed_checks):
    check, remedy = BROKEN[gate]
    failed = failed_checks(contract_of(gate))
    assert set(failed) == {check} | ALSO.get(gate, set()), failed
    assert remedy in failed[check]


def test_each_rule_has_a_gate_that_breaks_it():
    assert {check for check, _ in BROKEN.values()} == {name for name in dir(GateContract) if name.startswith("test")}


def test_the_state_machine_is_skipped_with_a_reason_where_nothing_is_weighed():
    with pytest.raises(pytest.skip.Exception, match=r"NegativeContract defines no weigh\(self, demand\)"):
        contract_of(Negative)().test_the_state_machine_finds_no_fault()


def test_a_suite_for_a_gate_without_the_attribute_limit_asks_for_it():
    with pytest.raises(AssertionError, match="define limit"):
        TurnstileContract().limit(object())
