"""What the core brings along, held to the contracts that its plugins are held to."""

from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock import ConcurrencyGate, ErrorType, ProviderError, RpmGate, TpmGate
from penstock.builtin.jsonl_sink import JsonlSink
from penstock.builtin.log_sink import LogSink
from penstock.testing import (
    GateContract,
    ProviderContract,
    RecordingSink,
    ScriptedProvider,
    SinkContract,
    StepContract,
)


class TestRpmGate(GateContract):
    window_s = 60.0
    max_examples = 100

    def make(self):
        return RpmGate(30, burst=10)

    def weigh(self, demand):
        return demand.requests


class TestTpmGate(GateContract):
    window_s = 60.0
    max_examples = 100

    def make(self):
        return TpmGate(1000, burst=500)

    def weigh(self, demand):
        return demand.tokens

    def spent(self, outcome, reserved):
        if not outcome.sent:
            return 0
        return reserved if outcome.used is None else outcome.used.tokens


class TestConcurrencyGate(GateContract):
    max_examples = 100

    def make(self):
        return ConcurrencyGate(5)

    def weigh(self, demand):
        return demand.requests

    def machine(self):
        def resize(machine, limit):
            woken = machine.woken
            machine.gate.resize(limit)
            assert machine.woken > woken

        return type("Resized", (super().machine(),), {"resize": rule(limit=st.integers(1, 20))(resize)})


class TestJsonlSink(SinkContract):
    def make(self):
        return JsonlSink(str(self.new_folder() / "events.jsonl"))

    def written(self, sink):
        return len(sink.path.read_text().splitlines())


class TestJsonlSinkWithContent(TestJsonlSink):
    def make(self):
        return JsonlSink(str(self.new_folder() / "events.jsonl"), content=True)


class TestLogSink(SinkContract):
    def make(self):
        return LogSink(request_level="INFO", file=str(self.new_folder() / "metrics.log"))


class TestRecordingSink(SinkContract):
    def make(self):
        return RecordingSink()

    def written(self, sink):
        return len(sink.events)


class TestFunctionStep(StepContract):
    examples = ((" hi ", "hi"), ("", ""))
    failures = (42,)
    errors = AttributeError

    def make(self):
        def trim(text):
            return text.strip()

        return trim


class TestScriptedProvider(ProviderContract):
    model = "m"
    virtual_time = True
    secret = None
    extras = False
    faults = MappingProxyType({each: each for each in ErrorType})
    stall = "stall"

    def make(self, fault=None):
        line = "a longer answer" if fault in {None, "stall"} else ProviderError("scripted", fault)
        self._provider = ScriptedProvider([line], latency_s=1e6 if fault == "stall" else 0.0)
        return self._provider

    def calls(self):
        return len(self._provider.calls)
