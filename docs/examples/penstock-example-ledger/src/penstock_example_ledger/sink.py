"""The sink: a table of what each request used and cost, and its settings."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from attrs import field, frozen, validators
from penstock import Event, GenerationResult, MetricsSink
from penstock.schema import RequestEnded

COLUMNS = (
    *("at", "custom_id", "operation", "model", "error", "calls", "input_tokens", "output_tokens"),
    *("cost_usd", "seconds", "trace_id"),
)

MOST_CHARS = 200
"""Of a cell: what users put into an operation may be of any length."""


@frozen(kw_only=True)
class LedgerSettings:
    """The options of the sink `ledger`.

    Attributes:
        path: the file; rows are added to it, under a heading if it is new.
        operation: only requests of this operation, where it is given.
    """

    path: str = field(validator=validators.min_len(1))
    operation: str | None = None


class LedgerSink(MetricsSink):
    """Writes a row for each request that is over, failed ones too.

    The calls that a pipeline step makes are in the row of the request that they were made for, so that the columns
    add up to what was spent. A cost that is unknown is an empty cell.
    """

    name = "ledger"

    def __init__(self, settings: LedgerSettings) -> None:
        """Take the settings; the file is opened with the first row."""
        self.path = Path(settings.path)
        self.operation = settings.operation
        self._file: TextIO | None = None

    def record(self, event: Event) -> None:
        """Write the end of a request; pass over all other events, those of later versions included."""
        if not isinstance(event, RequestEnded) or event.result.parent_trace_id is not None:
            return
        if self.operation is not None and event.result.request.operation != self.operation:
            return
        if self._file is None:
            # What UTF-8 cannot say, such as half of a surrogate pair, is escaped: a row is never lost for it.
            self._file = self.path.open("a", encoding="utf-8", errors="backslashreplace", newline="")
            if self._file.tell() == 0:
                csv.writer(self._file).writerow(COLUMNS)
        csv.writer(self._file).writerow([event.at.isoformat(), *_row(event.result)])

    def flush(self) -> None:
        """Hand what is written to the operating system; called after each batch."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file; called once at the end, and harmless if nothing was ever written."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _row(result: GenerationResult) -> list[object]:
    request = result.request
    return [
        _cell(request.custom_id),
        _cell(request.operation),
        _cell(f"{result.provider}/{result.model}" if result.provider else request.model),
        result.error_type.value if result.error_type else "",
        len(result.attempts),
        result.usage.input_tokens,
        result.usage.output_tokens,
        "" if result.cost_usd is None else f"{result.cost_usd:f}",
        f"{result.elapsed_ms / 1000:.3f}",
        _cell(result.trace_id),
    ]


def _cell(text: str | None) -> str:
    """Return a user's text as a cell on one line that no spreadsheet takes for a formula."""
    line = " ".join((text or "")[:MOST_CHARS].replace("\0", "").split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
