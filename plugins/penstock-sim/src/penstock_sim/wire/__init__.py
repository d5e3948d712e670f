"""The seam between the simulation and the formats it speaks: one module per wire format.

To add a format, write a module with the functions of ``Wire`` and enter its path in ``ROUTES``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from penstock_sim.exchange import Failure, HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.limiters import Admission
from penstock_sim.wire import openai_chat


class Wire(Protocol):
    """One wire format, from the server's side. Modules implement it with functions.

    No function waits or keeps state; all bytes are unframed (SSE events whole, with
    their blank line, bodies without HTTP).
    """

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Find the caller's key; None where there is none."""

    def parse(self, request: HttpRequest) -> SimRequest:
        """Read the body. Raises RefusedError with the failure to tell for anything the real API refuses."""

    def charge(self, request: SimRequest, assumed_max_tokens: int) -> int:
        """Count the tokens that the provider takes from its token limit when the request comes in."""

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write the whole reply as one body."""

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write the reply as a stream of SSE events, the terminator included."""

    def headers(self, stamp: Stamp, admission: Admission | None) -> str:
        """Write the format's own header lines; rate limits only where a limiter has decided."""

    def error(self, failure: Failure) -> tuple[int, bytes]:
        """Word a failure: HTTP status and body."""

    def error_event(self, failure: Failure) -> bytes:
        """Word a failure as an SSE event in the middle of a stream."""


ROUTES: Final[Mapping[str, Wire]] = MappingProxyType({"/v1/chat/completions": openai_chat})
DEFAULT_WIRE: Final[Wire] = openai_chat
"""Words the failures of requests that no route is known for."""
