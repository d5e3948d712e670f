"""The seam between providers and HTTP engines: a request, an answer, and the one contract in between.

Providers use only what is here; `penstock_http.engines` holds what implements it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import Attribute, field, frozen

from penstock_http.errors import TransportFault, fault_error

DEFAULT_MAX_BODY = 32 * 1024 * 1024
MAX_TIMEOUT_S = 31_536_000.0


def _positive(_: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 < value <= MAX_TIMEOUT_S:
        raise ValueError(f"{attribute.name} must be positive seconds up to a year, or None, not {value!r}")


@frozen(kw_only=True)
class Timeouts:
    """How long each phase of one exchange may take, in seconds; None means no limit.

    Attributes:
        connect: Name lookup, TCP and TLS.
        first_byte: From sending until the response head is there. 600 s, because a reasoning model is silent
            while it thinks, and an answer cut off is paid for all the same.
        idle: Between two reads of the body.
        total: The whole exchange. A call's own `total_s` can only shorten it.
    """

    connect: float | None = field(default=5.0, validator=_positive)
    first_byte: float | None = field(default=600.0, validator=_positive)
    idle: float | None = field(default=60.0, validator=_positive)
    total: float | None = field(default=None, validator=_positive)


@frozen(kw_only=True)
class Options:
    """What a transport is built with, once.

    Attributes:
        headers: Sent with every request; a request's own header of the same name wins. Not in the repr.
        timeouts: See `Timeouts`.
        max_body: The most bytes of one body, counted after decompression.
        ca_pem: More certificate authorities to trust, as PEM. Certificates are always verified.
    """

    headers: Mapping[str, str] = field(factory=dict, repr=False)
    timeouts: Timeouts = field(factory=Timeouts)
    max_body: int = field(default=DEFAULT_MAX_BODY)
    ca_pem: bytes | None = field(default=None, repr=False)

    @max_body.validator
    def _check_max_body(self, _: Attribute[int], value: int) -> None:
        if value <= 0:
            raise ValueError(f"max_body must be a positive number of bytes, not {value!r}")


@frozen
class HttpRequest:
    """One request. Neither its query, headers nor body appear in the repr: each can carry a credential.

    A user and password in the URL are not sent; credentials go in `headers`.
    """

    method: str
    url: str = field(repr=lambda url: repr(url.partition("?")[0].rpartition("@")[2]))
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@frozen
class HttpResponse:
    """A whole answer, whatever its status.

    `headers` is read with lower-case names. `body` is decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class HttpStream:
    """The head of an answer, and its body as it arrives; `async for chunk in stream`, once.

    Chunks are decompressed, never empty, and cut wherever the network cut them.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    chunks: AsyncIterator[bytes] = field(repr=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks

    async def read(self) -> bytes:
        """Return all that is left of the body; the way to read an error's details."""
        return b"".join([chunk async for chunk in self.chunks])


class Transport(ABC):
    """Sends requests over pooled connections.

    What every engine guarantees:

    - one request is one exchange: no retries of an answered request, no redirects followed, no cookies kept;
    - as many exchanges at once as are asked for; limits are the gates' business;
    - failure is a `TransportError`, whatever the engine raises inside;
    - no body larger than `Options.max_body` is ever held;
    - a cancelled exchange is given up at once, and its connection with it, so that the server learns of it;
    - connections are opened at first use on the running event loop, and again when that loop has ended;
    - `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are honoured.
    """

    name: str

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    async def send(self, request: HttpRequest, *, total_s: float | None = None) -> HttpResponse:
        """Send `request` and return the whole answer.

        `total_s` shortens `Timeouts.total` for this call, for a caller with a deadline of its own; 0 or less has
        passed. Raises `TransportError`.
        """

    @abstractmethod
    def stream(self, request: HttpRequest, *, total_s: float | None = None) -> AbstractAsyncContextManager[HttpStream]:
        """Send `request`; enter with the response head, then iterate over the body.

        Leaving the context early drops the connection. Entering and iterating raise `TransportError`.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing. Later requests fail with `CLOSED`."""

    def _total(self, total_s: float | None, url: str) -> float | None:
        """The smaller of the call's and the transport's total limit; None when neither is finite.

        Raises `TransportError` when it has passed already.
        """
        total = self.options.timeouts.total
        if total_s is None or total_s == math.inf:
            return total
        if total_s <= 0:
            raise fault_error(TransportFault.TOTAL_TIMEOUT, url, seconds=0.0)
        return total_s if total is None else min(total, total_s)
