"""What the tests of the simulated server share: servers in threads, and clients that see raw bytes."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from penstock_sim import SimConfig, SimServer

CHAT = "/v1/chat/completions"


class RawClient:
    """A socket that speaks bytes and tells how the server left it."""

    def __init__(self, server: SimServer) -> None:
        address = urlsplit(server.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=5)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send(b"POST %b HTTP/1.1\r\nhost: sim\r\ncontent-length: %d\r\n\r\n%b" % (CHAT.encode(), len(text), text))

    def read_all(self) -> bytes:
        """Everything until the server closes. Raises ConnectionResetError if it resets instead."""
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        return data

    def read_until_silent(self, seconds: float = 0.1) -> bytes:
        """Everything until nothing has come for a while on the open connection."""
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                return data
            assert piece, "the server closed the connection"
            data += piece
            self.socket.settimeout(seconds)


@pytest.fixture
def serve() -> Iterator[Callable[..., SimServer]]:
    """Start a server in a thread with these settings; it stops at the end of the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(SimServer.in_thread(SimConfig(**settings)))


@pytest.fixture
def client() -> Iterator[Callable[[SimServer], httpx.Client]]:
    """An HTTP client for a server."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=5))


@pytest.fixture
def raw() -> Iterator[Callable[[SimServer], RawClient]]:
    """A bare connection to a server."""
    opened: list[RawClient] = []

    def connect(server: SimServer) -> RawClient:
        opened.append(RawClient(server))
        return opened[-1]

    yield connect
    for one in opened:
        one.socket.close()


@pytest.fixture
def chat() -> Callable[..., dict[str, Any]]:
    """The body of a request that asks this."""

    def body(question: str = "How deep is the lake?", **more: Any) -> dict[str, Any]:
        return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}], **more}

    return body
