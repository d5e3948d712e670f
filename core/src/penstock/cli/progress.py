"""The progress line of a bulk run, on a terminal. One line of text needs no library, and the core stays small."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from attrs import define, field

from penstock.bulk.tally import Tally
from penstock.cli.amounts import duration_text, rate_text, rows_text, usd_text
from penstock.cli.gates_text import gate_phrase
from penstock.schema import StatsSnapshot

__all__ = ["ProgressLine"]

RATE_WINDOW_S = 60.0


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
        return "" if binding is None else f"waiting for {gate_phrase(binding)}"
