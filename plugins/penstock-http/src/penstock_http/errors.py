"""Why an HTTP exchange failed below the level of status codes; raised by every engine alike.

`TransportError` is the only exception; its `fault` is one of `TransportFault`.
"""

from __future__ import annotations

from enum import Enum
from urllib.parse import urlsplit


class TransportFault(Enum):
    """The kinds of transport failure, the same for every engine."""

    REQUEST = "request"
    """The request cannot be sent as given: bad URL, scheme or header."""
    CONNECT = "connect"
    """Refused, unreachable, or the name does not resolve."""
    TLS = "tls"
    """The server's certificate was not accepted, or TLS could not be agreed."""
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    RESET = "reset"
    """The connection broke after it was made."""
    PROTOCOL = "protocol"
    """The answer is not HTTP, is cut short, or its compression is broken."""
    TOO_LARGE = "too_large"
    """The body, counted after decompression, is larger than `Options.max_body`."""
    CLOSED = "closed"
    """The transport was closed by its owner."""

    @property
    def never_sent(self) -> bool:
        """True when the server cannot have seen the request, so that trying again costs nothing."""
        return self in _NEVER_SENT


_NEVER_SENT = frozenset(
    {
        TransportFault.REQUEST,
        TransportFault.CONNECT,
        TransportFault.TLS,
        TransportFault.CONNECT_TIMEOUT,
    }
)


class TransportError(Exception):
    """An exchange that ended without a complete answer.

    The message names the phase, the seconds and the host. It never holds a path, a query, a header or a body:
    some providers carry the key in the query. For the same reason the engine's own error is not chained to it.
    """

    def __init__(self, fault: TransportFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    def __reduce__(self) -> tuple[type[TransportError], tuple[TransportFault, str]]:
        return type(self), (self.fault, str(self))


_SENTENCES = {
    TransportFault.REQUEST: "the request to {host} cannot be sent",
    TransportFault.CONNECT: "cannot connect to {host}",
    TransportFault.TLS: "no trusted TLS connection to {host}",
    TransportFault.CONNECT_TIMEOUT: "no connection to {host} within {seconds:g} s",
    TransportFault.FIRST_BYTE_TIMEOUT: "no response from {host} within {seconds:g} s",
    TransportFault.IDLE_TIMEOUT: "{host} fell silent in mid-response for {seconds:g} s",
    TransportFault.TOTAL_TIMEOUT: "no complete response from {host} within {seconds:g} s in all",
    TransportFault.RESET: "the connection to {host} broke",
    TransportFault.PROTOCOL: "{host} sent an invalid or incomplete response",
    TransportFault.TOO_LARGE: "the response from {host} is larger than {size} bytes",
    TransportFault.CLOSED: "the transport is closed",
}


def fault_error(
    fault: TransportFault, url: str, *, seconds: float | None = None, size: int = 0, detail: str = ""
) -> TransportError:
    """The error for `fault` at the host of `url`.

    `detail` is the engine's reason; one that quotes a URL is left out.
    """
    sentence = _SENTENCES[fault].format(host=host_of(url), seconds=seconds or 0.0, size=size)
    if detail and "://" not in detail:
        sentence += f" ({detail})"
    return TransportError(fault, sentence)


def host_of(url: str) -> str:
    """`host[:port]` of a URL, without user and password; `the server` when there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the server"
    except ValueError:
        return "the server"
