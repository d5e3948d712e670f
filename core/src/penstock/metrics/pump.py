"""Carries events to one sink on a thread of its own, so that no sink can delay or fail a request."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from penstock.contracts import MetricsSink
from penstock.schema import Event, SinkSnapshot

__all__ = ["SinkPump"]

GATHER_S = 0.02
"""Seconds in which events gather before the thread wakes: waking it for each would cost more than counting them."""

LOG_EVERY_S = 60.0
MOST_ERRORS_REMEMBERED = 100
MOST_CHARS_OF_AN_ERROR = 500


class SinkPump:
    """A bounded buffer and a daemon thread that empties it into a sink; the thread starts with the first event.

    Every event that is put ends in exactly one count: recorded, failed (the sink raised) or dropped (the buffer was
    full, the pump closed, or the sink hung and was abandoned). A sink that raises is logged once per distinct error
    and at most once a minute, and goes on getting events. A raising `flush` or `close` counts as failed, too.
    `put` is meant for one thread; the rest may be called from any, and block that thread, so not on an event loop.
    """

    def __init__(self, sink: MetricsSink, *, capacity: int = 10_000, logger: logging.Logger | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"a sink's buffer needs a capacity of at least 1, not {capacity!r}")
        self.sink = sink
        self._capacity = capacity
        self._logger = logger or logging.getLogger(__name__)
        self._buffer: deque[Event] = deque()
        self._accepted = self._handled = 0
        self._recorded = self._dropped = self._failed = 0
        self._last_error: str | None = None
        self._logged_errors: set[str] = set()
        self._next_log = 0.0
        self._thread: threading.Thread | None = None
        self._awake = self._closing = self._abandoned = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._progress = threading.Condition()

    def put(self, event: Event) -> None:
        """Take one event; drop it, counted, if the buffer is full or the pump closed. Never raises or blocks."""
        if len(self._buffer) >= self._capacity or self._closing:
            self._dropped += 1
            return
        self._buffer.append(event)
        self._accepted += 1
        if not self._awake:
            self._rouse()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Have everything put so far recorded and flushed; return whether that was done in time."""
        target = self._accepted
        if self._handled >= target:
            return True
        self._hurry.set()
        self._rouse()
        with self._progress:
            return self._progress.wait_for(lambda: self._handled >= target, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Record what is buffered, flush and close the sink; return whether it was done before it was abandoned."""
        if self._abandoned:
            return False
        if not self._closing:
            self._closing = True
            self._hurry.set()
            self._rouse()
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        if thread is None or thread.is_alive():
            self._abandon(timeout_s)
        self._drop_rest()  # with a finished thread, what another thread put while the pump closed
        return not self._abandoned

    def snapshot(self) -> SinkSnapshot:
        """Return the counts at this moment."""
        return SinkSnapshot(
            name=self.sink.name,
            recorded=self._recorded,
            dropped=self._dropped,
            failed=self._failed,
            last_error=self._last_error,
        )

    def _rouse(self) -> None:
        """Wake the thread, and start it if there is none yet."""
        self._awake = True
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"penstock-sink-{self.sink.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread to be had, or the interpreter is ending; the next put tries again
                self._awake = False
                self._last_error = _describe(error)
                return
            self._thread = thread
        self._wake.set()

    def _abandon(self, timeout_s: float) -> None:
        """Give up on a sink that hangs: its thread ends as soon as the sink lets go of it."""
        self._abandoned = True
        left = self._drop_rest()
        self._last_error = f"did not finish within {timeout_s:g} s; abandoned with {left} events in its buffer"
        self._say("sink %s %s", self._last_error)

    def _drop_rest(self) -> int:
        left = len(self._buffer)
        self._buffer.clear()
        self._dropped += left
        return left

    def _say(self, message: str, text: str) -> None:
        with suppress(Exception):  # a handler that raises must not end the pump
            self._logger.error(message, self.sink.name, text)

    # ---------------------------------------------------------------- on the pump's own thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(GATHER_S)
            self._hurry.clear()
            self._empty()
            if self._closing and not self._buffer:
                break
            # `put` appends before it looks at `_awake`, so an event it puts now is seen here or wakes the thread.
            self._awake = False
            if self._buffer:
                self._awake = True
                self._wake.set()
        if not self._abandoned:
            self._attempt(self.sink.close)

    def _empty(self) -> None:
        """Record what is in the buffer at this moment, then flush the sink."""
        done, record = 0, self.sink.record
        with suppress(IndexError):  # `_abandon` may empty the buffer meanwhile
            for _ in range(len(self._buffer)):
                event = self._buffer.popleft()
                done += 1
                try:
                    record(event)
                except BaseException as error:  # noqa: BLE001  # whatever a sink raises, the pump goes on
                    self._note(error)
                else:
                    self._recorded += 1
        if self._abandoned:
            return
        self._attempt(self.sink.flush)
        with self._progress:
            self._handled += done
            self._progress.notify_all()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  # likewise
            self._note(error)

    def _note(self, error: BaseException) -> None:
        self._failed += 1
        self._last_error = text = _describe(error)
        now = time.monotonic()
        if text in self._logged_errors or now < self._next_log:
            return
        if len(self._logged_errors) >= MOST_ERRORS_REMEMBERED:
            self._logged_errors.clear()
        self._logged_errors.add(text)
        self._next_log = now + LOG_EVERY_S
        self._say("sink %s failed: %s", text)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MOST_CHARS_OF_AN_ERROR]
