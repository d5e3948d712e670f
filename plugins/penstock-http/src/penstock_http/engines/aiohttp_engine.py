"""The fast engine: aiohttp, whose response parser is C. asyncio only."""

from __future__ import annotations

import asyncio
import functools
import io
import math
import re
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
from attrs import define, field
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from penstock_http.engines.watch import Watch, within
from penstock_http.errors import TransportError, TransportFault, fault_error
from penstock_http.inflate import ACCEPTED, decoder_for
from penstock_http.patience import next_limit
from penstock_http.proxies import proxy_for
from penstock_http.tls import tls_context
from penstock_http.transport import HttpRequest, HttpResponse, HttpStream, Options, Transport

T = TypeVar("T")

_FAULTS: tuple[tuple[type[Exception], TransportFault], ...] = (  # the first that fits
    (aiohttp.ClientConnectorCertificateError, TransportFault.TLS),
    (aiohttp.ClientConnectorSSLError, TransportFault.TLS),
    (aiohttp.ClientConnectorError, TransportFault.CONNECT),
    (aiohttp.ClientHttpProxyError, TransportFault.CONNECT),
    (aiohttp.ConnectionTimeoutError, TransportFault.CONNECT_TIMEOUT),
    (aiohttp.InvalidURL, TransportFault.REQUEST),
    (aiohttp.ClientConnectionError, TransportFault.RESET),
    (aiohttp.ClientError, TransportFault.PROTOCOL),
    (zlib.error, TransportFault.PROTOCOL),
    (ValueError, TransportFault.REQUEST),  # a header or a URL that cannot be written
    (OSError, TransportFault.RESET),
)
_ENGINE_ERRORS = tuple(kind for kind, _ in _FAULTS)

KEEPALIVE_S = 30.0
"""Seconds an idle connection is kept. aiohttp's 15 s would mean a new TLS handshake for each call of a slow job."""

MAX_HEADER = 65536
"""Bytes of one response header; aiohttp's 8,190 is less than some gateways send."""

ONE_PIECE = 1_000_000
"""Bytes of the largest request body written at once."""

KNOWN_URLS = 256
"""URLs remembered in aiohttp's form."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


class AiohttpTransport(Transport):
    """Sends through one aiohttp session for each event loop.

    A session closes when its loop shuts down its asynchronous generators, as `asyncio.run` does at its end.

    aiohttp sends a GET, PUT or DELETE once more when the connection broke without an answer; never a POST.
    """

    name = "aiohttp"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._sessions: dict[asyncio.AbstractEventLoop, _Session] = {}
        self._closed = False

    async def send(self, request: HttpRequest, *, total_s: float | None = None) -> HttpResponse:
        """See `Transport.send`."""
        session = self._sessions.get(asyncio.get_running_loop()) or await self._open(request.url)
        exchange = _Exchange(self.options, session, request, self._total(total_s, request.url))
        try:
            response = await exchange.head()
            content = response.content
            if content.is_eof() and "content-encoding" not in response.headers:
                body = content.read_nowait(-1)  # the usual case: it came with the head
                if len(body) > self.options.max_body:
                    raise exchange.too_large()
            else:
                body = await exchange.whole_body(response)
        except _ENGINE_ERRORS as error:
            raise self._mapped(error, request.url) from None
        return HttpResponse(response.status, _Headers(response.headers), body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest, *, total_s: float | None = None) -> AsyncIterator[HttpStream]:
        """See `Transport.stream`."""
        session = self._sessions.get(asyncio.get_running_loop()) or await self._open(request.url)
        exchange = _Exchange(self.options, session, request, self._total(total_s, request.url))
        try:
            response = await exchange.head()
        except _ENGINE_ERRORS as error:
            raise self._mapped(error, request.url) from None
        body = self._chunks(exchange, response)
        try:
            yield HttpStream(response.status, _Headers(response.headers), body)
        finally:
            await body.aclose()
            response.close()  # drops the connection, unless the end of the body has freed it already

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        await self._leave_ended_loops()
        self._sessions = {}  # those of other running loops are closed there, by their loops
        if session is not None:
            await session.close()

    async def _open(self, url: str) -> _Session:
        """The session of the running loop, which has none yet."""
        if self._closed:
            raise fault_error(TransportFault.CLOSED, url)
        session = self._sessions[asyncio.get_running_loop()] = _Session(self.options, self._tls)
        await session.begin()
        await self._leave_ended_loops()
        return session

    async def _leave_ended_loops(self) -> None:
        for loop in [loop for loop in self._sessions if loop.is_closed()]:
            await self._sessions.pop(loop).http.close()  # waits for nothing: the connections ended with the loop

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context(self.options.ca_pem)

    async def _chunks(self, exchange: _Exchange, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in exchange.body(response):
                yield chunk
        except _ENGINE_ERRORS as error:
            raise self._mapped(error, exchange.request.url) from None

    def _mapped(self, error: Exception, url: str) -> TransportError:
        """What aiohttp raised, as a `TransportError`, by type."""
        if self._closed:
            return fault_error(TransportFault.CLOSED, url)
        fault = next(fault for kind, fault in _FAULTS if isinstance(error, kind))
        # A body cut short has one type; only its text says that the connection was reset.
        if isinstance(error, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(error):
            fault = TransportFault.RESET
        return fault_error(fault, url, seconds=self.options.timeouts.connect, detail=_detail(error))


class _Session:
    """What a transport has on one event loop."""

    def __init__(self, options: Options, tls: ssl.SSLContext) -> None:
        timeouts = options.timeouts
        self.first_byte = Watch(TransportFault.FIRST_BYTE_TIMEOUT, timeouts.first_byte)
        self.idle = Watch(TransportFault.IDLE_TIMEOUT, timeouts.idle)
        self.target = functools.lru_cache(KNOWN_URLS)(_target)
        own = {"accept": "*/*", "accept-encoding": ACCEPTED, "user-agent": "penstock"}
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=KEEPALIVE_S),
            headers=CIMultiDict(own | {name.lower(): value for name, value in options.headers.items()}),
            timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect, ceil_threshold=math.inf),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # it has no bound
            max_field_size=MAX_HEADER,
            trust_env=False,  # it would look for a proxy, and for passwords in ~/.netrc, in a thread at each request
        )
        self._closing = _closing(self.http)

    async def begin(self) -> None:
        """Have the session closed with its loop."""
        await anext(self._closing)

    async def close(self) -> None:
        """Close the connections."""
        await self._closing.aclose()


async def _closing(http: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Close `http` when this is closed: by its owner, or by the loop when it ends or nobody holds this any more."""
    try:
        yield
    finally:
        await http.close()


@define
class _Exchange:
    """One request, and the waits for its answer."""

    options: Options
    session: _Session
    request: HttpRequest
    total_s: float | None
    started: float = field(init=False, default=0.0)

    async def head(self) -> aiohttp.ClientResponse:
        """Send, and wait for the response head."""
        request, session = self.request, self.session
        url, proxy = session.target(request.url)
        if request.headers:
            _check_names(request.headers)
        sending = session.http.request(
            request.method,
            url,
            headers=request.headers or None,
            data=_payload(request.body),
            proxy=proxy,
            allow_redirects=False,
        )
        if self.total_s is None:
            return await session.first_byte.over(sending, request.url)
        self.started = asyncio.get_running_loop().time()
        return await self._within_total(session.first_byte, sending)

    async def whole_body(self, response: aiohttp.ClientResponse) -> bytes:
        """Read to the end."""
        try:
            return b"".join([chunk async for chunk in self.body(response)])
        finally:
            response.close()

    async def body(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The body, decoded, each read within the idle limit and the sum within `max_body`."""
        largest, size, decoder = self.options.max_body, 0, None
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > largest:
            raise self.too_large()
        while data := await self._read(response.content):
            decoder = decoder or decoder_for(response.headers.get("content-encoding", ""))
            for piece in decoder.feed(data):
                size += len(piece)
                if size > largest:
                    raise self.too_large()
                yield piece
        if decoder is not None:
            decoder.finish()

    def too_large(self) -> TransportError:
        """The error for a body beyond the bound."""
        return fault_error(TransportFault.TOO_LARGE, self.request.url, size=self.options.max_body)

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        """The next raw bytes; empty at the end."""
        if self.total_s is None:
            return await self.session.idle.over(content.readany(), self.request.url)
        return await self._within_total(self.session.idle, content.readany())

    async def _within_total(self, watch: Watch, waiting: Awaitable[T]) -> T:
        spent_s = asyncio.get_running_loop().time() - self.started
        limit = next_limit(watch.fault, watch.limit_s, total_s=self.total_s, spent_s=spent_s)
        return await within(limit, waiting, self.request.url)


class _Headers(CIMultiDictProxy[str]):
    """aiohttp's response headers, iterated in lower case and each name once; looked up at the speed of C."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name in super().__iter__()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    keys = Mapping.keys
    items = Mapping.items
    values = Mapping.values  # type: ignore[assignment]  # the base names a view class of its own


def _target(url: str) -> tuple[URL, str | None]:
    """What aiohttp is given for a URL, and the proxy on the way. Raises ValueError for what is no HTTP URL.

    A URL of plain ASCII is sent as it is. A user and a password in it are not: credentials go in headers.
    """
    plain = url.isascii() and url.isprintable() and " " not in url
    target = URL(url, encoded=plain)
    if target.scheme not in ("http", "https") or not target.raw_host:
        raise ValueError("not an HTTP URL")
    if target.raw_user is not None or target.raw_password is not None:
        target = target.with_user(None)
    proxy = proxy_for(target.scheme, target.host_port_subcomponent or "")
    if proxy is not None and not proxy.startswith(("http://", "https://")):
        raise fault_error(TransportFault.CONNECT, url, detail="the environment names a proxy that is not an HTTP proxy")
    return target, proxy


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body is written in pieces; aiohttp warns of one that is not."""
    return body if body is None or len(body) <= ONE_PIECE else io.BytesIO(body)


def _check_names(headers: Mapping[str, str]) -> None:
    """Refuse what is no header name; aiohttp looks for line ends only."""
    for name in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError("not a header name")


def _detail(error: Exception) -> str:
    """The system's reason for a failed connection, without the address, which is in the message already."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, aiohttp.ClientOSError):
        return error.strerror or ""
    return ""
