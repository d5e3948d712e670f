"""JSON in and out of bodies, by orjson; foreign JSON is bounded in size and depth before anything looks at it."""

from __future__ import annotations

from typing import Any

import orjson

MAX_DEPTH_READ = 1024
"""Levels of arrays and objects that `loads` accepts: orjson's own limit, which it does not let anyone change."""

MAX_DEPTH_WRITTEN = 254
"""Levels that `dumps` accepts: orjson's own limit, likewise."""


class JsonBodyError(ValueError):
    """A body that is not the JSON it should be.

    `position` is the offset of the first wrong character, when there is one. The message never quotes the body.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def dumps(value: Any) -> bytes:
    """Encode `value` as compact UTF-8 JSON.

    Raises `JsonBodyError` for what JSON cannot say, and for more than `MAX_DEPTH_WRITTEN` levels.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:  # orjson.JSONEncodeError is TypeError itself
        raise JsonBodyError(f"not JSON: {error}") from None


def loads(body: bytes | bytearray | memoryview | str, *, max_size: int | None = None) -> Any:
    """Decode JSON.

    Raises `JsonBodyError` when the body is longer than `max_size`, is not JSON (NaN is not), is not UTF-8, or is
    nested deeper than `MAX_DEPTH_READ`.
    """
    if max_size is not None and len(body) > max_size:
        raise JsonBodyError(f"not JSON: {len(body)} bytes are more than the {max_size} allowed")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise JsonBodyError(f"not JSON: {error.msg} at position {error.pos}", error.pos) from None


def copied(value: Any) -> Any:
    """Return `value` made anew of lists and dicts, so that whoever changes a payload changes no request.

    Raises `JsonBodyError` for what JSON cannot say.
    """
    return orjson.loads(dumps(value))
