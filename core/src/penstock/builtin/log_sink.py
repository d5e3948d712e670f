"""The sink "log": a line with the figures every so often, to the logger `penstock.metrics` and to a file if asked."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from decimal import Decimal

from penstock.contracts import MetricsSink
from penstock.metrics import Window
from penstock.schema import (
    AttemptEnded,
    Event,
    GenerationResult,
    InvocationAttempt,
    Percentiles,
    RequestEnded,
    RequestStarted,
    StatsSnapshot,
    StatsTaken,
)
from penstock.schema.usage import EXACT_USD, ZERO_USD

__all__ = ["LogSink"]

LOGGER = "penstock.metrics"
FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SAMPLE_SIZE = 2000
MOST_CHARS = 300
STOP_TIMEOUT_S = 5.0


class LogSink(MetricsSink):
    """Logs the figures of the events it sees, on the logger `penstock.metrics` at level INFO.

    A line comes every `interval_s` seconds from a daemon thread, which keeps no process alive and needs no event
    loop, and one more when the sink closes. Counts and cost are totals; rpm, tpm and the percentiles are recent: calls
    and tokens settled in the last minute, milliseconds of the latest 2,000 calls. `cost` is a lower bound where calls
    of unknown price are listed. `waiting` and, for each gate, how full it was and how many 429s it met come from the
    service's last report.

    The logger gets level INFO if it has none of its own, and a handler for `file`; no other logger is touched.

    Args:
        interval_s: seconds between two lines.
        request_level: log each request's end, and each attempt that failed, at this level, such as "INFO".
        file: a file to append the sink's own lines to, in UTC.

    Raises:
        ValueError: the interval is not above 0, or the level is none of logging's.
        OSError: from `start`, when `file` cannot be opened.
    """

    name = "log"

    def __init__(self, *, interval_s: float = 30.0, request_level: str | None = None, file: str | None = None) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s must be above 0, not {interval_s!r}")
        if request_level is not None and request_level.upper() not in LEVELS:
            raise ValueError(f"request_level must be one of {', '.join(LEVELS)}, not {request_level!r}")
        self._interval_s = self.stats_every_s = interval_s
        self._request_level = getattr(logging, request_level.upper()) if request_level else None
        self._path = file
        self._logger = logging.getLogger(LOGGER)
        self._handler: logging.Handler | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._begun = False
        self._lock = threading.Lock()  # between the thread that records and the one that logs
        self._requests = self._ok = self._failed = self._cost_unknown = 0
        self._cost_usd: Decimal = ZERO_USD
        self._gates = ""
        self._calls = Window()
        self._latency_ms: deque[float] = deque(maxlen=SAMPLE_SIZE)

    def start(self) -> None:
        """Start the periodic line, once; the first event does it, too."""
        if self._thread is not None:
            return
        if self._path is not None:
            self._handler = _file_handler(self._path, self)
            self._logger.addHandler(self._handler)
        if self._logger.level == logging.NOTSET:
            self._logger.setLevel(logging.INFO)
        self._begun = True
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=LOGGER, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the periodic line and release the file, if that is not done yet; `start` begins again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            self._thread = None
        if self._handler is not None:
            self._logger.removeHandler(self._handler)
            self._handler.close()
            self._handler = None

    def record(self, event: Event) -> None:
        """Count one event, and log it if each is to be logged."""
        if not self._begun:
            self.start()
        match event:
            case AttemptEnded():
                self._count_call(event.attempt)
                if self._request_level is not None and not event.attempt.success:
                    self._log(self._request_level, _attempt_line(event))
            case StatsTaken():
                self._gates = _gates_text(event.stats)
            case RequestStarted(parent_trace_id=None):
                with self._lock:
                    self._requests += 1
            case RequestEnded():
                self._count_result(event.result)
                if self._request_level is not None:
                    self._log(self._request_level, _request_line(event.result))

    def close(self) -> None:
        """Log the last line, if there was anything to log, and stop."""
        if self._begun:
            self._log(logging.INFO, f"end of run: {self.summary()}")
            self._begun = False
        self.stop()

    def summary(self) -> str:
        """Return the figures of this moment as one line."""
        with self._lock:
            now = time.monotonic()
            recent = Percentiles.of(self._latency_ms)
            unknown = f" cost_unknown={self._cost_unknown}" if self._cost_unknown else ""
            return (
                f"requests={self._requests} ok={self._ok} failed={self._failed}"
                f" rpm={self._calls.count_per_minute(now):.0f} tpm={self._calls.total_per_minute(now):.0f}"
                f" cost={_dollars(self._cost_usd)}{unknown} p50={_ms(recent.p50)} p99={_ms(recent.p99)}{self._gates}"
            )

    def _count_call(self, attempt: InvocationAttempt) -> None:
        with self._lock:
            self._calls.add(time.monotonic(), attempt.usage.total_tokens)
            self._latency_ms.append(attempt.duration_ms)
            if attempt.cost_usd is not None:
                self._cost_usd = EXACT_USD.add(self._cost_usd, attempt.cost_usd)
            elif attempt.success or attempt.usage.total_tokens:
                self._cost_unknown += 1

    def _count_result(self, result: GenerationResult) -> None:
        if result.parent_trace_id is None:  # a step's own calls belong to the request that it works for
            with self._lock:
                self._ok += result.success
                self._failed += not result.success

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._log(logging.INFO, self.summary())

    def _log(self, level: int, line: str) -> None:
        self._logger.log(level, "%s", line, extra={"sink": self})


def _file_handler(path: str, sink: LogSink) -> logging.Handler:
    """Return a handler that appends the lines of one sink, and of no other, to a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(lambda record: getattr(record, "sink", None) is sink)
    return handler


def _gates_text(stats: StatsSnapshot) -> str:
    """Return " waiting=9 rpm=98%/0": for each gate with a limit the part of it that is used, and how many 429s."""
    gates = "".join(f" {gate.name}={gate.used_share:.0%}/{gate.refused}" for gate in stats.gates if gate.used_share)
    return " " + _flat(f"waiting={stats.waiting}{gates}")


def _request_line(result: GenerationResult) -> str:
    status = "degraded" if result.degraded else "ok"
    if not result.success:
        status = f"failed {_why(result)}"
    request = result.request
    model = f"{result.provider}/{result.model}" if result.provider else request.model
    operation = f" operation={request.operation}" if request.operation else ""
    parent = f" parent={result.parent_trace_id}" if result.parent_trace_id else ""
    return _flat(
        f"{result.trace_id}{parent} {model}{operation} {result.elapsed_ms:.0f}ms attempts={len(result.attempts)}"
        f" in={result.usage.input_tokens} out={result.usage.output_tokens} cost={_dollars(result.cost_usd)} {status}"
    )


def _attempt_line(event: AttemptEnded) -> str:
    attempt = event.attempt
    return _flat(
        f"{event.trace_id} {event.provider}/{event.model} {attempt.duration_ms:.0f}ms"
        f" attempt={attempt.number} failed {_why(attempt)}"
    )


def _why(failure: GenerationResult | InvocationAttempt) -> str:
    kind = failure.error_type.value if failure.error_type else "unknown"
    return f"{kind}: {failure.error_message}"


def _flat(text: str) -> str:
    """Return text as one printable line of bounded length, whatever a model, a user or a provider put into it."""
    line = " ".join(text.split())[:MOST_CHARS]
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def _dollars(cost_usd: Decimal | None) -> str:
    return "unknown" if cost_usd is None else f"${cost_usd:.6f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}ms"
