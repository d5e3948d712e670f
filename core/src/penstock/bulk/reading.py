"""Bytes of a file, of stdin or of a gzip file, as numbered lines, lazily and in bounded memory."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Self, cast

import anyio
from anyio import to_thread
from attrs import define, field, frozen

__all__ = ["MAX_LINE_BYTES", "UNREADABLE", "Input", "LineSplitter", "RawLine"]

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A longer line is one failed row. OpenAI takes 200 MB for a whole Batch file; images come as base64."""

UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading may raise: the file system's errors, and those of a torn or damaged gzip file."""

CHUNK_BYTES = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"


@frozen
class RawLine:
    """A line of the input, its newline taken off; `number` starts at 1.

    Attributes:
        text: the line's bytes; None when it is longer than the limit and was skipped.
        size: its length in bytes, however long it was.
    """

    number: int
    text: bytes | None
    size: int

    @property
    def is_blank(self) -> bool:
        """Whether the line holds nothing but white space."""
        return self.text is not None and not self.text.strip()


@define
class LineSplitter:
    """Cuts chunks into lines. A line beyond `max_bytes` is counted and skipped, never held."""

    max_bytes: int = MAX_LINE_BYTES
    _number: int = 0
    _pieces: list[bytes] = field(factory=list)
    _size: int = 0

    def feed(self, chunk: bytes) -> list[RawLine]:
        """Return the lines that are complete now."""
        first, *rest = chunk.split(b"\n")
        self._hold(first)
        lines = []
        for piece in rest:
            lines.append(self._line())
            self._hold(piece)
        return lines

    def end(self) -> list[RawLine]:
        """Return the last line, if the input did not end with a newline."""
        return [self._line()] if self._size else []

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self.max_bytes:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _line(self) -> RawLine:
        self._number += 1
        size, text = self._size, b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return RawLine(self._number, text if size <= self.max_bytes else None, size)


@define
class Input:
    """An open input: "-" is stdin, gzip is recognised by its first bytes.

    Attributes:
        name: how messages call it.
        path: where it is; None for stdin.
    """

    name: str
    path: Path | None
    _file: BufferedReader | gzip.GzipFile
    _splitter: LineSplitter
    _polled: bool = False
    _zipped: bool = False
    _ended: bool = False

    @classmethod
    def open(cls, path: str, *, max_line_bytes: int = MAX_LINE_BYTES) -> Self:
        """Open `path`; raises OSError when it cannot be read, a folder included."""
        splitter = LineSplitter(max_line_bytes)
        if path == "-":
            if sys.stdin is None:  # what Python makes of a closed one
                raise OSError("stdin is closed; name a file")
            piped = not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode) and os.name == "posix"
            return cls("stdin", None, cast("BufferedReader", sys.stdin.buffer), splitter, polled=piped)
        file = Path(path).open("rb")  # noqa: SIM115 - the object owns it, until `close`
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.peek(2)[:2] == GZIP_MAGIC:
            file.close()
            return cls(path, Path(path), gzip.GzipFile(path), splitter, zipped=True)
        return cls(path, Path(path), file, splitter)

    async def next_lines(self) -> list[RawLine] | None:
        """Return the lines of the next chunk, perhaps none; None at the end. Raises one of `UNREADABLE`."""
        if self._ended:
            return None
        chunk = await self._read()
        self._ended = not chunk
        return self._splitter.feed(chunk) if chunk else self._splitter.end()

    async def _read(self) -> bytes:
        if self._polled:
            # A thread that reads a pipe or a terminal cannot be called back: it would outlive Ctrl-C.
            await anyio.wait_readable(self._file.fileno())
            return os.read(self._file.fileno(), CHUNK_BYTES)
        # read1: what a torn gzip file still holds comes before its error
        return await to_thread.run_sync(self._file.read1, CHUNK_BYTES)

    def count(self) -> int | None:
        """Return how many lines there are, blank ones included, by reading them all; None unless it is a plain file."""
        if self.path is None or self._zipped or not self.path.is_file():
            return None
        lines, last = 0, b"\n"
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        return lines + (last != b"\n")

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if self.path is not None:
            self._file.close()
