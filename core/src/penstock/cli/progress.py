"""The progress line of a bulk run, on a terminal. One line of text needs no library, and the core stays small."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from attrs import define, field

from penstock.bulk.tally import Tally
from penstock.schema import StatsSnapshot

__all__ = ["ProgressLine", "duration_text", "rate_text", "rows_text", "usd_text"]

RATE_WINDOW_S = 60.0


def duration_text(seconds: float) -> str:
    """Return "8 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate_text(rows: int, seconds: float) -> str:
    """Return rows per second, or per minute where that is the readable one."""
    per_second = rows / seconds if seconds > 0 else 0.0
    return f"{per_second:,.1f} rows/s" if per_second >= 10 else f"{per_second * 60:,.0f} rows/min"


def rows_text(count: int) -> str:
    """Return "1 row" or "2,000 rows"."""
    return "1 row" if count == 1 else f"{count:,} rows"


def usd_text(cost: object, unknown: int = 0) -> str:
    """Return a cost for people; rows without a known price are named, because the sum is then a lower bound."""
    amount = float(str(cost))
    text = f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
    return f"{text} + {rows_text(unknown)} without a known price" if unknown else text


@define
class ProgressLine:
    """Draws one line over itself; where there is no terminal to draw on, a line below the last one.

    Attributes:
        drawn: whether the stream is a terminal.
        total: rows to do; None when nobody knows.
        snapshot: the service's figures, for what it is waiting for.
    """

    tally: Tally
    stream: TextIO
    total: int | None = None
    snapshot: Callable[[], StatsSnapshot] | None = None
    drawn: bool = True
    note: str = ""
    _recent: deque[tuple[float, int]] = field(factory=deque)
    _blocked_s: dict[int, float] = field(factory=dict)

    def show(self) -> None:
        """Draw the line as things are now."""
        if not self.drawn:
            print(self.text(time.monotonic()), file=self.stream, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        self.stream.write("\r\x1b[2K" + self.text(time.monotonic())[:width])
        self.stream.flush()

    def clear(self) -> None:
        """Take the line away, where that can be done."""
        if not self.drawn:
            return
        self.stream.write("\r\x1b[2K")
        self.stream.flush()

    def text(self, now: float) -> str:
        """Return the line at `now`, in monotonic seconds."""
        tally = self.tally
        self._recent.append((now, tally.done))
        while now - self._recent[0][0] > RATE_WINDOW_S:
            self._recent.popleft()
        since, rows_then = self._recent[0]
        rows, seconds = tally.done - rows_then, now - since
        parts = [f"{tally.done:,}/{self.total:,} rows" if self.total is not None else rows_text(tally.done)]
        parts.append(f"{tally.failed:,} failed")
        parts.append(rate_text(rows, seconds))
        parts.append(usd_text(tally.cost_usd))
        if self.total is not None and rows and not self.note:
            parts.append(f"{duration_text(max(0, self.total - tally.done) * seconds / rows)} left")
        waiting = self.note or self._waiting_for()
        return " · ".join([*parts, waiting] if waiting else parts)

    def _waiting_for(self) -> str:
        """Name the gate that held rows up most since the line was drawn last."""
        gates = self.snapshot().gates if self.snapshot is not None else ()
        binding, most = None, 0.0
        for number, gate in enumerate(gates):
            grown = gate.blocked_s - self._blocked_s.get(number, 0.0)
            self._blocked_s[number] = gate.blocked_s
            if gate.waiting and grown > most:
                binding, most = gate, grown
        if binding is None:
            return ""
        limit = f" ({binding.limit:,.0f})" if binding.limit is not None else ""
        return f"waiting for {binding.name}{limit}"
