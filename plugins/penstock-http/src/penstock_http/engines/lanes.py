"""The connection pool of the httpx engine: each lane is an httpx transport that holds one connection.

httpx's own pool looks at every request and connection on each request, which costs milliseconds with hundreds in
flight. A stack of one-connection lanes costs the same however many there are.
"""

from __future__ import annotations

import ssl
from collections import deque

import anyio
import anyio.lowlevel
import httpx
from attrs import define, field

from penstock_http.proxies import proxy_for

IDLE_LANE_S = 60.0
"""Seconds after which a lane nobody needed is closed; also the longest a kept-alive connection is trusted."""


@define
class Lanes:
    """Idle lanes by origin, for the event loop that is running.

    Lanes of a loop that has ended are let go unclosed: closing them would need that loop.
    """

    _tls: ssl.SSLContext
    _idle: dict[tuple[str, str], deque[tuple[float, httpx.AsyncHTTPTransport]]] = field(factory=dict)
    _loop: object = None

    def take(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        """The lane used last for this origin, or a new one."""
        self._follow_loop()
        stack = self._idle.get(_origin(url))
        return stack.pop()[1] if stack else self._new(url)

    async def give_back(self, url: httpx.URL, lane: httpx.AsyncHTTPTransport) -> None:
        """Keep a lane whose exchange is complete, and close those idle for too long."""
        if self._loop != anyio.lowlevel.current_token():
            return
        now = anyio.current_time()
        stack = self._idle.setdefault(_origin(url), deque())
        stack.append((now, lane))
        while now - stack[0][0] > IDLE_LANE_S:
            await stack.popleft()[1].aclose()

    async def aclose(self) -> None:
        """Close every idle lane of the running loop."""
        self._follow_loop()
        stacks, self._idle = self._idle, {}
        for stack in stacks.values():
            for _, lane in stack:
                await lane.aclose()

    def _follow_loop(self) -> None:
        running = anyio.lowlevel.current_token()
        if self._loop != running:
            self._loop = running
            self._idle = {}

    def _new(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_LANE_S)
        proxy = proxy_for(*_origin(url))
        return httpx.AsyncHTTPTransport(verify=self._tls, limits=one, proxy=proxy)


def _origin(url: httpx.URL) -> tuple[str, str]:
    return url.scheme, url.netloc.decode("ascii")
