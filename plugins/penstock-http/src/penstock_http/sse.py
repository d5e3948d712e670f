"""Server-sent events out of bytes as they arrive; pure, no I/O. The format is the WHATWG HTML standard, 9.2.6."""

from __future__ import annotations

from attrs import frozen

DEFAULT_MAX_EVENT = 8 * 1024 * 1024
MAX_STRAY = 64 * 1024
_BOM = b"\xef\xbb\xbf"


class EventTooLargeError(ValueError):
    """One event is larger than the parser was told to hold."""


@frozen
class Event:
    r"""One dispatched event.

    Attributes:
        data: The data lines joined by `\n`.
        event: The type; `message` when the server named none.
        id: The last event id the server has set so far, empty at first.
        retry: Milliseconds, when this event carried a `retry` field of digits.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class EventParser:
    r"""Parses one stream of events.

    The same bytes give the same events however they are split. Lines end with `\n`, `\r\n` or `\r`; bytes that are
    not UTF-8 become U+FFFD, as the standard asks; an event without data is dropped, and so is one that the stream's
    end cuts short.
    """

    def __init__(self, *, max_event: int = DEFAULT_MAX_EVENT) -> None:
        self._max_event = max_event
        self._started = False
        self._after_cr = False
        self._open_line: list[bytes] = []  # pieces of the line whose end has not come
        self._open_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._event = b""
        self._id = ""
        self._retry: int | None = None
        self._stray: list[bytes] = []
        self._stray_size = 0

    @property
    def stray(self) -> str:
        """The lines that were no field of an event, up to `MAX_STRAY` bytes: what a server put beside the events."""
        return _text(b"\n".join([*self._stray, *self._open_line]))

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events they complete.

        Raises `EventTooLargeError` when a line, or the data of one event, exceeds `max_event` bytes; the parser is
        of no use afterwards.
        """
        if not self._started and not (data := self._without_bom(data)):
            return []
        events: list[Event] = []
        for line in self._lines(data):
            if not line:
                self._dispatch(events)
            elif line.startswith(b"data: "):  # nearly every line of a model's stream
                self._add(line[6:])
            elif not line.startswith(b":"):
                self._take_field(line)
        return events

    def _without_bom(self, data: bytes) -> bytes:
        """The bytes after a leading byte order mark; empty while that is still open."""
        data = b"".join([*self._open_line, data])
        self._open_line = []
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._open_line = [data]
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends; the rest is kept for the next call."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *others = data.split(b"\n")
        self._open_line.append(first)
        self._open_size = self._checked(self._open_size + len(first))
        if not others:
            return []
        lines = [b"".join(self._open_line), *others[:-1]]
        self._open_line = [others[-1]]
        self._open_size = self._checked(len(others[-1]))
        return lines

    def _checked(self, size: int) -> int:
        if size > self._max_event:
            raise EventTooLargeError(f"an event is larger than {self._max_event} bytes")
        return size

    def _add(self, value: bytes) -> None:
        self._data_size = self._checked(self._data_size + len(value) + 1)
        self._data.append(value)

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = _text(value)
        elif name == b"retry" and value.isdigit() and len(value) <= 18:
            self._retry = int(value)
        elif name not in (b"id", b"retry") and self._stray_size + len(line) <= MAX_STRAY:
            self._stray.append(line)
            self._stray_size += len(line)

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = _text(b"\n".join(self._data) if len(self._data) > 1 else self._data[0])
            events.append(Event(data, _text(self._event) if self._event else "message", self._id, self._retry))
        self._data, self._data_size, self._event, self._retry = [], 0, b"", None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
