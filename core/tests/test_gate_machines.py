"""The built-in gates, put through everything that can happen to a gate."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock import ConcurrencyGate, RpmGate, TpmGate
from penstock.testing.gates import GateMachine


class RpmMachine(GateMachine):
    window_s = 60.0

    def make(self):
        return RpmGate(30, burst=10)

    def weigh(self, demand):
        return demand.requests


class TpmMachine(GateMachine):
    window_s = 60.0

    def make(self):
        return TpmGate(1000, burst=500)

    def weigh(self, demand):
        return demand.tokens

    def spent(self, outcome, call):
        if not outcome.sent:
            return 0
        return call.counts if outcome.used is None else outcome.used.tokens


class ConcurrencyMachine(GateMachine):
    def make(self):
        return ConcurrencyGate(5)

    def weigh(self, demand):
        return demand.requests

    @rule(limit=st.integers(1, 20))
    def resize(self, limit):
        woken = self.woken
        self.gate.resize(limit)
        assert self.woken > woken


for machine in (RpmMachine, TpmMachine, ConcurrencyMachine):
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)

TestRpm = RpmMachine.TestCase
TestTpm = TpmMachine.TestCase
TestConcurrency = ConcurrencyMachine.TestCase
