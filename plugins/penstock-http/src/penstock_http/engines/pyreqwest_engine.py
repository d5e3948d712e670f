"""The fast engine: pyreqwest, which runs HTTP in Rust threads and wakes asyncio with the result. asyncio only."""

from __future__ import annotations

import asyncio
import atexit
import functools
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import anyio.lowlevel
from pyreqwest import exceptions as rust
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from penstock_http.errors import TransportError, TransportFault, fault_error
from penstock_http.patience import Limit, next_limit
from penstock_http.transport import HttpRequest, HttpResponse, HttpStream, Options, Transport

T = TypeVar("T")

_SEND_BUFFER = 65536
"""Bytes that `send` lets the engine gather before it wakes asyncio: most answers cost one wake-up that way."""

_EXIT_SETTLE_S = 0.05

_CONNECTING = "client error (Connect)"
"""What hyper, under the engine, calls a failure to get a connection; the exception's type alone does not say."""

_FAULTS: tuple[tuple[type[rust.PyreqwestError], TransportFault, TransportFault], ...] = (
    # type, fault while connecting, fault afterwards
    (rust.ReadTimeoutError, TransportFault.IDLE_TIMEOUT, TransportFault.IDLE_TIMEOUT),
    (rust.RequestTimeoutError, TransportFault.CONNECT_TIMEOUT, TransportFault.FIRST_BYTE_TIMEOUT),
    (rust.NetworkError, TransportFault.CONNECT, TransportFault.RESET),
    (rust.DecodeError, TransportFault.PROTOCOL, TransportFault.PROTOCOL),
    (rust.BuilderError, TransportFault.REQUEST, TransportFault.REQUEST),
    (rust.ClientClosedError, TransportFault.CLOSED, TransportFault.CLOSED),
    (rust.PyreqwestError, TransportFault.CONNECT, TransportFault.PROTOCOL),
)
_DETAILED = {TransportFault.CONNECT, TransportFault.TLS, TransportFault.RESET}
_TIMED = {TransportFault.CONNECT_TIMEOUT, TransportFault.FIRST_BYTE_TIMEOUT, TransportFault.IDLE_TIMEOUT}


class PyreqwestTransport(Transport):
    """Sends through one pyreqwest client, which belongs to no event loop and outlives them.

    `send` takes the head and up to 64 KiB of body as one read, whose silence the engine's own timer bounds by the
    larger of `first_byte` and `idle`: a second wake-up or an asyncio timer would cost more than the seam.

    A request cancelled before its first read is done goes on without its caller until that read is done or a limit
    passes: pyreqwest (0.15.1) detaches its task instead of stopping it. The server may work on, and charge.
    """

    name = "pyreqwest"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._client: Client | None = None
        self._closed = False
        timeouts = options.timeouts
        self._silence_s = _larger(timeouts.first_byte, timeouts.idle)
        self._engine_times_head = timeouts.first_byte == self._silence_s

    async def send(self, request: HttpRequest, *, total_s: float | None = None) -> HttpResponse:
        """See `Transport.send`."""
        outgoing, total_s = self._outgoing(request, total_s, _SEND_BUFFER)
        started = 0.0 if total_s is None else time.monotonic()
        try:
            if self._engine_times_head:
                response = await outgoing.__aenter__()
            else:
                first_byte = self.options.timeouts.first_byte
                limit = Limit(TransportFault.FIRST_BYTE_TIMEOUT, first_byte, first_byte)
                response = await _within(limit, request.url, outgoing.__aenter__())
            body = await self._whole_body(response, outgoing, request.url)
        except rust.PyreqwestError as error:
            raise self._mapped(error, request.url, total_s, started) from None
        except asyncio.CancelledError:
            await _cancellation_of_anyio()
            raise
        return HttpResponse(response.status, _Headers(response), body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest, *, total_s: float | None = None) -> AsyncIterator[HttpStream]:
        """See `Transport.stream`."""
        outgoing, total_s = self._outgoing(request, total_s, 0)
        started = time.monotonic()
        first_byte = self.options.timeouts.first_byte
        limit = next_limit(TransportFault.FIRST_BYTE_TIMEOUT, first_byte, total_s=total_s, spent_s=0.0)
        try:
            response = await _within(limit, request.url, outgoing.__aenter__())
        except rust.PyreqwestError as error:
            raise self._mapped(error, request.url, total_s, started) from None
        body = self._chunks(response, request.url, total_s, started)
        try:
            yield HttpStream(response.status, _Headers(response), body)
        finally:
            await body.aclose()
            await outgoing.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _outgoing(self, request: HttpRequest, total_s: float | None, buffer: int) -> tuple[StreamRequest, float | None]:
        """The engine's form of a request, and its total limit."""
        client = self._client or self._open(request.url)
        try:
            builder = client.request(request.method, request.url).streamed_read_buffer_limit(buffer)
            if request.headers:
                builder = builder.headers(request.headers)
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            if (total_s := self._total(total_s, request.url)) is not None:
                builder = builder.timeout(timedelta(seconds=total_s))
            return builder.build_streamed(), total_s
        except ValueError:  # the engine's BuilderError is one
            raise fault_error(TransportFault.REQUEST, request.url) from None

    def _open(self, url: str) -> Client:
        if self._closed:
            raise fault_error(TransportFault.CLOSED, url)
        timeouts = self.options.timeouts
        builder = ClientBuilder().follow_redirects(enable=False).referer(enable=False)
        builder = builder.brotli(enable=False).zstd(enable=False)  # their windows are not ours to bound
        if self.options.headers:
            builder = builder.default_headers(self.options.headers)
        if timeouts.connect is not None:
            builder = builder.connect_timeout(timedelta(seconds=timeouts.connect))
        if self._silence_s is not None:
            builder = builder.read_timeout(timedelta(seconds=self._silence_s))
        if self.options.ca_pem is not None:
            builder = builder.add_root_certificate_pem(self.options.ca_pem)
        self._client = builder.build()
        _settle_at_exit()
        return self._client

    async def _whole_body(self, response: Response, outgoing: StreamRequest, url: str) -> bytes:
        """Read to the end, counting; an answer that fits the buffer is already here."""
        largest = self.options.max_body
        reader = response.body_reader
        parts: list[bytes] = []
        size, complete = 0, False
        try:
            while (chunk := await reader.read_chunk()) is not None:
                parts.append(chunk.to_bytes())
                size += len(parts[-1])
                if size > largest:
                    raise fault_error(TransportFault.TOO_LARGE, url, size=largest)
            complete = True
        finally:
            if not complete:
                await outgoing.__aexit__(None, None, None)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _chunks(
        self, response: Response, url: str, total_s: float | None, started: float
    ) -> AsyncGenerator[bytes, None]:
        largest = self.options.max_body
        _refuse_declared(response, url, largest)
        reader = response.body_reader
        idle, size = self.options.timeouts.idle, 0
        while True:
            spent = time.monotonic() - started
            limit = next_limit(TransportFault.IDLE_TIMEOUT, idle, total_s=total_s, spent_s=spent)
            try:
                chunk = await _within(limit, url, reader.read_chunk())
            except rust.PyreqwestError as error:
                raise self._mapped(error, url, total_s, started) from None
            if chunk is None:
                return
            size += len(chunk)
            if size > largest:
                raise fault_error(TransportFault.TOO_LARGE, url, size=largest)
            yield chunk.to_bytes()

    def _mapped(self, error: rust.PyreqwestError, url: str, total_s: float | None, started: float) -> TransportError:
        """What the engine raised, as a `TransportError`: by type, and by whether it was still connecting."""
        causes = _causes(error)
        connecting = _CONNECTING in causes
        fault = next((early if connecting else late) for kind, early, late in _FAULTS if isinstance(error, kind))
        if fault is TransportFault.CONNECT and any("certificate" in cause for cause in causes):
            fault = TransportFault.TLS
        seconds = self.options.timeouts.connect if connecting else self._silence_s
        if fault in _TIMED and total_s is not None and time.monotonic() - started >= total_s:
            fault, seconds = TransportFault.TOTAL_TIMEOUT, total_s
        detail = causes[-1] if causes and fault in _DETAILED else ""
        return fault_error(fault, url, seconds=seconds, detail=detail)


class _Headers(Mapping[str, str]):
    """The engine's response headers, each read when asked for: most answers need a few of twenty."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def __getitem__(self, key: str) -> str:
        value = _header(self._response, key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """As any mapping's; written out because the inherited one raises and catches for each absent header."""
        value = _header(self._response, key)
        return default if value is None else value

    def __iter__(self) -> Iterator[str]:
        return (name for name in dict.fromkeys(self._response.headers) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _header(response: Response, name: str) -> str | None:
    """One header's first value; a value that is not text counts as none."""
    try:
        return response.get_header(name)
    except ValueError:
        return None


async def _cancellation_of_anyio() -> None:
    """Raise the running cancel scope's own cancellation, if there is one.

    pyreqwest replaces the exception it is cancelled with by one of its own, which no scope of anyio knows as its.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()


async def _within(limit: Limit, url: str, reading: Awaitable[T]) -> T:
    """Await `reading` for at most `limit`."""
    timer = asyncio.timeout(limit.wait_s)
    try:
        async with timer:
            return await reading
    except TimeoutError:
        if timer.expired():
            raise fault_error(limit.fault, url, seconds=limit.named_s) from None
        raise  # the engine's own timeout, which is a TimeoutError too
    except asyncio.CancelledError:
        await _cancellation_of_anyio()
        raise


def _refuse_declared(response: Response, url: str, largest: int) -> None:
    declared = _header(response, "content-length") or ""
    if declared.isdecimal() and int(declared) > largest:
        raise fault_error(TransportFault.TOO_LARGE, url, size=largest)


def _causes(error: rust.PyreqwestError) -> list[str]:
    details = getattr(error, "details", None) or {}
    return [cause["message"] for cause in details.get("causes") or ()]


def _larger(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


@functools.cache
def _settle_at_exit() -> None:
    """Give the engine's threads a moment before the interpreter ends.

    Before CPython 3.14 a thread that asks for the interpreter lock while the interpreter ends is killed, which
    aborts the process when the thread is Rust's. Seen with pyreqwest 0.15.1 on one core in 17 of 24 runs; a pause
    of 20 ms in which the threads finish left none.
    """
    if sys.version_info < (3, 14):
        atexit.register(time.sleep, _EXIT_SETTLE_S)
