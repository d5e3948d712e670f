"""The pump that carries events to a sink: it never hurts, and it loses nothing without counting it."""

import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from penstock.contracts import MetricsSink
from penstock.metrics import SinkPump
from penstock.metrics import pump as pump_module
from penstock.schema import Event, RequestStarted

AT = datetime(2026, 1, 2, tzinfo=UTC)
LONG_S = 10.0


def event(number=0):
    return RequestStarted(trace_id=str(number), at=AT)


class ListSink(MetricsSink):
    name = "list"

    def __init__(self):
        self.events: list[Event] = []
        self.calls: list[str] = []

    def record(self, event):
        self.events.append(event)

    def flush(self):
        self.calls.append("flush")

    def close(self):
        self.calls.append("close")


class StuckSink(ListSink):
    """Hangs in its first record until it is let go."""

    def __init__(self):
        super().__init__()
        self.reached, self.let_go = threading.Event(), threading.Event()

    def record(self, event):
        self.reached.set()
        self.let_go.wait()
        super().record(event)


class RaisingSink(ListSink):
    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)

    def record(self, event):
        if self.errors:
            raise self.errors.pop(0)
        super().record(event)


class Ear(logging.Logger):
    """Keeps what is said to it, and passes nothing on."""

    def __init__(self, lines):
        super().__init__("ear")
        self.lines = lines

    def handle(self, record):
        self.lines.append(record.getMessage())


def test_events_arrive_in_order_and_are_flushed():
    pump = SinkPump(sink := ListSink())
    told = [event(number) for number in range(500)]
    for each in told:
        pump.put(each)
    assert pump.flush(LONG_S)
    assert sink.events == told
    assert sink.calls[-1] == "flush"
    assert pump.snapshot().recorded == 500
    assert pump.close(LONG_S)


def test_no_thread_runs_before_the_first_event():
    threads = threading.active_count()
    pump = SinkPump(ListSink())
    assert threading.active_count() == threads
    assert pump.flush(0)
    pump.put(event())
    assert threading.active_count() == threads + 1
    assert pump.close(LONG_S)
    assert threading.active_count() == threads


def test_close_empties_the_buffer_then_flushes_then_closes_once():
    pump = SinkPump(sink := ListSink())
    for number in range(50):
        pump.put(event(number))
    assert pump.close(LONG_S)
    assert pump.close(LONG_S)
    assert len(sink.events) == 50
    assert sink.calls[-2:] == ["flush", "close"]
    assert sink.calls.count("close") == 1


def test_a_sink_that_saw_no_event_is_closed_all_the_same():
    pump = SinkPump(sink := ListSink())
    assert pump.close(LONG_S)
    assert sink.calls == ["flush", "close"]


def test_a_full_buffer_drops_the_newest_and_counts_them():
    pump = SinkPump(sink := StuckSink(), capacity=3)
    pump.put(event(0))
    assert sink.reached.wait(LONG_S)
    for number in range(1, 10):
        pump.put(event(number))
    sink.let_go.set()
    assert pump.close(LONG_S)
    assert [each.trace_id for each in sink.events] == ["0", "1", "2", "3"]
    assert (pump.snapshot().recorded, pump.snapshot().dropped) == (4, 6)


def test_an_event_after_the_close_is_dropped_and_counted():
    pump = SinkPump(ListSink())
    pump.close(LONG_S)
    pump.put(event())
    assert pump.snapshot().dropped == 1


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1), KeyboardInterrupt()])
def test_a_raising_sink_is_counted_and_goes_on_getting_events(error, caplog):
    pump = SinkPump(sink := RaisingSink(error))
    for number in range(3):
        pump.put(event(number))
    assert pump.close(LONG_S)
    assert [each.trace_id for each in sink.events] == ["1", "2"]
    seen = pump.snapshot()
    assert (seen.recorded, seen.failed, seen.dropped) == (2, 1, 0)
    assert seen.last_error is not None
    assert type(error).__name__ in seen.last_error


def test_an_error_is_logged_once_and_different_ones_at_most_once_a_minute(monkeypatch):
    clock = iter([1000.0, 1001.0, 1030.0, 1061.0, 2000.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    lines: list[str] = []
    pump = SinkPump(ListSink(), logger=Ear(lines))
    for text in ("disk", "disk", "net", "net", "disk"):
        pump._note(OSError(text))
    assert lines == ["sink list failed: OSError: disk", "sink list failed: OSError: net"]
    assert pump.snapshot().failed == 5


def test_a_handler_that_raises_does_not_end_the_pump():
    class Deaf(Ear):
        def handle(self, record):
            raise RuntimeError("a broken handler")

    pump = SinkPump(sink := RaisingSink(ValueError("broken")), logger=Deaf([]))
    pump.put(event(0))
    pump.put(event(1))
    assert pump.close(LONG_S)
    assert len(sink.events) == 1


def test_a_flush_or_close_that_raises_is_counted(caplog):
    class Broken(ListSink):
        def flush(self):
            raise OSError("no flush")

        def close(self):
            raise OSError("no close")

    pump = SinkPump(Broken())
    pump.put(event())
    assert pump.close(LONG_S)
    seen = pump.snapshot()
    assert (seen.recorded, seen.failed, seen.last_error) == (1, 2, "OSError: no close")


def test_a_sink_that_hangs_is_abandoned_and_reported(caplog):
    pump = SinkPump(sink := StuckSink())
    for number in range(5):
        pump.put(event(number))
    assert sink.reached.wait(LONG_S)
    assert not pump.flush(0.01)
    assert not pump.close(0.01)
    assert not pump.close(0.01)
    seen = pump.snapshot()
    assert seen.dropped == 4
    assert seen.last_error is not None
    assert "abandoned with 4 events" in seen.last_error
    assert "sink list did not finish" in caplog.text
    thread = pump._thread
    assert thread is not None
    sink.let_go.set()
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert pump.snapshot().recorded == 1
    assert "close" not in sink.calls


def test_the_thread_is_not_woken_for_every_event(monkeypatch):
    pump = SinkPump(ListSink())
    wakes = []

    def rouse():
        wakes.append(1)
        pump._awake = True

    monkeypatch.setattr(pump, "_rouse", rouse)
    for number in range(1000):
        pump.put(event(number))
    assert len(wakes) == 1


def test_putting_while_the_thread_falls_asleep_loses_no_event(monkeypatch):
    monkeypatch.setattr(pump_module, "GATHER_S", 0)
    pump = SinkPump(sink := ListSink(), capacity=10**6)
    for number in range(20_000):
        pump.put(event(number))
    with pump._progress:
        assert pump._progress.wait_for(lambda: pump._handled == 20_000, LONG_S)
    assert len(sink.events) == 20_000
    assert pump.close(LONG_S)


def test_b6_a_pump_left_open_does_not_keep_the_process_alive():
    script = (
        "from datetime import datetime, UTC\n"
        "from penstock.contracts import MetricsSink\n"
        "from penstock.metrics import SinkPump\n"
        "from penstock.schema import RequestStarted\n"
        "class Stuck(MetricsSink):\n"
        "    def record(self, event):\n"
        "        __import__('threading').Event().wait()\n"
        "SinkPump(Stuck()).put(RequestStarted(trace_id='t', at=datetime.now(UTC)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_buffer_without_room_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        SinkPump(ListSink(), capacity=0)


def test_when_no_thread_can_start_nothing_raises_and_the_next_event_tries_again(monkeypatch):
    pump = SinkPump(sink := ListSink())
    with monkeypatch.context() as patched:

        def refuse(self):
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", refuse)
        pump.put(event(0))
        assert pump.snapshot().last_error == "RuntimeError: can't start new thread"
    pump.put(event(1))
    assert pump.close(LONG_S)
    assert [each.trace_id for each in sink.events] == ["0", "1"]
