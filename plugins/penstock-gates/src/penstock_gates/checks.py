"""What every gate says of an option that cannot be: its name, what is wanted, and what was given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["one_of", "positive"]

Number = TypeVar("Number", int, float)


def positive(option: str, value: Number) -> Number:
    """Return `value`; raise ValueError naming `option` unless it is a positive, finite number."""
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{option} must be a positive number, got {value!r}")
    return value


def one_of(option: str, value: str, choices: Sequence[str]) -> str:
    """Return `value`; raise ValueError naming `option` unless it is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{option} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
