"""Server-sent events, as the APIs frame them."""

from typing import Any

import orjson


def data(value: object) -> bytes:
    """Write an event without a name."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def named(value: dict[str, Any]) -> bytes:
    """Write an event whose name is its data's own `type`."""
    return b"event: " + str(value["type"]).encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"
