"""A sink that breaks one rule fails the check of that rule, which says what to change, and no other."""

import logging
import threading
import time
from typing import Any

import pytest

import penstock.schema
from penstock import Event, MetricsSink
from penstock.schema import RequestEnded
from penstock.testing import SinkContract, sample_events
from penstock.testing.samples import NOON


class Lines(MetricsSink):
    """Writes a line for each event when it is flushed: the sound sink that the others break."""

    name = "lines"

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.file = None

    def record(self, event):
        self.lines.append(f"{type(event).__name__} {event.trace_id[:100]!r}\n")

    def flush(self):
        if not self.lines:
            return
        if self.file is None:
            self.file = self.path.open("a")
        self.file.writelines(self.lines)
        self.file.flush()
        self.lines.clear()

    def close(self):
        if self.file is not None:
            self.file.close()
            self.file = None


class LinesContract(SinkContract):
    def make(self):
        return Lines(self.new_folder() / "events")

    def written(self, sink):
        return len(sink.path.read_text().splitlines())


class Nameless(Lines):
    name = "sink"


class Forgetful(Lines):
    def record(self, event):
        if not isinstance(event, RequestEnded):
            super().record(event)


class Fragile(Lines):
    def record(self, event):
        super().record(event)
        event.trace_id.encode()


class LogsAsItComes(Lines):
    def record(self, event):
        super().record(event)
        logging.getLogger("lines").info("%s", event.trace_id)


class Closed(Lines):
    """Knows the events of today alone."""

    def record(self, event):
        if type(event) not in {type(known) for known in sample_events()}:
            raise TypeError(event)
        super().record(event)


class Meddles(Lines):
    def record(self, event):
        super().record(event)
        object.__setattr__(event, "trace_id", "gone")


class FlushesNothing(Lines):
    def flush(self):
        if not self.lines and self.file is None:
            raise ValueError("nothing to write")
        super().flush()


class NeedsAnEvent(Lines):
    def close(self):
        if not self.path.exists():
            raise FileNotFoundError(self.path)
        super().close()


class ClosesOnce(Lines):
    closed = False

    def close(self):
        if self.closed:
            raise ValueError("closed")
        self.closed = True
        super().close()


class LeavesItsFileOpen(Lines):
    kept: list[Any] = []  # noqa: RUF012  # shared on purpose: the collector would close the files

    def close(self):
        self.kept.append(self.file)


class LeavesItsFileToTheCollector(Lines):
    def close(self):
        self.file = None


class LeavesItsThread(Lines):
    end = threading.Event()

    def __init__(self, path):
        super().__init__(path)
        threading.Thread(target=self.end.wait, name="forgotten", daemon=True).start()


class Crawls(Lines):
    def record(self, event):
        time.sleep(0.0002)
        super().record(event)


class BelongsToItsMaker(Lines):
    """As a connection of sqlite3 does."""

    def __init__(self, path):
        super().__init__(path)
        self.thread = threading.get_ident()

    def record(self, event):
        if threading.get_ident() != self.thread:
            raise RuntimeError("used in another thread than it was made in")
        super().record(event)


class DislikesServices(Lines):
    def record(self, event):
        if event.at != NOON:
            raise ValueError("not of the suite")
        super().record(event)


BROKEN = {
    Nameless: ("test_it_has_a_name", "set the class attribute `name`"),
    Forgetful: ("test_it_takes_every_event", "write all until close() returns"),
    Fragile: ("test_it_takes_odd_events", "escape or shorten what the place cannot hold"),
    LogsAsItComes: ("test_it_takes_odd_events", "escape what is not printable"),
    Closed: ("test_it_takes_odd_events", "pass over events of an unknown class"),
    Meddles: ("test_events_stay_as_they_are", "copy what is to be changed"),
    FlushesNothing: ("test_it_may_be_flushed_at_any_time", "let it return when there is nothing to flush"),
    NeedsAnEvent: ("test_it_may_be_closed_unused", "on a sink that got no event"),
    ClosesOnce: ("test_it_may_be_closed_twice", "let it return when the sink is closed"),
    LeavesItsFileOpen: ("test_nothing_is_left_open", "close them there"),
    LeavesItsFileToTheCollector: ("test_nothing_is_left_open", "close it in close()"),
    LeavesItsThread: ("test_nothing_is_left_open", "end and join them in close()"),
    Crawls: ("test_it_keeps_up", "gather them in record() and write them in flush()"),
    DislikesServices: ("test_a_service_uses_it", "make record() take them"),
}

# A sink that never got an event is flushed before it is closed.
ALSO = {FlushesNothing: {"test_it_may_be_closed_unused"}}


def contract_of(sink):
    def make(self):
        return sink(self.new_folder() / "events")

    limit_us = 100.0 if sink is Crawls else LinesContract.limit_us
    return type(f"{sink.__name__}Contract", (LinesContract,), {"make": make, "limit_us": limit_us})


@pytest.fixture(autouse=True)
def loose_ends():
    yield
    LeavesItsThread.end.set()
    LeavesItsThread.end = threading.Event()
    for file in filter(None, LeavesItsFileOpen.kept):
        file.close()
    LeavesItsFileOpen.kept.clear()


def test_a_sound_sink_passes_every_check(failed_checks):
    assert failed_checks(LinesContract) == {}


# A file that is left to the collector is remarked on, whichever check it was that left it.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("sink", BROKEN, ids=lambda sink: sink.__name__)
def test_a_broken_sink_fails_the_check_of_its_rule_alone(sink, failed_checks):
    check, remedy = BROKEN[sink]
    failed = failed_checks(contract_of(sink))
    assert set(failed) == {check} | ALSO.get(sink, set()), failed
    assert remedy in failed[check]


def test_each_rule_has_a_sink_that_breaks_it():
    assert {check for check, _ in BROKEN.values()} == {name for name in dir(SinkContract) if name.startswith("test")}


def test_a_sink_that_belongs_to_the_thread_that_made_it_is_found(failed_checks):
    failed = failed_checks(contract_of(BelongsToItsMaker))
    assert "open things in record()" in failed["test_it_takes_every_event"]


def test_the_samples_are_of_every_event_there_is():
    events = {kind for kind in vars(penstock.schema).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert {type(event) for event in sample_events()} == events - {Event}
