"""The JSONL sink: whole lines, no content unless asked, and clear errors."""

import json
import math
import os
import resource
import stat
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from penstock.builtin import jsonl_sink
from penstock.builtin.jsonl_sink import JsonlSink
from penstock.metrics import SinkPump
from penstock.schema import (
    AttemptEnded,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    Message,
    PipelineStepResult,
    RequestEnded,
    RequestStarted,
    ResponseFormat,
    StepSpec,
    ToolCall,
    ToolDefinition,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "the secret"


def started(number=0, **fields):
    return RequestStarted(trace_id=str(number), at=AT, model="sim/m", **fields)


def attempt():
    return InvocationAttempt(
        number=1,
        success=True,
        enqueued_at=AT,
        started_at=AT,
        ended_at=AT,
        queue_ms=1.5,
        duration_ms=10.0,
        cost_usd=Decimal("0.000002"),
    )


def ended(**fields):
    """A request that carries the secret in every place that can hold a text of the caller's or the model's."""
    call = ToolCall(id="c1", name="look_up", arguments=SECRET)
    request = GenerationRequest(
        model="sim/m",
        messages=[Message("user", SECRET), Message("assistant", tool_calls=(call,))],
        operation="judge",
        custom_id="row-7",
        metadata={"row": 7},
        stop=SECRET,
        tools=[ToolDefinition(name="look_up", description=SECRET)],
        response_format=ResponseFormat(schema={"title": SECRET}),
        extra={"prediction": SECRET},
        pipeline=[StepSpec(use="judge", options={"prompt": SECRET})],
    )
    step = PipelineStepResult(
        step_name="upper",
        success=True,
        started_at=AT,
        ended_at=AT,
        duration_ms=0.1,
        content_before=SECRET,
        content_after={"found": [SECRET]},
    )
    result = GenerationResult(
        success=True,
        trace_id="t",
        request=request,
        content={"found": [SECRET]},
        raw_content=SECRET,
        reasoning=SECRET,
        refusal=SECRET,
        tool_calls=(call,),
        attempts=(attempt(),),
        pipeline_results=(step,),
        **fields,
    )
    return RequestEnded(trace_id="t", at=AT, result=result)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def sink(path):
    made = JsonlSink(str(path))
    yield made
    made.close()


def test_b46_each_event_is_a_line_that_names_it(sink, path):
    sink.record(started(1, operation="judge"))
    sink.record(AttemptEnded(trace_id="1", at=AT, provider="sim", model="m", attempt=attempt()))
    sink.record(ended())
    sink.flush()
    first, second, third = lines(path)
    assert first == {
        "event": "RequestStarted",
        "trace_id": "1",
        "at": "2026-01-02T00:00:00+00:00",
        "model": "sim/m",
        "operation": "judge",
        "parent_trace_id": None,
    }
    assert (second["event"], second["attempt"]["cost_usd"]) == ("AttemptEnded", "0.000002")
    assert (third["event"], third["result"]["attempts"][0]["queue_ms"]) == ("RequestEnded", 1.5)


def test_prompts_and_answers_are_left_out_unless_asked_for(sink, path):
    sink.record(ended())
    sink.flush()
    assert SECRET not in path.read_text(encoding="utf-8")
    (line,) = lines(path)
    request = line["result"]["request"]
    assert (request["custom_id"], request["operation"], request["metadata"]) == ("row-7", "judge", {"row": 7})
    assert line["result"]["tool_calls"] == [{"id": "c1", "name": "look_up"}]
    assert line["result"]["pipeline_results"][0]["step_name"] == "upper"


def test_b30_with_content_an_event_reads_back_as_it_was(path):
    sink, event = JsonlSink(str(path), content=True), ended()
    sink.record(event)
    sink.close()
    (line,) = lines(path)
    assert line.pop("event") == "RequestEnded"
    assert RequestEnded.from_dict(line) == event


def test_leaving_content_out_does_not_touch_what_events_say_of_themselves(sink):
    sink.record(ended())
    assert ended().to_dict()["result"]["content"] == {"found": [SECRET]}


def test_events_are_appended_to_what_is_there(path):
    for number in range(2):
        sink = JsonlSink(str(path))
        sink.record(started(number))
        sink.close()
    assert [line["trace_id"] for line in lines(path)] == ["0", "1"]


def test_a_line_torn_by_an_earlier_process_spoils_no_other(sink, path):
    path.write_text('{"event": "RequestSta')
    sink.record(started(1))
    sink.flush()
    torn, whole = path.read_text().splitlines()
    assert torn == '{"event": "RequestSta'
    assert json.loads(whole)["trace_id"] == "1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_new_file_is_its_owners_only_and_an_old_one_keeps_its_mode(sink, path):
    sink.record(started())
    sink.flush()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    again = JsonlSink(str(path))
    again.record(started())
    again.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_no_file_is_made_before_the_first_event(sink, path):
    sink.flush()
    sink.close()
    assert not path.exists()


def test_lines_are_buffered_until_the_flush(sink, path):
    sink.record(started())
    assert not path.exists()
    sink.flush()
    assert len(lines(path)) == 1


def test_any_text_makes_valid_json_in_utf_8(sink, path):
    sink.record(started(1, operation="naïve \ud800 \u2028 \x00 \n 日本"))
    sink.record(ended(response_id="x", elapsed_ms=math.inf))
    sink.flush()
    one, two = (json.loads(line) for line in path.read_bytes().decode("utf-8").split("\n")[:-1])
    assert one["operation"] == "naïve \ud800 \u2028 \x00 \n 日本"
    assert two["result"]["elapsed_ms"] is None


def test_an_unwritable_file_is_named_and_the_events_wait_for_it(tmp_path):
    folder = tmp_path / "not yet"
    sink = JsonlSink(str(folder / "events.jsonl"))
    sink.record(started(1))
    with pytest.raises(OSError, match=r"1 events wait.*not yet.events\.jsonl"):
        sink.flush()
    folder.mkdir()
    sink.record(started(2))
    sink.close()
    assert [line["trace_id"] for line in lines(folder / "events.jsonl")] == ["1", "2"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here that is always full")  # noqa: PTH110  # a decorator
def test_a_full_disk_is_counted_by_the_pump_and_hurts_nobody(caplog):
    pump = SinkPump(JsonlSink("/dev/full"))
    pump.put(started())
    assert pump.close(10.0)
    seen = pump.snapshot()
    assert seen.failed >= 1
    assert seen.last_error is not None
    assert "No space left on device; 1 events wait: '/dev/full'" in seen.last_error


def test_beyond_what_may_wait_each_lost_event_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl_sink, "MOST_WAITING_BYTES", 1000)
    sink = JsonlSink(str(tmp_path / "nowhere" / "events.jsonl"))
    lost = 0
    for number in range(100):
        try:
            sink.record(started(number))
        except OSError:
            lost += 1
    (tmp_path / "nowhere").mkdir()
    sink.close()
    assert len(lines(tmp_path / "nowhere" / "events.jsonl")) == 100 - lost
    assert lost > 80


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_line_that_the_disk_took_in_part_is_cut_off_and_written_whole_later(sink, path):
    sink.record(started(0))
    sink.flush()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for number in range(1, 4):
        sink.record(started(number))
    whole = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole * 2 + whole // 2, limits[1]))
    try:
        with pytest.raises(OSError, match=r"2 events wait"):
            sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["trace_id"] for line in lines(path)] == ["0", "1"]
    sink.flush()
    assert [line["trace_id"] for line in lines(path)] == ["0", "1", "2", "3"]


class Pipe:
    """A file that takes a few bytes and then fails once, and that cannot be cut."""

    def __init__(self, room, unlike_it):
        self.taken, self.room, self.failed, self.unlike_it = b"", room, False, unlike_it

    def write(self, data):
        part = bytes(data[: self.room])
        if not part and not self.failed:
            self.failed, self.room = True, 10**6
            raise BrokenPipeError(32, "Broken pipe")
        self.room -= len(part)
        self.taken += part
        return len(part)

    def fileno(self):
        return self.unlike_it.fileno()

    def truncate(self, size):
        raise OSError(22, "Invalid argument")

    def close(self):
        pass


def test_a_line_torn_where_nothing_can_be_cut_is_completed(sink, tmp_path, monkeypatch):
    with (tmp_path / "some file").open("wb") as some_file:
        pipe = Pipe(150, some_file)
        monkeypatch.setattr(jsonl_sink, "_open", lambda _: pipe)
        for number in range(4):
            sink.record(started(number))
        with pytest.raises(OSError, match="Broken pipe"):
            sink.flush()
        sink.flush()
    assert [json.loads(line)["trace_id"] for line in pipe.taken.splitlines()] == ["0", "1", "2", "3"]


def test_closing_twice_is_once(sink, path):
    sink.record(started())
    sink.close()
    sink.close()
    assert len(lines(path)) == 1
