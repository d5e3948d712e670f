"""HTTP/1.1 framing of answers: from an HttpAnswer to the bytes on the socket."""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from penstock_sim.exchange import Ending, HttpAnswer

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES: Final = {
    **{status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus},
    529: "HTTP/1.1 529 Overloaded\r\n",  # Anthropic's own
}
_LAST_CHUNK: Final = b"0\r\n\r\n"


class _DateHeader:
    """The date header line of this second; formatting one costs more than the rest of a head."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._line = second, f"date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


_date = _DateHeader()


def frame(answer: HttpAnswer, *, keep_alive: bool, head_only: bool = False) -> list[bytes]:
    """Frame an answer as the pieces to send, the head within the first of them.

    Streams are chunked, one chunk for each part, and get their last chunk only if the
    answer is complete. `head_only` leaves out the body, as HEAD demands.
    """
    kept = keep_alive and answer.ending is Ending.COMPLETE
    if answer.stream:
        kind = "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
        length = "transfer-encoding: chunked\r\n"
        pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in answer.parts]
        if answer.ending is Ending.COMPLETE:
            pieces.append(_LAST_CHUNK)
    else:
        kind = "content-type: application/json\r\n"
        pieces = list(answer.parts)
        declared = answer.content_length
        length = f"content-length: {sum(map(len, pieces)) if declared is None else declared}\r\n"
    connection = "" if kept else "connection: close\r\n"
    head = f"{_STATUS_LINES[answer.status]}{kind}{_date.line()}{answer.headers}{length}{connection}\r\n".encode()
    if head_only or not pieces:
        return [head]
    pieces[0] = head + pieces[0]
    return pieces
