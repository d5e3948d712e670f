"""What is wrong with a value, in words: each problem is one line that starts with the path of the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from penstock.spelling import did_you_mean

__all__ = ["WrongValueError", "got", "join", "message_of", "problems_of", "without_values"]

SHOWN_CHARS = 60
"""The longest value that an error message repeats."""

SHORTEST_SECRET = 4
"""Strings below this length are not taken for credentials when a message is cleaned."""


def join(path: str, key: object) -> str:
    """Return the path of `key` inside `path`, quoted the way TOML would."""
    text = str(key)
    word = text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text)
    return f"{path}.{word}" if path else word


def got(value: Any, *, secret: bool = False) -> str:
    """Return how to speak of a wrong value: by its content when that is short and no secret, by its kind otherwise."""
    shown = repr(value) if isinstance(value, str | int | float) and not secret else ""
    if 0 < len(shown) <= SHOWN_CHARS:
        return {"True": "true", "False": "false"}.get(shown, shown)
    kinds = {bool: "true or false", str: "a string", int: "a number", float: "a number", type(None): "nothing"}
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return kinds.get(type(value), f"a {type(value).__name__}")


def message_of(error: BaseException) -> str:
    """Return an exception's own words on one line; attrs' validators put theirs first among their arguments."""
    words = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return " ".join(words.split()) or type(error).__name__


def without_values(text: str, data: Any) -> str:
    """Return `text` with every string that `data` holds replaced by "***"."""
    for value in sorted(_strings(data), key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _strings(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _strings(value)


class WrongValueError(Exception):
    """Says what was expected; keeps the value out of its text, for it may be a credential."""

    def __init__(self, expected: str, value: Any, hint: str = "") -> None:
        super().__init__(f"expected {expected}")
        self.expected, self.value, self.hint = expected, value, hint


def problems_of(error: BaseException, path: str, hidden: Any) -> Iterator[str]:
    """Put an exception of cattrs into lines; `hidden` is the data that none of them may repeat, or None."""
    match error:
        case ClassValidationError() | IterableValidationError():
            for each, place in _parts(error, path):
                yield from problems_of(each, place, hidden)
        case ForbiddenExtraKeysError():
            known = [field.alias or field.name for field in attrs.fields(error.cl)] if attrs.has(error.cl) else []
            for key in sorted(error.extra_fields, key=str):
                yield f"{join(path, key)}: unknown key{did_you_mean(str(key), known)}"
        case WrongValueError():
            secret = hidden is not None
            hint = "" if secret else error.hint
            yield f"{path}: expected {error.expected}, got {got(error.value, secret=secret)}{hint}".removeprefix(": ")
        case KeyError():
            yield f"{path}: missing"
        case _:
            key = path.rpartition(".")[2]
            yield f"{path}: {without_values(message_of(error), hidden).removeprefix(f'{key!r} ')}"


def _parts(group: ClassValidationError | IterableValidationError, path: str) -> Iterator[tuple[BaseException, str]]:
    """Yield the exceptions of a group, each with the path that cattrs noted on it."""
    noted, bare = group.group_exceptions()
    for each, note in noted:
        if isinstance(note, AttributeValidationNote):
            yield each, join(path, note.name)
        elif isinstance(note.index, int):
            yield each, f"{path}[{note.index}]"
        else:
            yield each, join(path, note.index)
    yield from ((each, path) for each in bare)
