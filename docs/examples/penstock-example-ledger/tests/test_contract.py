"""The contract that penstock holds every sink to, and what this one does of its own."""

import csv
from decimal import Decimal
from pathlib import Path

from penstock import ErrorType, GenerationRequest, GenerationResult
from penstock.testing import SinkContract, odd_events, sample_events, sample_result

from penstock_example_ledger import LedgerSettings, LedgerSink


class TestLedgerSink(SinkContract):
    def make(self) -> LedgerSink:
        path = self.new_folder() / "ledger.csv"
        return LedgerSink(LedgerSettings(path=str(path)))


def ledger(path: Path, *results: GenerationResult, operation: str | None = None) -> list[dict[str, str]]:
    """Write these results, and read the rows back."""
    sink = LedgerSink(LedgerSettings(path=str(path), operation=operation))
    for result in results:
        for event in sample_events(result):
            sink.record(event)
    sink.close()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_request_has_a_row(tmp_path: Path) -> None:
    answered, failed = ledger(tmp_path / "a.csv", sample_result("Deep."), sample_result(error_type=ErrorType.TIMEOUT))
    assert (answered["model"], answered["error"], answered["calls"]) == ("fake/m", "", "1")
    assert Decimal(answered["cost_usd"]) == sample_result().cost_usd
    assert int(answered["input_tokens"]) == sample_result().usage.input_tokens
    assert failed["error"] == "timeout"


def test_rows_are_added_under_one_heading(tmp_path: Path) -> None:
    ledger(tmp_path / "a.csv", sample_result())
    assert len(ledger(tmp_path / "a.csv", sample_result())) == 2
    assert (tmp_path / "a.csv").read_text().count("cost_usd") == 1


def test_an_unknown_cost_is_an_empty_cell_and_a_small_one_is_written_out(tmp_path: Path) -> None:
    unknown, small = ledger(
        tmp_path / "a.csv", sample_result(cost_usd=None), sample_result(cost_usd=Decimal("0.00000001"))
    )
    assert (unknown["cost_usd"], small["cost_usd"]) == ("", "0.00000001")


def test_the_calls_of_a_step_have_no_row_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    sink = LedgerSink(LedgerSettings(path=str(path)))
    for event in sample_events(sample_result(parent_trace_id="the request's")):
        sink.record(event)
    sink.close()
    assert not path.exists()


def test_one_operation_may_have_a_ledger_of_its_own(tmp_path: Path) -> None:
    results = [sample_result(request=GenerationRequest(prompt="?", operation=name)) for name in ("sum", "tell", "sum")]
    rows = ledger(tmp_path / "a.csv", *results, operation="sum")
    assert [row["operation"] for row in rows] == ["sum", "sum"]


def test_a_text_of_the_users_is_one_cell_and_no_formula(tmp_path: Path) -> None:
    request = GenerationRequest(prompt="?", custom_id='=HYPERLINK("x"),\n"y"', operation="-1")
    (row,) = ledger(tmp_path / "a.csv", sample_result(request=request))
    assert row["custom_id"] == '\'=HYPERLINK("x"), "y"'
    assert row["operation"] == "'-1"


def test_whatever_comes_the_file_stays_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    sink = LedgerSink(LedgerSettings(path=str(path)))
    for event in odd_events():
        sink.record(event)
    sink.close()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 10
    assert {len(row) for row in rows} == {len(rows[0])}
