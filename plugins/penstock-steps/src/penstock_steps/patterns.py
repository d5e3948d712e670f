"""Regular expressions of users, as the steps take them."""

from __future__ import annotations

import re
from typing import Any

import attrs

__all__ = ["MOST_MATCHED_CHARS", "compiled", "is_pattern"]

MOST_MATCHED_CHARS = 100_000
"""The default of `max_chars` where a user's pattern meets a model's text."""


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return a compiled pattern. Raises ValueError that says what is wrong with it and where."""
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def is_pattern(_: Any, __: attrs.Attribute[Any], pattern: str) -> None:
    """Check an attrs field that holds a pattern."""
    compiled(pattern)
