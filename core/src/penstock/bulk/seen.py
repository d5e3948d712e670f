"""The rows of one input: each line parsed, and each custom_id met once.

Ids take twelve bytes each: a million lines must not need a hundred megabytes.
"""

from __future__ import annotations

from array import array

from penstock.bulk.lines import ModelRules, Row, RowError, RowFault, not_run, parse_line
from penstock.bulk.reading import RawLine

__all__ = ["RowParser", "SeenIds"]


class RowParser:
    """Parses the lines of one input, and refuses a custom_id that an earlier good line had."""

    def __init__(self, rules: ModelRules) -> None:
        self._rules = rules
        self._seen = SeenIds()

    def parse(self, raw: RawLine) -> Row | RowError:
        """Return the request that a line asks for, or what is wrong with it. Never raises."""
        row = parse_line(raw, self._rules)
        if isinstance(row, RowError):
            return row
        first = self._seen.first_line(row.custom_id, row.line)
        if first is None:
            return row
        return not_run(
            row, RowFault.DUPLICATE_CUSTOM_ID, f"custom_id {row.custom_id!r} is that of line {first} already"
        )


class SeenIds:
    """An open-addressing table from the 64-bit hash of an id to the number of its first line.

    Two of a million different ids share a hash with a probability below 1 in 10 million; the later one would then be
    refused as a duplicate, visibly. Python salts string hashes in each process, so no input can provoke it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(1024)

    def _make(self, slots: int) -> None:
        self._mask = slots - 1
        self._hashes = array("q", bytes(8 * slots))
        self._lines = array("I", bytes(array("I").itemsize * slots))

    def first_line(self, custom_id: str, line: int) -> int | None:
        """Return the line that had this id before; None when `line` is the first, which is then remembered."""
        if self._count * 3 > self._mask * 2:
            self._grow()
        return self._put(hash(custom_id), line)

    def _put(self, key: int, line: int) -> int | None:
        slot = key & self._mask
        while taken := self._lines[slot]:
            if self._hashes[slot] == key:
                return taken
            slot = (slot + 1) & self._mask
        self._hashes[slot], self._lines[slot] = key, line
        self._count += 1
        return None

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        self._count = 0
        self._make(2 * (self._mask + 1))
        for key, line in zip(hashes, lines, strict=True):
            if line:
                self._put(key, line)
