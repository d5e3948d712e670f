"""One connection: HTTP/1.1 in, answers out in order, each with its delays and its ending."""

import asyncio
import os
import socket
import struct
from collections import deque
from typing import Final, cast

import httptools

from penstock_sim.exchange import Ending, Failure, FailureKind, HttpAnswer, HttpRequest
from penstock_sim.framing import CONTINUE, frame
from penstock_sim.simulation import Simulation

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_QUEUED: Final = 32
"""Pipelined requests that may wait before the connection is no longer read."""
LINGER_S: Final = 1.0
"""How long a refused connection is still read, so that its refusal is not lost to a reset."""

_RESET_ON_CLOSE: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Connection(asyncio.Protocol):
    """Parses requests, has them answered one after the other, and sends the answers.

    Requests may be pipelined: their answers come in the same order. Broken HTTP is
    answered 400, a head over 64 KiB 431, a body over the configured size 413; the
    connection is closed after each of these.
    """

    def __init__(self, simulation: Simulation, connections: set["Connection"]) -> None:
        self._simulation = simulation
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self.closed = self._loop.create_future()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[HttpRequest | HttpAnswer] = deque()
        self._unsent: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False  # an answer is under way
        self._blocked = False  # the client does not take what is written
        self._unread = False  # the client is ahead of us, and not read
        self._deaf = False  # whatever else comes in is ignored
        self._refused = False
        self._stopping = False
        self._clear_request()

    # -- the transport's side ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection among the open ones."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._simulation.stats.connected()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Give up what is under way, and settle the books."""
        self._connections.discard(self)
        self._simulation.stats.disconnected()
        if self._busy:
            self._simulation.stats.ended()
        if self._timer is not None:
            self._timer.cancel()
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and answer what is complete."""
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a mistake of ours, not of the client's
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request is answered as if it had not asked for another protocol
        except httptools.HttpParserError:
            self._refuse(FailureKind.INVALID_HTTP, "The request is not valid HTTP/1.1.")
        self._advance()
        if len(self._queue) > MAX_QUEUED and not self._unread and not self._transport.is_closing():
            self._unread = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Write no more: the client does not keep up."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Go on where the client left off."""
        self._blocked = False
        if self._unsent and self._timer is None:
            self._send_next()
        self._advance()

    # -- the parser's side -------------------------------------------------------------------

    def _clear_request(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0

    def on_message_begin(self) -> None:
        """Start a request."""
        self._clear_request()

    def on_url(self, url: bytes) -> None:
        """Collect the URL, which may come in pieces."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; of repeated ones the last counts."""
        self._headers[name.lower()] = value
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Refuse a body declared too large, or ask for the body if the client waits to be asked."""
        declared = self._headers.get(b"content-length", b"0")
        if int(declared) > self._simulation.config.max_body_bytes:
            self._refuse_body()
        elif self._headers.get(b"expect", b"").lower() == b"100-continue" and not self._busy:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body, chunked or not, within the size allowed."""
        self._body_bytes += len(body)
        if self._body_bytes > self._simulation.config.max_body_bytes:
            self._refuse_body()
        elif not self._deaf:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Queue the request."""
        if self._deaf:
            return
        method = self._parser.get_method().decode("ascii")
        path, _, query = self._url.decode("latin-1").partition("?")
        keep_alive = self._parser.should_keep_alive()
        self._queue.append(HttpRequest(method, path, self._headers, b"".join(self._body), keep_alive, query))
        self._deaf = not keep_alive

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(FailureKind.HEADERS_TOO_LARGE, f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")

    def _refuse_body(self) -> None:
        size = self._simulation.config.max_body_bytes
        self._refuse(FailureKind.BODY_TOO_LARGE, f"The request's body is larger than {size} bytes.")

    def _refuse(self, kind: FailureKind, message: str) -> None:
        """Queue a refusal as the last answer; whatever else comes in is not listened to."""
        if not self._deaf:
            self._deaf = self._refused = True
            self._body.clear()
            path = self._url.decode("latin-1").partition("?")[0]
            self._queue.append(self._simulation.reject(path, Failure(kind, message)))

    # -- answering ---------------------------------------------------------------------------

    def stop(self) -> None:
        """Close when the answer under way is out, at once if there is none."""
        self._stopping = self._deaf = True
        self._queue.clear()
        if not self._busy:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    def _advance(self) -> None:
        """Answer what is queued, up to the first answer that takes time."""
        while self._queue and not (self._busy or self._blocked or self._transport.is_closing()):
            item = self._queue.popleft()
            if isinstance(item, HttpAnswer):
                self._begin(item, keep_alive=False, head_only=False)
            else:
                answer = self._simulation.respond(item)
                self._begin(answer, keep_alive=item.keep_alive, head_only=item.method == "HEAD")
        if self._unread and not self._queue and not self._transport.is_closing():
            self._unread = False
            self._transport.resume_reading()

    def _begin(self, answer: HttpAnswer, *, keep_alive: bool, head_only: bool) -> None:
        self._busy = True
        self._simulation.stats.began()
        self._ending = answer.ending
        self._gap_s = answer.gap_s
        if answer.ending not in (Ending.ABANDON, Ending.RESET):
            pieces = frame(answer, keep_alive=keep_alive and not self._stopping, head_only=head_only)
            self._unsent.extend(pieces if answer.gap_s else (b"".join(pieces),))
        if answer.delay_s:
            self._timer = self._loop.call_later(answer.delay_s, self._on_timer)
        else:
            self._send_next()

    def _on_timer(self) -> None:
        self._timer = None
        self._send_next()
        self._advance()

    def _send_next(self) -> None:
        """Send a piece; the next one follows after the gap, once the client has taken this one."""
        if self._unsent:
            self._transport.write(self._unsent.popleft())
        if not self._unsent:
            self._end()
        elif not self._blocked:
            self._timer = self._loop.call_later(self._gap_s, self._on_timer)

    def _end(self) -> None:
        """Leave the connection as the answer's ending says."""
        self._busy = False
        self._simulation.stats.ended()
        match self._ending:
            case Ending.COMPLETE:
                if self._stopping or (self._deaf and not self._queue):
                    self._hang_up()
            case Ending.STALL if not self._stopping:
                self._deaf = True
                self._queue.clear()
            case Ending.STALL | Ending.TEAR | Ending.ABANDON:
                self._transport.close()
            case Ending.RESET:
                self._reset()

    def _hang_up(self) -> None:
        """Close, but read on for a moment after a refusal: closing with data unread would reset the connection."""
        if not self._refused:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = self._loop.call_later(LINGER_S, self._transport.close)

    def _reset(self) -> None:
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
