"""The seam between the simulation and the formats it speaks: one module per wire format.

To add a format, write a module with the functions of ``Wire`` and enter its path in ``ROUTES``, or in
``PATTERNS`` where the path has a name in it.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from penstock_sim.exchange import Charge, Failure, HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.limiters import Admission
from penstock_sim.wire import (
    anthropic_messages,
    gemini,
    gemini_embeddings,
    openai_chat,
    openai_embeddings,
    openai_responses,
)


class Wire(Protocol):
    """One wire format, from the server's side. Modules implement it with functions.

    No function waits or keeps state; all bytes are unframed (SSE events whole, with
    their blank line, bodies without HTTP).
    """

    def credential(self, request: HttpRequest) -> str | None:
        """Find the caller's key; None where there is none."""

    def parse(self, request: HttpRequest) -> SimRequest:
        """Read a request. Raises RefusedError with the failure to tell for anything the real API refuses."""

    def charge(self, request: SimRequest, assumed_max_tokens: int) -> Charge:
        """Count the tokens that the provider takes from its limits when the request comes in."""

    def charge_output(self, reply: SimReply) -> int:
        """Count the tokens that it takes when the answer is generated, where they are not taken in advance."""

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write the whole reply as one body."""

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write the reply as a stream of SSE events, the terminator included."""

    def headers(self, stamp: Stamp, admission: Admission | None, failure: Failure | None = None) -> str:
        """Write the format's own header lines.

        Rate limits only where a limiter has decided; how long to wait where a failure says so.
        """

    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure."""

    def error(self, failure: Failure, stamp: Stamp) -> bytes:
        """Word a failure as a body."""

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:
        """Word a failure in the middle of a stream, after ``place`` events."""


ROUTES: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        "/v1/chat/completions": openai_chat,
        "/v1/responses": openai_responses,
        "/v1/embeddings": openai_embeddings,
        "/v1/messages": anthropic_messages,
    }
)
PATTERNS: Final[tuple[tuple[re.Pattern[str], Wire], ...]] = (
    (gemini.PATH, gemini),
    (gemini_embeddings.PATH, gemini_embeddings),
)
DEFAULT_WIRE: Final[Wire] = openai_chat
"""Words the failures of requests that no route is known for."""


def wire_of(path: str) -> Wire | None:
    """Find the format that is spoken on a path."""
    if (wire := ROUTES.get(path)) is not None:
        return wire
    return next((wire for pattern, wire in PATTERNS if pattern.fullmatch(path)), None)
