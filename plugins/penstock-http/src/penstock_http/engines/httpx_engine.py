"""The engine that runs everywhere: httpx on asyncio and on trio, pure Python."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import anyio
import httpx
from attrs import define

from penstock_http.engines.lanes import Lanes
from penstock_http.errors import TransportError, TransportFault, fault_error
from penstock_http.inflate import ACCEPTED, decoder_for
from penstock_http.patience import next_limit
from penstock_http.tls import tls_context
from penstock_http.transport import HttpRequest, HttpResponse, HttpStream, Options, Transport

_FAULTS: tuple[tuple[type[Exception], TransportFault], ...] = (
    (httpx.ConnectTimeout, TransportFault.CONNECT_TIMEOUT),
    (httpx.ConnectError, TransportFault.CONNECT),
    (httpx.ProxyError, TransportFault.CONNECT),
    (httpx.UnsupportedProtocol, TransportFault.REQUEST),
    (httpx.LocalProtocolError, TransportFault.REQUEST),
    (httpx.RemoteProtocolError, TransportFault.PROTOCOL),
    (httpx.NetworkError, TransportFault.RESET),
    (httpx.InvalidURL, TransportFault.REQUEST),
    (zlib.error, TransportFault.PROTOCOL),
    (UnicodeEncodeError, TransportFault.REQUEST),
)
_CLOSE_S = 1.0


class HttpxTransport(Transport):
    """Sends through httpx, one connection per lane; see `lanes` for why not httpx's own pool."""

    name = "httpx"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lanes: Lanes | None = None
        self._closed = False
        self._headers = {"accept-encoding": ACCEPTED, **{k.lower(): v for k, v in options.headers.items()}}

    async def send(self, request: HttpRequest, *, total_s: float | None = None) -> HttpResponse:
        """See `Transport.send`."""
        async with self.stream(request, total_s=total_s) as stream:
            return HttpResponse(stream.status, stream.headers, await stream.read())

    @asynccontextmanager
    async def stream(self, request: HttpRequest, *, total_s: float | None = None) -> AsyncIterator[HttpStream]:
        """See `Transport.stream`."""
        exchange = self._exchange(request, total_s)
        try:
            response = await exchange.head()
            body = exchange.body(response)
            try:
                yield HttpStream(response.status_code, response.headers, body)
            finally:
                await body.aclose()
        finally:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await exchange.end()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            await lanes.aclose()

    def _exchange(self, request: HttpRequest, total_s: float | None) -> _Exchange:
        if self._closed:
            raise fault_error(TransportFault.CLOSED, request.url)
        if self._lanes is None:
            self._lanes = Lanes(tls_context(self.options.ca_pem))
        headers = self._headers
        if request.headers:
            headers = headers | {k.lower(): v for k, v in request.headers.items()}
        with _mapped(request.url):
            outgoing = httpx.Request(request.method, request.url, headers=headers, content=request.body)
        outgoing.extensions["timeout"] = {"connect": self.options.timeouts.connect}
        return _Exchange(
            self.options, self._lanes, request.url, outgoing, self._total(total_s, request.url), anyio.current_time()
        )


@define
class _Exchange:
    """One request on one lane. The lane goes back only when the whole body was read."""

    options: Options
    lanes: Lanes
    url: str
    request: httpx.Request
    total_s: float | None
    started: float
    lane: httpx.AsyncHTTPTransport | None = None
    raw: AsyncGenerator[bytes, None] | None = None
    complete: bool = False

    async def head(self) -> httpx.Response:
        """Send, and wait for the response head."""
        self.lane = lane = self.lanes.take(self.request.url)
        with self._waiting(TransportFault.FIRST_BYTE_TIMEOUT, self.options.timeouts.first_byte):
            response = await lane.handle_async_request(self.request)
            self.raw = cast("AsyncGenerator[bytes, None]", response.aiter_raw())  # declared as an iterator only
        return response

    async def body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body, decoded, each read within the idle limit and the sum within `max_body`."""
        largest, size, decoder = self.options.max_body, 0, None
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > largest:
            raise fault_error(TransportFault.TOO_LARGE, self.url, size=largest)
        while data := await self._read():
            with _mapped(self.url):
                decoder = decoder or decoder_for(response.headers.get("content-encoding", ""))
                for piece in decoder.feed(data):
                    size += len(piece)
                    if size > largest:
                        raise fault_error(TransportFault.TOO_LARGE, self.url, size=largest)
                    yield piece
        if decoder is not None:
            with _mapped(self.url):
                decoder.finish()
        self.complete = True

    async def end(self) -> None:
        """Free the connection: back to its lane when complete, closed otherwise."""
        if self.raw is not None:
            await self.raw.aclose()
        if self.lane is None:
            return
        if self.complete:
            await self.lanes.give_back(self.request.url, self.lane)
        else:
            await self.lane.aclose()

    async def _read(self) -> bytes:
        """The next raw bytes; empty at the end."""
        data = b""
        with self._waiting(TransportFault.IDLE_TIMEOUT, self.options.timeouts.idle):
            if self.raw is not None:
                data = await anext(self.raw, b"")
        return data

    @contextmanager
    def _waiting(self, fault: TransportFault, phase_s: float | None) -> Iterator[None]:
        """Allow what is done inside as long as the phase and the total have left."""
        spent_s = anyio.current_time() - self.started
        limit = next_limit(fault, phase_s, total_s=self.total_s, spent_s=spent_s)
        with anyio.move_on_after(limit.wait_s) as scope, _mapped(self.url, self.options.timeouts.connect):
            yield
        if scope.cancelled_caught:
            raise fault_error(limit.fault, self.url, seconds=limit.named_s)


@contextmanager
def _mapped(url: str, connect_s: float | None = None) -> Iterator[None]:
    """Turn what httpx raises into a `TransportError`, by type."""
    try:
        yield
    except TransportError:
        raise
    except Exception as error:
        fault = next((fault for kind, fault in _FAULTS if isinstance(error, kind)), None)
        if fault is None:
            raise
        if fault is TransportFault.CONNECT and _comes_of(error, "ssl"):
            fault = TransportFault.TLS
        # Of a server that hangs up without a word there is no type of its own; but h11 has read nothing then.
        if isinstance(error, httpx.RemoteProtocolError) and not _comes_of(error, "h11"):
            fault = TransportFault.RESET
        # A header's value or a URL can be quoted in what these two say.
        detail = "" if fault in (TransportFault.REQUEST, TransportFault.PROTOCOL) else str(error)
        raise fault_error(fault, url, seconds=connect_s, detail=detail) from None


def _comes_of(error: BaseException | None, package: str) -> bool:
    """Say whether an error of `package` is among those that `error` was made of."""
    while error is not None:
        if type(error).__module__.partition(".")[0] == package:
            return True
        error = error.__cause__ or error.__context__
    return False
