"""One stream on its way: the event that closes it, how far it has come, and the reading of its end."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Literal

from anyio import move_on_after
from attrs import define, field

from penstock.schema import GenerationChunk
from penstock_http.errors import TransportError
from penstock_http.sse import Event, EventParser
from penstock_http.transport import HttpStream

__all__ = ["END", "EventReader", "Progress", "StreamEnd", "drain"]


class StreamEnd(Enum):
    """The type of `END`."""

    END = "end"


END: Literal[StreamEnd.END] = StreamEnd.END
"""What `parse_event` returns for the event that closes a stream, such as OpenAI's `[DONE]`."""

EventReader = Callable[[Event], GenerationChunk | Literal[StreamEnd.END] | None]
"""Reads the events of one stream, in order."""

_DRAIN_S = 0.25
"""How long a stream may take to close after its last event; its connection can be used again if it does."""


@define
class Progress:
    """How far one stream has come.

    Attributes:
        read: the provider's reader of this stream's events.
        parser: holds the event that is not complete yet.
        begun: a chunk has come.
        finished: a finish reason has come.
        ended: the event that closes the stream has come.
    """

    read: EventReader
    parser: EventParser = field(factory=EventParser)
    begun: bool = False
    finished: bool = False
    ended: bool = False


async def drain(answer: HttpStream) -> None:
    """Read the end of a stream whose answer is complete, so that its connection is free for the next one."""
    with move_on_after(_DRAIN_S):
        try:
            async for _ in answer:
                pass
        except TransportError:
            return  # the answer is here; how its connection ended is of no consequence
