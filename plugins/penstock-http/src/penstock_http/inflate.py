"""Decompression with a bound on every step, for engines whose own decoder has none."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

ACCEPTED = "gzip, deflate"
_STEP = 65536


class Decoder(Protocol):
    """Turns compressed bytes into plain ones, a step at a time."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to, in pieces of at most 64 KiB. Raises `zlib.error`."""

    def finish(self) -> None:
        """Raise `zlib.error` when the data ended early."""


class Inflater:
    """Decodes gzip or zlib data; `zlib` tells them apart by their headers.

    A step decodes at most 64 KiB, so whoever counts can stop a bomb before it has grown.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode `data`, a step at a time."""
        more = True
        while more:
            piece = self._zlib.decompress(data, _STEP)
            data = self._zlib.unconsumed_tail
            more = bool(data) or len(piece) == _STEP
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise `zlib.error` unless the compressed data is complete."""
        if not self._zlib.eof:
            raise zlib.error("incomplete compressed data")


class Plain:
    """Passes data through."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield `data`."""
        yield data

    def finish(self) -> None:
        """Nothing can be missing."""


def decoder_for(content_encoding: str) -> Decoder:
    """The decoder for a `content-encoding`. Raises `zlib.error` for one that was not asked for."""
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return Plain()
    if encoding in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    raise zlib.error("unknown content-encoding")
