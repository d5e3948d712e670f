"""The suite of metrics sinks."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from penstock.contracts import MetricsSink
from penstock.schema import Event
from penstock.service import Service
from penstock.testing.contract import Contract, explained, logged
from penstock.testing.fakes import ScriptedProvider
from penstock.testing.samples import odd_events, sample_events

__all__ = ["SinkContract"]

MANY = 2_000
OPEN_FILES = Path("/proc/self/fd")


class SinkContract(Contract[MetricsSink], suite=True):
    """Checks a metrics sink. Define `make`; `new_folder()` gives it a place for files.

    Each sink is used as penstock uses it: made on one thread, then used on another one that is its own.

    Attributes:
        limit_us: microseconds that `record` may take on average, a flush after each batch included.
    """

    limit_us: float = 1_000.0

    def written(self, sink: MetricsSink) -> int | None:  # noqa: ARG002  # for those who know
        """Return how many events have arrived where `sink` takes them, once it is closed; None: nobody can tell."""
        return None

    # ---------------------------------------------------------------- the checks

    def test_it_has_a_name(self) -> None:
        """A sink has a name of its own, by which reports speak of it."""
        name = self.make().name
        assert isinstance(name, str), f"name is {name!r}; make it a str"
        assert name.strip(), "name is empty; set the class attribute `name`"
        assert name != MetricsSink.name, "the sink has no name of its own; set the class attribute `name`"

    def test_it_takes_every_event(self) -> None:
        """A sink takes every kind of event, and none is lost."""
        events = sample_events()
        with explained(
            "it raises {!r:.200}; if that is because it is used on another thread than it was made on: open things in "
            "record()"
        ):
            sink = self._used(lambda sink: _record(sink, events))
        written = self.written(sink)
        if written is not None:
            assert written == len(events), f"of {len(events)} events {written} arrived; write all until close() returns"

    def test_it_takes_odd_events(self) -> None:
        """A sink does not raise on what is rare: empty fields, odd and huge texts, and events that it does not know."""

        def take(sink: MetricsSink) -> None:
            for event in odd_events():
                try:
                    sink.record(event)
                    sink.flush()
                except Exception as error:
                    raise AssertionError(
                        f"it raises {error!r:.200} on {event!r:.300}; escape or shorten what the place cannot hold, "
                        f"and pass over events of an unknown class"
                    ) from error

        with logged() as lines:
            self._used(take)
        for line in lines:
            with explained(f"it logs {line!r:.200}, which no file can take: {{}}; escape what is not printable"):
                line.encode()

    def test_events_stay_as_they_are(self) -> None:
        """A sink changes nothing of an event: other sinks and the caller have the same objects."""
        events, same = sample_events(), sample_events()
        self._used(lambda sink: _record(sink, events))
        assert events == same, "an event is not what it was; copy what is to be changed"

    def test_it_may_be_flushed_at_any_time(self) -> None:
        """`flush` may be called with nothing to flush, and again."""

        def flush(sink: MetricsSink) -> None:
            with explained("flush() raises {!r:.200}; let it return when there is nothing to flush"):
                sink.flush()
                sink.flush()
            _record(sink, sample_events())
            sink.flush()

        self._used(flush)

    def test_it_may_be_closed_unused(self) -> None:
        """`close` may be called on a sink that never got an event: a service may end before its first request."""
        with explained("close() raises {!r:.200} on a sink that got no event; let it return"):
            self._used(lambda _: None)

    def test_it_may_be_closed_twice(self) -> None:
        """`close` may be called again, as when a program closes what its service has closed."""

        def close_again(sink: MetricsSink) -> None:
            with explained("the second close() raises {!r:.200}; let it return when the sink is closed"):
                sink.close()

        self._used(lambda sink: _record(sink, sample_events()), then=close_again)

    def test_nothing_is_left_open(self) -> None:
        """A closed sink holds no file, no connection and no thread."""
        threads, files = set(threading.enumerate()), _open_files()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", ResourceWarning)
            self._used(lambda sink: _record(sink, sample_events()))
            gc.collect()
        warned = [str(warning.message) for warning in seen if issubclass(warning.category, ResourceWarning)]
        assert not warned, f"left to the garbage collector: {warned}; close it in close()"
        left = [thread.name for thread in set(threading.enumerate()) - threads]
        assert not left, f"threads still run after close(): {left}; end and join them in close()"
        now_open = _open_files()
        assert now_open <= files, (
            f"{now_open - files} files are open after close() that were not before; close them there"
        )

    def test_it_keeps_up(self) -> None:
        """A sink takes an event in a millisecond on average, or events are dropped from its bounded buffer."""
        events = (sample_events() * MANY)[:MANY]
        took_s = 0.0

        def take(sink: MetricsSink) -> None:
            nonlocal took_s
            began = time.perf_counter()
            for start in range(0, MANY, 100):
                _record(sink, events[start : start + 100])
                sink.flush()
            took_s = time.perf_counter() - began

        self._used(take)
        took_us = took_s / MANY * 1e6
        assert took_us <= self.limit_us, (
            f"an event takes {took_us:.0f} microseconds; gather them in record() and write them in flush(), or raise "
            f"limit_us if that is what it costs"
        )

    def test_a_service_uses_it(self) -> None:
        """In a service a sink gets every event; none fails, and none is dropped."""
        sink = self.make()
        with Service(providers=[ScriptedProvider()], sinks=[sink], max_rpm=None) as service:
            for _ in range(3):
                service.generate_output({"model": "fake/m", "prompt": "hi"})
        seen = service.snapshot().sinks[0]
        assert (seen.failed, seen.dropped) == (0, 0), (
            f"{seen.failed} events failed and {seen.dropped} were dropped: {seen.last_error}; make record() take them"
        )

    # ---------------------------------------------------------------- how they are made

    def _used(
        self, use: Callable[[MetricsSink], None], *, then: Callable[[MetricsSink], None] | None = None
    ) -> MetricsSink:
        """Make a sink here; use it, flush it and close it on another thread, as penstock does."""
        sink = self.make()

        def on_its_own_thread() -> None:
            use(sink)
            sink.flush()
            sink.close()
            if then is not None:
                then(sink)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(on_its_own_thread).result()
        return sink


def _record(sink: MetricsSink, events: Iterable[Event]) -> None:
    for event in events:
        sink.record(event)


def _open_files() -> int:
    """Return how many files the process has open; 0 where the system does not tell."""
    return len(list(OPEN_FILES.iterdir())) if OPEN_FILES.is_dir() else 0
