"""Fixtures of this package: every engine on every backend, and a server of raw bytes that misbehaves by path.

The server runs on plain threads, so the same one serves clients on asyncio and on trio.
"""

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import pytest
from attrs import define, field, frozen

from penstock_http import ENGINES, Engine

BOMB = gzip.compress(bytes(64 * 1024 * 1024), 1)


@frozen
class Seen:
    """One request as it arrived: target, lower-cased headers and body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def _answer(status: str, body: bytes, *extra: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *extra]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@define
class RawServer:
    """Serves `http://127.0.0.1:<port>/<behaviour>` until it is left as a context manager."""

    port: int = field(init=False)
    seen: list[Seen] = field(factory=list)
    connections: int = 0
    hung_up: threading.Event = field(factory=threading.Event)
    arrived: threading.Event = field(factory=threading.Event)
    _closing: threading.Event = field(factory=threading.Event)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(factory=list)

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.port}/{behaviour}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0.05)
        with connection:
            try:
                while (seen := self._read(connection)) is not None:
                    self.seen.append(seen)
                    self.arrived.set()
                    path = seen.target.split("?")[0].rsplit("/", 1)[-1]
                    getattr(self, "_do_" + path.replace("-", "_"))(connection, seen)
            except OSError:
                self.hung_up.set()

    def _read(self, connection: socket.socket) -> Seen | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self._receive(connection)):
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += self._receive(connection)
        method, target, _ = first.split(" ")
        return Seen(method, target, headers, body)

    def _receive(self, connection: socket.socket) -> bytes:
        """The next bytes; empty when the client hung up or the server is closing."""
        while not self._closing.is_set():
            try:
                data = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                self.hung_up.set()
            return data
        return b""

    def _hang(self, connection: socket.socket) -> None:
        """Says nothing until the client hangs up, then ends the connection."""
        while self._receive(connection):
            pass
        raise ConnectionResetError

    # Behaviours: the path `/slow-head` is served by `_do_slow_head`.

    def _do_ok(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("200 OK", b'{"ok":true}', "X-Request-Id: r1", "set-cookie: a=1"))

    def _do_once(self, connection: socket.socket, seen: Seen) -> None:
        """Answers the first request of a connection and drops the second."""
        if sum(other.target == seen.target for other in self.seen) > 1:
            raise ConnectionResetError
        self._do_ok(connection, seen)

    def _do_echo(self, connection: socket.socket, seen: Seen) -> None:
        told = {"method": seen.method, "target": seen.target, "headers": seen.headers, "body": seen.body.decode()}
        connection.sendall(_answer("200 OK", json.dumps(told).encode()))

    def _do_odd_headers(self, connection: socket.socket, seen: Seen) -> None:
        odd = b"x-odd: \xff\xe9\r\nretry-after: \xb2\r\nx-ratelimit-limit-requests: \xb2\r\nx-even: yes\r\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + odd + b"content-length: 2\r\n\r\nok")

    def _do_limited(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("429 Too Many Requests", b"{}", "Retry-After: 2"))

    def _do_redirect(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("302 Found", b"", "Location: /ok"))

    def _do_slow_head(self, connection: socket.socket, seen: Seen) -> None:
        self._hang(connection)

    def _do_stall(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(CHUNKED + _chunk(b"data: one\n\n"))
        self._hang(connection)

    def _do_stall_late(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(CHUNKED + _chunk(b"x" * 300_000))
        self._hang(connection)

    def _do_chunks(self, connection: socket.socket, seen: Seen) -> None:
        parts = b"".join(_chunk(f"data: {i}\n\n".encode()) for i in range(3))
        connection.sendall(CHUNKED + parts + b"0\r\n\r\n")

    def _do_large(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(CHUNKED + _chunk(b"x" * 100_000) * 5 + b"0\r\n\r\n")

    def _do_huge_length(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx")
        self._hang(connection)

    def _do_endless(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(CHUNKED)
        block = _chunk(b"x" * 65536)
        while not self._closing.is_set():
            try:
                connection.sendall(block)
            except TimeoutError:
                raise ConnectionResetError from None  # the client stopped reading and kept the connection

    def _do_gzip(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("200 OK", gzip.compress(b'{"ok":true}'), "content-encoding: gzip"))

    def _do_bomb(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("200 OK", BOMB, "content-encoding: gzip"))

    def _do_broken_gzip(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(_answer("200 OK", b"not gzip at all", "content-encoding: gzip"))

    def _do_short(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
        raise ConnectionResetError

    def _do_hang_up(self, connection: socket.socket, seen: Seen) -> None:
        raise ConnectionResetError

    def _do_reset(self, connection: socket.socket, seen: Seen) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    def _do_reset_late(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(CHUNKED + _chunk(b"x" * 10))
        self._do_reset(connection, seen)

    def _do_garbage(self, connection: socket.socket, seen: Seen) -> None:
        connection.sendall(b"\x00\x01 this is not HTTP\r\n\r\n")
        raise ConnectionResetError


RUNS = [(engine, backend) for engine in ENGINES.values() for backend in sorted(engine.backends)]


@pytest.fixture(params=RUNS, ids=lambda run: f"{run[0].name}-{run[1]}")
def run(request):
    if not request.param[0].installed:
        pytest.skip(f"{request.param[0].name} is not installed")
    return request.param


@pytest.fixture
def engine(run) -> Engine:
    return run[0]


@pytest.fixture
def anyio_backend(run) -> str:
    return run[1]


@pytest.fixture
def server():
    with RawServer() as server:
        yield server


@pytest.fixture
def tls_server(certificate):
    """The URL of a server with a certificate that nobody has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    class Ok(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self):
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request, address):
            pass  # the client that does not trust the certificate hangs up

    with Server(("127.0.0.1", 0), Ok) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
