"""What hostile text may cost, and how its readers say that they give up."""

from __future__ import annotations

from typing import Any

from attrs import frozen

__all__ = ["Limits", "NotReadableError", "OutOfBoundsError", "check_depth"]


class NotReadableError(ValueError):
    """The text has no reading as JSON, or more than one."""


class OutOfBoundsError(ValueError):
    """The text is longer or nests deeper than the limits allow."""


@frozen(kw_only=True)
class Limits:
    """Bounds on one answer.

    Attributes:
        depth: levels of objects and lists; the outermost is the first.
        reads: characters that the repair library may look at, again and again: it takes about half a microsecond for
            each, 0.5 to 5 for each character of a broken answer, and on texts made to hurt as many as it is let.
    """

    depth: int = 100
    reads: int = 500_000


def check_depth(value: Any, limits: Limits) -> None:
    """Raise OutOfBoundsError if `value` nests deeper than it may. Walks level by level, not by recursion."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, dict | list) and each]:
        depth += 1
        if depth > limits.depth:
            raise OutOfBoundsError(f"it nests deeper than {limits.depth} levels")
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
