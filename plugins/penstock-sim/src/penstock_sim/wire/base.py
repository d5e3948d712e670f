"""What the simulation asks of a wire format; the formats stand in the modules beside this one."""

from abc import ABC, abstractmethod
from typing import ClassVar

from penstock_sim.exchange import Charge, Failure, HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.limiters import Admission


class Wire(ABC):
    """One wire format, from the server's side.

    It neither waits nor keeps anything; all bytes are unframed (SSE events whole, with their blank line, bodies
    without HTTP).

    Attributes:
        limited: False for requests that take nothing from the limits, such as those that only count tokens.
    """

    limited: ClassVar[bool] = True

    @abstractmethod
    def credential(self, request: HttpRequest) -> str | None:
        """Find the caller's key; None where there is none."""

    @abstractmethod
    def parse(self, request: HttpRequest) -> SimRequest:
        """Read a request. Raises RefusedError with the failure to tell for anything the real API refuses."""

    @abstractmethod
    def charge(self, request: SimRequest, assumed_max_tokens: int) -> Charge:
        """Count the tokens that the provider takes from its limits when the request comes in."""

    def charge_output(self, reply: SimReply) -> int:  # noqa: ARG002  # for formats that count it
        """Count the tokens that it takes when the answer is generated; none where output is taken in advance."""
        return 0

    @abstractmethod
    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write the whole reply as one body."""

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write the reply as a stream of SSE events, the terminator included; for formats that have streams."""
        raise NotImplementedError("this format has no streams")

    @abstractmethod
    def headers(self, stamp: Stamp, admission: Admission | None, failure: Failure | None = None) -> str:
        """Write the format's own header lines.

        Rate limits only where a limiter has decided; how long to wait where a failure says so.
        """

    @abstractmethod
    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure."""

    @abstractmethod
    def error(self, failure: Failure, stamp: Stamp) -> bytes:
        """Word a failure as a body."""

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:
        """Word a failure in the middle of a stream, after `place` events; for formats that have streams."""
        raise NotImplementedError("this format has no streams")
