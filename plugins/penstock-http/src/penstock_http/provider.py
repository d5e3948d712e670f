"""The base of HTTP providers: everything between a payload and a reply that is the same for all of them.

A provider names its URL and its key, and adds pure functions: request to payload, body to reply, event to chunk,
error body to error. None of them does I/O, so each can be tested with recorded bytes.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from attrs import evolve

from penstock.contracts import BaseLLMProvider
from penstock.errors import ErrorType, ProviderError
from penstock.schema import GenerationChunk, LimitReading, LLMCallRequest, ProviderReply
from penstock_http.engines import EngineError, choose_engine, engine_in_use
from penstock_http.errors import TransportError, host_of
from penstock_http.headers import RetryHint, parse_limits, parse_retry
from penstock_http.jsonbody import JsonBodyError, dumps, loads
from penstock_http.progress import END, EventReader, Progress, StreamEnd, drain
from penstock_http.secret import KeySource, Secret
from penstock_http.sse import Event
from penstock_http.status import NO_HINT, UNEXPECTED_SHAPE, completed, error_type_of, message_of, transport_failure
from penstock_http.transport import DEFAULT_MAX_BODY, HttpRequest, HttpStream, Options, Timeouts, Transport

__all__ = ["END", "HttpProvider", "StreamEnd"]


_NO_HEADERS: Mapping[str, str] = {}


class HttpProvider(BaseLLMProvider):
    """Calls one vendor's API over HTTP. Subclass it, set the class attributes, write the `parse_` functions.

    The `parse_` functions get foreign data: they may read it as if it had the documented shape, because whatever they
    raise when it has not (KeyError, TypeError ...) becomes a `MALFORMED_RESPONSE`. A `ProviderError` passes as it is.

    Attributes:
        default_base_url: the vendor's own; only there a key is required.
        path: what is appended to the base URL.
        key_variable: the environment variable that holds the key when no `api_key` is given; "" for a vendor that
            needs no key, such as a server on this machine.
        base_url_variable: the environment variable that holds the base URL when no `base_url` is given.
        request_id_header: where the vendor puts its id of the call.
    """

    default_base_url: ClassVar[str]
    path: ClassVar[str]
    key_variable: ClassVar[str] = ""
    base_url_variable: ClassVar[str] = ""
    request_id_header: ClassVar[str] = "x-request-id"

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.

        Args:
            api_key: the key; None takes it from the environment, now or when the first call needs it. A function is
                asked for a key that changes, such as a token that lasts an hour: see `KeySource`.
            base_url: where the API is; None takes it from the environment, else the vendor's own.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
        """
        url = base_url or os.environ.get(self.base_url_variable) or self.default_base_url
        self.base_url = url.strip().rstrip("/")
        if urlsplit(self.base_url).scheme not in ("http", "https") or not urlsplit(self.base_url).hostname:
            raise ValueError("base_url must be an http:// or https:// address")
        if engine is not None:
            choose_engine(engine, backend="asyncio")
        self.url = self.base_url + self.path
        self.host = host_of(self.base_url)
        self._keys = KeySource(api_key) if callable(api_key) else None
        self._key = None if callable(api_key) else Secret.of(api_key)
        self._extra_headers = dict(headers or {})
        self._timeouts = timeouts or Timeouts()
        self._max_body = max_body
        self._engine = engine
        self._transport: Transport | None = None
        self._ready = False

    # ---------------------------------------------------------------- what a provider says

    @abstractmethod
    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the JSON to send. Raise `ProviderError` of `INVALID_REQUEST` for what the vendor cannot do."""

    @abstractmethod
    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in the JSON of an answer; request id and limits are added from the headers."""

    @abstractmethod
    def parse_event(self, event: Event) -> GenerationChunk | Literal[StreamEnd.END] | None:
        """Return the chunk in a stream's event, `END` for the one that closes the stream, None for one to pass over."""

    def event_reader(self) -> EventReader:
        """Return what reads the events of one stream, in order; override it where one needs what came before it."""
        return self.parse_event

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says; `data` is its JSON, or its text where it is no JSON.

        A hint of the body goes in `retry_after_s`; status, request id and the headers' hint are added. The default
        knows the status alone and takes the message from the usual places.
        """
        return ProviderError(message_of(data), error_type_of(status))

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry the key; by default as a bearer token."""
        return {"authorization": f"Bearer {key}"}

    def needs_key(self) -> bool:
        """Return whether a call without a key is refused before it is made: at the vendor's own address."""
        return bool(self.key_variable) and self.base_url == self.default_base_url

    def http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:  # noqa: ARG002  # for overriders
        """Return the request for a payload; override it where the URL depends on the model or on `stream`.

        The transport adds the headers that are the same for all requests.
        """
        return HttpRequest("POST", self.url, _NO_HEADERS, dumps(payload))

    # ---------------------------------------------------------------- the engine's side

    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the payload, or fail with `AUTHENTICATION` before anything queues when there is no key."""
        if not self._ready:
            self._check_key()
        try:
            return self.payload(request)
        except JsonBodyError as error:
            raise _unsendable(error) from error

    async def _invoke_impl(self, payload: dict[str, Any]) -> ProviderReply:
        request = self._http_request(payload, stream=False)
        if self._keys is not None:
            request = await self._signed(request, self._keys)
        transport = self._transport or self._open()
        try:
            response = await transport.send(request)
        except TransportError as error:
            raise transport_failure(error) from error
        if not 200 <= response.status < 300:
            raise self._refusal(response.status, response.headers, response.body)
        return self._reply(response.status, response.headers, response.body)

    async def stream(self, payload: dict[str, Any]) -> AsyncGenerator[GenerationChunk, None]:
        """Make one call and yield its chunks as they arrive.

        Raises a `CONNECTION` error when the stream ends before the answer does. A server that answers a request for a
        stream with a whole JSON body gives one chunk.
        """
        request = self._http_request(payload, stream=True)
        if self._keys is not None:
            request = await self._signed(request, self._keys)
        transport = self._transport or self._open()
        try:
            async with transport.stream(request) as answer:
                if not 200 <= answer.status < 300:
                    raise self._refusal(answer.status, answer.headers, await answer.read())
                if answer.headers.get("content-type", "").startswith("application/json"):
                    yield GenerationChunk.of(self._reply(answer.status, answer.headers, await answer.read()))
                    return
                progress = Progress(self.event_reader())
                async for data in answer:
                    for chunk in self._chunks(data, answer, progress):
                        yield chunk
                    if progress.ended:
                        break
                self._check_complete(answer, progress)
                await drain(answer)
        except TransportError as error:
            raise transport_failure(error) from error

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    def describe(self) -> str:
        """Return the base URL and the HTTP engine, such as "https://api.openai.com/v1 via aiohttp 3.14.5".

        A key that is needed and missing is said too, by the name of its environment variable.
        """
        parts = urlsplit(self.base_url)
        missing = self.needs_key() and not (self._keys or self._key or os.environ.get(self.key_variable))
        remark = f"; {self.key_variable} is not set" if missing else ""
        return f"{parts.scheme}://{self.host}{parts.path} via {engine_in_use(self._engine)}{remark}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} at {self.host}>"

    # ---------------------------------------------------------------- the way there

    def _check_key(self) -> None:
        if self._keys is None:
            self._key = self._key or Secret.of(os.environ.get(self.key_variable))
        if self._keys is None and self._key is None and self.needs_key():
            remedy = f"{self.key_variable} is not set; set it, or give the provider an api_key"
            raise ProviderError(remedy, ErrorType.AUTHENTICATION)
        if self._key is not None and not self._key.fits_a_header:
            remedy = (
                f"the key (from api_key, or {self.key_variable}) has characters that no header can carry; copy it anew"
            )
            raise ProviderError(remedy, ErrorType.AUTHENTICATION)
        self._ready = True

    def _open(self) -> Transport:
        """Make the transport: on the first call, because only then it is known which event loop runs."""
        self._check_key()
        own = {"content-type": "application/json", "user-agent": "penstock"}
        auth = self.auth_headers(self._key.reveal()) if self._key is not None and self._keys is None else {}
        given = {name.lower(): value for name, value in self._extra_headers.items()}
        options = Options(headers={**own, **auth, **given}, timeouts=self._timeouts, max_body=self._max_body)
        try:
            self._transport = choose_engine(self._engine).build(options)
        except EngineError as error:
            raise ProviderError(str(error), ErrorType.INVALID_REQUEST) from error
        return self._transport

    def _http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:
        try:
            return self.http_request(payload, stream=stream)
        except JsonBodyError as error:
            raise _unsendable(error) from error

    async def _signed(self, request: HttpRequest, keys: KeySource) -> HttpRequest:
        """Return `request` with the key that is valid now; a header that was given with the settings still wins."""
        self._key = await keys.current()
        given = {name.lower() for name in self._extra_headers}
        auth = {name: text for name, text in self.auth_headers(self._key.reveal()).items() if name not in given}
        return evolve(request, headers={**auth, **request.headers})

    # ---------------------------------------------------------------- the way back

    def limits(self, headers: Mapping[str, str]) -> tuple[LimitReading, ...]:
        """Return what the headers of an answer say of the vendor's limits."""
        return parse_limits(headers, now_wall=time.time())

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderReply:
        try:
            reply = self.parse_reply(loads(body))
        except ProviderError as error:
            raise self._failure(error, status, headers) from None  # its text may quote the key
        except UNEXPECTED_SHAPE as error:
            raise self._failure(error, status, headers) from error
        return reply._replace(request_id=headers.get(self.request_id_header), limits=self.limits(headers))

    def _chunks(self, data: bytes, answer: HttpStream, progress: Progress) -> Iterator[GenerationChunk]:
        """Yield the chunks that `data` completes; the stream's first one carries what the headers said."""
        try:
            for event in progress.parser.feed(data):
                chunk = progress.read(event)
                if chunk is END:
                    progress.ended = True
                    return
                if chunk is None:
                    continue
                if not progress.begun:
                    progress.begun = True
                    request_id = answer.headers.get(self.request_id_header)
                    chunk = evolve(chunk, request_id=request_id, limits=self.limits(answer.headers))
                progress.finished = progress.finished or chunk.finish_reason is not None
                yield chunk
        except ProviderError as error:
            raise self._failure(error, answer.status, answer.headers) from None  # as above
        except UNEXPECTED_SHAPE as error:
            raise self._failure(error, answer.status, answer.headers) from error

    def _check_complete(self, answer: HttpStream, progress: Progress) -> None:
        """Raise where the body ended before the answer did."""
        if progress.begun and (progress.ended or progress.finished):
            return
        error = self._beside_events(answer.status, progress.parser.stray)
        if error is None and not progress.begun:
            error = ProviderError("the stream held no answer", ErrorType.MALFORMED_RESPONSE)
        elif error is None:
            error = ProviderError("the stream ended early, before a finish reason", ErrorType.CONNECTION)
        raise self._failure(error, answer.status, answer.headers)

    def _beside_events(self, status: int, text: str) -> ProviderError | None:
        """Return the error that a server wrote into a stream as it is, and not as an event; Google's do."""
        try:
            data = loads(text)
            return self.parse_error(status, data) if message_of(data) else None
        except UNEXPECTED_SHAPE:
            return None

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Return the error of an answer whose status says that it failed."""
        if status == 401 and self._keys is not None:
            self._keys.forget()
        data: Any
        try:
            data = loads(body)
        except JsonBodyError:
            data = body[:4096].decode("utf-8", "replace")
        try:
            error = self.parse_error(status, data)
        except UNEXPECTED_SHAPE:  # the status still says what it is
            error = HttpProvider.parse_error(self, status, data)
        return self._failure(error, status, headers, parse_retry(headers, now_wall=time.time()))

    def _failure(
        self, error: Exception, status: int, headers: Mapping[str, str], hint: RetryHint = NO_HINT
    ) -> ProviderError:
        """Return `error` with all that is known of the answer it was found in, and the key masked."""
        told = completed(
            error,
            status=status,
            host=self.host,
            hint=hint,
            request_id=headers.get(self.request_id_header),
            limits=self.limits(headers),
        )
        if self._key is not None:
            told.args = (self._key.masked(str(told)),)
        return told


def _unsendable(error: JsonBodyError) -> ProviderError:
    return ProviderError(f"the request cannot be sent: {error}", ErrorType.INVALID_REQUEST)
