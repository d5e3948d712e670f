"""A bulk run: lines go through a service, and each leaves a line. Everything happens on one event loop, so no locks.

Whatever ends a run early ends it the same way: no new row is sent, rows under way are finished and written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from decimal import Decimal
from enum import Enum
from typing import Protocol, Self

import anyio
from attrs import define, field, frozen

from penstock.bulk.floodgate import FloodGate
from penstock.bulk.hopes import Hopes
from penstock.bulk.lines import ModelRules, Row, RowError, RowFault, not_run
from penstock.bulk.output import ResultWriter
from penstock.bulk.reading import UNREADABLE, Input, RawLine
from penstock.bulk.rows import error_file_line, output_line
from penstock.bulk.seen import RowParser
from penstock.bulk.tally import Tally
from penstock.errors import ErrorType
from penstock.schema import GenerationRequest, GenerationResult

__all__ = ["BulkRun", "RunOptions", "SendsMany", "Stop", "StopCause"]

RAMP_CAUTION = 10
"""While fewer rows are over than under way, one under way is taken to cost so many times the dearest one so far."""

MOST_HELD_BACK = 10_000
"""Bad lines that an ordered run holds back for a row before them; then it reads no further."""


class SendsMany(Protocol):
    """What a run needs of a service."""

    def generate_many(
        self, requests: AsyncIterable[GenerationRequest], *, ordered: bool = False
    ) -> AsyncIterator[GenerationResult]:
        """Send requests, lazily and a bounded number at a time, and give back their results."""


class StopCause(Enum):
    """Why a run stopped before its input ended."""

    INTERRUPTED = "interrupted"
    OUTPUT = "output"
    INPUT = "input"
    BUDGET = "budget"
    HOPELESS = "hopeless"


WRITES_OFF_THE_REST = (StopCause.BUDGET, StopCause.HOPELESS)
"""Causes after which the rest of the input is still read, and each of its rows written as failed, not run."""

LETS_NOTHING_THROUGH = (StopCause.INTERRUPTED, StopCause.OUTPUT, StopCause.HOPELESS)
"""Causes after which not even a row is sent that waits at a gate already."""


@frozen
class Stop:
    """Why a run stopped early, and a message for people."""

    cause: StopCause
    message: str


@frozen(kw_only=True)
class RunOptions:
    """How to run.

    Attributes:
        ordered: write in the order of the input instead of as rows complete.
        budget_usd: send no row that would, at the cost of the dearest one so far, take the sum beyond it with those
            under way; None for no budget.
        limit: read only so many rows; None reads all.
    """

    rules: ModelRules = field(factory=ModelRules)
    ordered: bool = False
    budget_usd: Decimal | None = None
    limit: int | None = None


@define
class BulkRun:
    """One run of one input. `tally` may be read at any time; `stop` says why it ended early, if it did.

    Attributes:
        floodgate: stands before the service's calls, so that a run that stops does not send what already waits.
        in_flight: the rows that were given to the service and are not over, by custom_id.
        last_line: the number of the last line of the input of which something has become, or will.
    """

    service: SendsMany
    source: Input
    writer: ResultWriter
    options: RunOptions = field(factory=RunOptions)
    floodgate: FloodGate = field(factory=FloodGate)
    tally: Tally = field(factory=Tally, init=False)
    stop: Stop | None = field(default=None, init=False)
    in_flight: dict[str, Row] = field(factory=dict, init=False)
    last_line: int = field(default=0, init=False)
    _parser: RowParser = field(init=False)
    _lines: deque[RawLine] = field(factory=deque, init=False)
    _held_back: deque[RowError] = field(factory=deque, init=False)
    _reading: anyio.CancelScope | None = field(default=None, init=False)
    _row_over: anyio.Event | None = field(default=None, init=False)
    _hopes: Hopes = field(factory=Hopes, init=False)

    @_parser.default
    def _make_parser(self) -> RowParser:
        return RowParser(self.options.rules)

    async def run(self) -> None:
        """Send every row and write every outcome. Cancel it to abandon the rows under way."""
        async for result in self.service.generate_many(_Requests(self), ordered=self.options.ordered):
            self._take(result)
        self._release_held_back()

    def drain(self, cause: StopCause, message: str) -> None:
        """Send no more rows; calls under way are finished and written, and most causes let no other call begin.

        The first cause is kept, unless it only writes off the rest of the input and the new one leaves that unread.
        """
        if self.stop is None or (cause not in WRITES_OFF_THE_REST and self.stop.cause in WRITES_OFF_THE_REST):
            self.stop = Stop(cause, message)
        if cause in LETS_NOTHING_THROUGH and self.floodgate.reason is None:
            self.floodgate.close(message)
        if self._reading is not None and self._leaves_rest_unread():
            self._reading.cancel()
        self._wake()

    def abandon(self) -> None:
        """Write the rows that are under way as failed ones, after `run` was cancelled: they can be run again."""
        self._release_held_back(before=next((row.line for row in self.in_flight.values()), None))
        for row in self.in_flight.values():
            error = not_run(row, RowFault.ABANDONED, "the run was interrupted before its answer came")
            self.tally.add_abandoned(error)
            if self.writer.failure is None:
                self._write(output_line(error), error_file_line(error))
        self.in_flight.clear()
        self._release_held_back()

    # ------------------------------------------------------------ the way in

    async def next_request(self) -> GenerationRequest | None:
        """Return the request of the next row that is to be sent; None when there are no more. Others are written."""
        while (raw := await self._next_line()) is not None:
            parsed = self._parser.parse(raw)
            row = await self._unless_stopped(parsed) if isinstance(parsed, Row) else parsed
            if row is None:
                return None
            self.last_line = row.line
            if isinstance(row, Row):
                self.in_flight[row.custom_id] = row
                return row.request
            await self._refuse(row)
        return None

    async def _next_line(self) -> RawLine | None:
        """Return the next line that is not blank; None at the end, at the limit, and when the rest stays unread."""
        while not self._leaves_rest_unread() and self.tally.read != self.options.limit:
            if not self._lines:
                batch = await self._next_batch()
                if batch is None:
                    return None
                self._lines.extend(batch)
            elif not (raw := self._lines.popleft()).is_blank:
                self.tally.read += 1
                return raw
        return None

    async def _next_batch(self) -> list[RawLine] | None:
        """Return the next lines; None at the end, when reading fails, and when `drain` calls the reader back."""
        batch = None
        with anyio.CancelScope() as self._reading:
            try:
                batch = await self.source.next_lines()
            except UNREADABLE as error:
                self.drain(StopCause.INPUT, f"{self.source.name} could not be read any further: {error}")
        self._reading = None
        return batch

    def _leaves_rest_unread(self) -> bool:
        return self.stop is not None and self.stop.cause not in WRITES_OFF_THE_REST

    async def _unless_stopped(self, row: Row) -> Row | RowError | None:
        """Return the row once it may be sent, its error if it never may, None when it is to be left unread."""
        while self.stop is None and self._would_exceed_budget():
            if self.in_flight:
                await self._until_a_row_is_over()
            else:
                self.drain(StopCause.BUDGET, self._budget_message())
        if self.stop is None:
            return row
        if self._leaves_rest_unread():
            self.tally.read -= 1
            return None
        fault = RowFault.BUDGET if self.stop.cause is StopCause.BUDGET else RowFault.NOT_RUN
        return not_run(row, fault, f"not run: {self.stop.message}")

    async def _until_a_row_is_over(self) -> None:
        self._row_over = anyio.Event()
        await self._row_over.wait()

    def _wake(self) -> None:
        if self._row_over is not None:
            self._row_over.set()

    def _would_exceed_budget(self) -> bool:
        budget, tally = self.options.budget_usd, self.tally
        if budget is None or tally.cost_usd >= budget:
            return budget is not None
        if not tally.finished:
            return bool(self.in_flight)  # the first row goes alone, to tell what a row costs
        under_way = len(self.in_flight) + 1
        caution = 1 if tally.finished >= under_way else RAMP_CAUTION
        return tally.cost_usd + tally.dearest_usd * under_way * caution > budget

    def _budget_message(self) -> str:
        spent, budget = self.tally.cost_usd, self.options.budget_usd
        return f"${spent:f} of the budget of ${budget:f} is spent, and one more row might exceed it"

    # ------------------------------------------------------------ the way out

    async def _refuse(self, row: RowError) -> None:
        """Write a row that is not sent; an ordered run holds it back while a row before it is under way."""
        if not (self.options.ordered and self.in_flight):
            self._write_refused(row)
            return
        self._held_back.append(row)
        while len(self._held_back) >= MOST_HELD_BACK and not self._leaves_rest_unread():
            await self._until_a_row_is_over()

    def _take(self, result: GenerationResult) -> None:
        """Write the outcome of a row that was sent, and see what follows from it."""
        row = self.in_flight.pop(result.request.custom_id or "")
        self._release_held_back(before=row.line)
        kept_back = result.error_type is ErrorType.GATE_REFUSED and self.floodgate.reason is not None
        if kept_back and not result.attempts:
            self._leave_unsent(row, self.floodgate.reason or "")
        else:
            if kept_back:
                result = _not_tried_again(result, self.floodgate.reason or "")
            self.tally.add(row.line, result)
            self._write(output_line(row, result), None if result.success else error_file_line(row, result))
        next_line = next((other.line for other in self.in_flight.values()), None)
        if self._held_back:
            self._release_held_back(before=next_line)
        self._judge(result)
        self._wake()

    def _leave_unsent(self, row: Row, reason: str) -> None:
        """Write a row that the floodgate kept back, unless there is no room to write; then it is as good as unread."""
        if self.writer.failure is None:
            self._write_refused(not_run(row, RowFault.NOT_RUN, f"not run: {reason}"))
        else:
            self.tally.read -= 1

    def _release_held_back(self, *, before: int | None = None) -> None:
        while self._held_back and (before is None or self._held_back[0].line < before):
            self._write_refused(self._held_back.popleft())

    def _write_refused(self, row: RowError) -> None:
        self.tally.add_unsent(row)
        self._write(output_line(row), error_file_line(row))

    def _write(self, line: bytes, error_line: bytes | None) -> None:
        self.writer.write(line, error_line)
        if self.writer.failure is not None:
            self.drain(StopCause.OUTPUT, self.writer.failure)

    def _judge(self, result: GenerationResult) -> None:
        """Stop when the budget cannot be kept, or when all rows so far met the same wall."""
        if self.options.budget_usd is not None and result.cost_usd is None:
            model = f"{result.provider}/{result.model}"
            self.drain(
                StopCause.BUDGET, f"no price is known for {model}, so no budget can be kept; give it one in [costs]"
            )
        hopeless = self._hopes.judge(result, anyio.current_time())
        if hopeless is not None:
            self.drain(StopCause.HOPELESS, hopeless)


def _not_tried_again(result: GenerationResult, reason: str) -> GenerationResult:
    """Return a result whose next try the floodgate kept back as the failure of its last one."""
    last = result.attempts[-1]
    why = f"{last.error_message}; not tried again: {reason}"
    return result.replace(error_type=last.error_type or result.error_type, error_message=why)


class _Requests:
    """A run's requests as an async iterator. No generator, which would have to be closed while a worker is in it."""

    def __init__(self, bulk: BulkRun) -> None:
        self._bulk = bulk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationRequest:
        request = await self._bulk.next_request()
        if request is None:
            raise StopAsyncIteration
        return request
