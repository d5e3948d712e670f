"""What gates do is in sight: in the snapshot, in the events, in the lines of sinks and of `penstock run`."""

import json
from typing import ClassVar

import anyio
import pytest

from penstock import GenerationRequest, ProviderError, RpmGate, Service, TpmGate
from penstock.builtin.jsonl_sink import JsonlSink
from penstock.builtin.log_sink import LogSink
from penstock.cli.gates_text import gate_data, gate_lines
from penstock.errors import ErrorType
from penstock.schema import GateSnapshot, Percentiles, StatsTaken
from penstock.testing import RecordingSink, ScriptedProvider
from penstock.testing.fakes import Line

pytestmark = pytest.mark.anyio


def service(*sinks, provider=None, gates=()):
    return Service(
        providers=[provider or ScriptedProvider()], sinks=sinks, gates=gates, default_model="fake/m", costs={}
    )


async def test_a_sink_that_wants_them_gets_the_figures_of_every_gate_while_calls_go_and_at_the_end():
    sink, other = RecordingSink(stats_every_s=10), RecordingSink()
    async with service(sink, other, gates=[RpmGate(60), TpmGate(100_000)]) as s:
        async for _ in s.generate_many(["hello"] * 61):
            pass
    stats = [event.stats for event in sink.events if isinstance(event, StatsTaken)]
    assert len(stats) == 7  # one each 10 s of a minute, and the last
    rpm, tpm = stats[3].gates
    assert rpm.used_share == pytest.approx(0.68, abs=0.05)
    assert rpm.waiting > 10
    assert rpm.blocked_s == pytest.approx(40, abs=2)
    assert rpm.wait_ms.p50
    assert (tpm.admitted, tpm.blocked_s) == (rpm.admitted, 0)
    assert tpm.reserved > tpm.settled > 0
    assert stats[-1].gates[0].admitted == 61
    assert not any(isinstance(event, StatsTaken) for event in other.events)


async def test_an_object_that_only_behaves_like_a_sink_is_one():
    class Plain:
        name = "plain"
        events: ClassVar = []

        def record(self, event):
            self.events.append(event)

        def flush(self):
            pass

        close = flush

    async with service(Plain()) as s:
        assert (await s.generate_output_async("x")).success
    assert len(Plain.events) == 3


async def test_refusals_show_in_the_figures():
    sink = RecordingSink(stats_every_s=1000)
    lines: list[Line] = [ProviderError("slow down", ErrorType.HTTP_429, status_code=429, retry_after_s=5), "ok"]
    async with service(sink, provider=ScriptedProvider(lines), gates=[RpmGate(60)]) as s:
        assert (await s.generate_output_async("x")).success
    last = sink.events[-1]
    assert isinstance(last, StatsTaken)
    [rpm] = last.stats.gates
    assert (rpm.admitted, rpm.refused, rpm.refused_per_thousand) == (2, 1, 500)


async def test_the_jsonl_file_has_them_as_lines_and_no_answers_in_logprobs_or_vectors(tmp_path):
    path = tmp_path / "events.jsonl"
    async with service(JsonlSink(str(path)), gates=[RpmGate(60)]) as s:
        await s.generate_output_async(GenerationRequest(prompt="x"))
    last = [json.loads(line) for line in path.read_text().splitlines()][-1]
    assert last["event"] == "StatsTaken"
    assert last["stats"]["gates"][0]["name"] == "rpm"
    ended = next(line for line in map(json.loads, path.read_text().splitlines()) if line["event"] == "RequestEnded")
    assert not {"logprobs", "embeddings", "content"} & set(ended["result"])


async def test_the_log_line_says_what_waits_and_how_full_the_gates_are(caplog):
    with caplog.at_level("INFO", "penstock.metrics"):
        async with service(LogSink(), gates=[RpmGate(60)]) as s, anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(s.generate_output_async, "x")
    assert caplog.messages[-1].endswith(" waiting=0 rpm=10%/0")


def test_the_summary_of_a_run_has_a_line_for_each_gate_that_had_a_say():
    rpm = GateSnapshot(
        name="rpm",
        limit=600,
        used=588,
        blocked_s=131.2,
        wait_ms=Percentiles(p50=3200.0, p90=6000.0, p99=6100.0),
        admitted=1319,
        refused=2,
        reserved=1319,
        settled=1319,
    )
    tpm = GateSnapshot(name="tpm", limit=100_000, used=20_000, admitted=1319, reserved=5000, settled=4000)
    unused = GateSnapshot(name="tpd", limit=5)
    assert list(gate_lines([rpm, tpm, unused, GateSnapshot(name="run", admitted=3)])) == [
        "  rpm: 98 % of 600 used at the end; in the way for 2 min 11 s; waits p50 3.2 s, p99 6.1 s; 1.5 429s per 1,000",
        "  tpm: 20 % of 100,000 used at the end; reserved 5,000, settled 4,000; 0.0 429s per 1,000",
    ]
    assert gate_data(rpm)["used_share"] == 0.98
    assert json.dumps(gate_data(rpm))
