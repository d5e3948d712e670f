"""Paths into data, such as `items[0].price`: how they are written, read and followed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen

__all__ = ["NotThereError", "Path", "path_from"]

_PART = re.compile(
    r"""(?:^|(?<!^)\.)(?P<key>[^.\[\]"]+)|\[(?:(?P<index>-?\d+)|(?P<every>\*)|"(?P<quoted>(?:[^"\\]|\\.)*)")\]"""
)


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


class NotThereError(LookupError):
    """The path leads nowhere; the message says up to where it led."""


@frozen
class Path:
    """The parts of a path: a key, an index, or None for every item of a list."""

    parts: tuple[str | int | None, ...]

    def __str__(self) -> str:
        written = "".join(_written(part) for part in self.parts)
        return written.removeprefix(".") or "the whole"

    def follow(self, data: Any) -> Any:
        """Return what is at the path; a list, in order, for a path with `[*]`. Raises NotThereError."""
        return _follow(data, self.parts, ())


def path_from(value: str | Iterable[str | int] | Path) -> Path:
    """Return a path from text, or from keys and indexes one by one, where a key may be any text.

    Text is keys with dots between them, `[0]` and `[-1]` for an item, `[*]` for each item, `["a.b"]` for a key of any
    text. Raises ValueError for text that is not that.
    """
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        return Path(tuple(value))
    parts: list[str | int | None] = []
    position = 0
    while position < len(value):
        found = _PART.match(value, position)
        if found is None:
            raise ValueError(f"{value!r} is no path: it goes wrong at {value[position:]!r}; write keys.like.this[0]")
        if found["key"] is not None:
            parts.append(found["key"])
        elif found["index"] is not None:
            parts.append(int(found["index"]))
        elif found["every"] is not None:
            parts.append(None)
        else:
            parts.append(re.sub(r"\\(.)", r"\1", found["quoted"]))
        position = found.end()
    if not parts:
        raise ValueError("the path is empty; write a key, keys.with.dots or [0]")
    return Path(tuple(parts))


def _written(part: str | int | None) -> str:
    if part is None:
        return "[*]"
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(r'[^.\[\]"]+', part) else '["' + re.sub(r'(["\\])', r"\\\1", part) + '"]'


def _follow(data: Any, parts: tuple[str | int | None, ...], behind: tuple[str | int | None, ...]) -> Any:
    for done, part in enumerate(parts):
        here = (*behind, *parts[:done])
        if part is None:
            if not isinstance(data, list):
                raise NotThereError(_met(here, "a list", data))
            return [_follow(item, parts[done + 1 :], (*here, index)) for index, item in enumerate(data)]
        data = _one(data, part, here)
    return data


def _one(data: Any, part: str | int, here: tuple[str | int | None, ...]) -> Any:
    if isinstance(part, int) and isinstance(data, list):
        if -len(data) <= part < len(data):
            return data[part]
        raise NotThereError(f"{Path(here)} has {len(data)} items, and no item {part}")
    if isinstance(part, str) and isinstance(data, dict):
        if part in data:
            return data[part]
        keys = ", ".join(repr(key) for key in list(data)[:10]) or "none"
        raise NotThereError(f"{Path(here)} has no key {part!r}; its keys are {keys:.300}")
    raise NotThereError(_met(here, "a list" if isinstance(part, int) else "an object", data))


def _met(here: tuple[str | int | None, ...], wanted: str, data: Any) -> str:
    return f"{Path(here)} must be {wanted}, and is {_KINDS.get(type(data), type(data).__name__)}"
