"""The log sink: the seed's metrics logger."""

import logging
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from penstock.builtin.log_sink import LogSink
from penstock.errors import ErrorType
from penstock.schema import (
    AttemptEnded,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    RequestEnded,
    RequestStarted,
    Usage,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
LONG_S = 10.0


@pytest.fixture(autouse=True)
def logger():
    """The metrics logger, left as it was found."""
    found = logging.getLogger("penstock.metrics")
    level = found.level
    yield found
    found.setLevel(level)
    assert found.handlers == []


@pytest.fixture
def sink():
    made = []

    def make(**options):
        made.append(LogSink(**options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def story(*, error_type=None, cost_usd=Decimal("0.25"), parent=None, message="no luck"):
    """The events of a request of one attempt."""
    usage = Usage(input_tokens=40, output_tokens=2)
    attempt = InvocationAttempt(
        number=1,
        success=error_type is None,
        enqueued_at=AT,
        started_at=AT,
        ended_at=AT,
        queue_ms=0.0,
        duration_ms=812.4,
        error_type=error_type,
        error_message=error_type and message,
        usage=usage,
        cost_usd=cost_usd,
    )
    result = GenerationResult(
        success=error_type is None,
        trace_id="trace-1",
        parent_trace_id=parent,
        request=GenerationRequest(model="sim/m", prompt="my secret", operation="judge"),
        content=None if error_type else "my answer",
        provider="sim",
        model="m",
        error_type=error_type,
        error_message=error_type and message,
        attempts=(attempt,),
        usage=usage,
        cost_usd=cost_usd,
        elapsed_ms=900.0,
    )
    yield RequestStarted(trace_id="trace-1", at=AT, model="sim/m", parent_trace_id=parent)
    yield AttemptEnded(trace_id="trace-1", at=AT, provider="sim", model="m", attempt=attempt)
    yield RequestEnded(trace_id="trace-1", at=AT, result=result)


def tell(sink, *stories):
    for each in stories:
        for event in each:
            sink.record(event)


def threads():
    return [each for each in threading.enumerate() if each.name == "penstock.metrics"]


def test_b6_the_summary_counts_requests_rates_cost_and_latency(sink):
    log = sink()
    tell(log, story(), story(error_type=ErrorType.TIMEOUT), story(parent="trace-0"))
    assert log.summary() == "requests=2 ok=1 failed=1 rpm=3 tpm=126 cost=$0.750000 p50=812ms p99=812ms"


def test_b6_nothing_seen_is_said_as_such(sink):
    assert sink().summary() == "requests=0 ok=0 failed=0 rpm=0 tpm=0 cost=$0.000000 p50=- p99=-"


def test_b47_calls_of_unknown_price_are_listed(sink):
    log = sink()
    tell(log, story(cost_usd=None), story())
    assert "cost=$0.250000 cost_unknown=1 " in log.summary()


def test_b6_failure_16_a_line_comes_periodically_without_an_event_loop(sink, logger, monkeypatch):
    seen, lines = threading.Event(), []

    def note(record):
        lines.append(record)
        if len(lines) >= 3 and record.getMessage().startswith("requests=1 ok=1"):  # all has been told by then
            seen.set()

    monkeypatch.setattr(logger, "handle", note)
    log = sink(interval_s=0.001)
    tell(log, story())
    assert seen.wait(LONG_S)
    log.stop()
    assert {(each.name, each.levelname) for each in lines} == {("penstock.metrics", "INFO")}


def test_b6_failure_16_start_and_stop_may_be_called_any_number_of_times(sink, tmp_path, logger):
    log = sink(file=str(tmp_path / "metrics.log"))
    log.stop()
    log.start()
    log.start()
    assert len(threads()) == 1
    assert len(logger.handlers) == 1
    log.stop()
    log.stop()
    assert threads() == []
    log.start()
    assert len(threads()) == 1
    log.close()
    log.close()
    assert threads() == []


def test_b6_the_last_line_comes_at_the_close_once(sink, caplog):
    log = sink()
    tell(log, story())
    log.close()
    log.close()
    assert [each.getMessage() for each in caplog.records] == [f"end of run: {log.summary()}"]


def test_a_sink_that_never_started_closes_without_a_word(sink, caplog):
    sink().close()
    assert caplog.records == []


def test_b6_the_file_has_the_lines_of_its_own_sink_only(sink, tmp_path, caplog):
    one, two = (sink(file=str(tmp_path / name)) for name in ("one.log", "two.log"))
    tell(one, story())
    tell(two, story(), story())
    one.close()
    two.close()
    written = (tmp_path / "one.log").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO end of run: requests=1 ok=1.*\n", written)
    assert "requests=2" in (tmp_path / "two.log").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_opened_is_named(sink, tmp_path):
    with pytest.raises(OSError, match=r"nowhere.metrics\.log"):
        sink(file=str(tmp_path / "nowhere" / "metrics.log")).start()


def test_b42_no_logger_but_its_own_is_touched(sink, logger):
    root = logging.getLogger()
    others = [root, logging.getLogger("penstock")]
    before = [(each.level, list(each.handlers)) for each in others]
    logger.setLevel(logging.NOTSET)
    sink().start()
    assert [(each.level, list(each.handlers)) for each in others] == before
    assert logger.level == logging.INFO


def test_b42_a_level_that_the_user_chose_stays(sink, logger):
    logger.setLevel(logging.ERROR)
    sink().start()
    assert logger.level == logging.ERROR


def test_each_request_is_logged_only_if_asked(sink, caplog):
    log = sink()
    tell(log, story(error_type=ErrorType.TIMEOUT))
    assert caplog.records == []


def test_b5_b7_a_request_has_a_line_with_its_trace_id_and_no_content(sink, caplog):
    log = sink(request_level="warning")
    tell(log, story())
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert line.getMessage() == "trace-1 sim/m operation=judge 900ms attempts=1 in=40 out=2 cost=$0.250000 ok"


def test_b7_a_failed_attempt_has_a_line_of_its_own(sink, caplog):
    log = sink(request_level="INFO")
    tell(log, story(error_type=ErrorType.TIMEOUT))
    assert [each.getMessage().partition(" failed ")[2] for each in caplog.records] == ["timeout: no luck"] * 2
    assert "attempt=1" in caplog.records[0].getMessage()


def test_an_error_message_cannot_forge_lines_or_fill_the_log(sink, caplog):
    log = sink(request_level="INFO")
    tell(log, story(error_type=ErrorType.TIMEOUT, message="a\n2026 INFO forged\r\n" + "x" * 100_000))
    for each in caplog.records:
        assert "\n" not in each.getMessage()
        assert len(each.getMessage()) <= 300


def test_what_cannot_be_printed_is_escaped_so_that_any_file_and_terminal_can_take_it(sink, tmp_path):
    log = sink(request_level="INFO", file=str(tmp_path / "metrics.log"))
    tell(log, story(error_type=ErrorType.TIMEOUT, message="naïve 水 \ud800 \x1b[31m"))
    log.close()
    assert "naïve 水 \\ud800 \\x1b[31m" in (tmp_path / "metrics.log").read_text()


@pytest.mark.parametrize("options", [{"interval_s": 0}, {"interval_s": -1.0}, {"request_level": "LOUD"}])
def test_a_wrong_option_is_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LogSink(**options)


def test_b6_failure_16_a_sink_left_running_does_not_keep_the_process_alive():
    script = "from penstock.builtin.log_sink import LogSink; LogSink(interval_s=1000).start()"
    done = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=True)
    assert done.stderr == ""
