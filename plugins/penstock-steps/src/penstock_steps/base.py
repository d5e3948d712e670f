"""What all steps of this package share: how they take content, and how they say that they cannot."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable
from typing import Any

from penstock.errors import StepError
from penstock_steps.fences import whole_fence
from penstock_steps.limits import Limits, OutOfBoundsError, check_depth

__all__ = ["MOST_CHARS", "data_of", "excerpt", "listed", "parsed", "ready", "text_of", "words_from", "wrong_type"]

MOST_CHARS = 2_000_000
"""The default of `max_chars`; models write at most some hundred thousand characters."""

_BOUNDS = Limits()
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100


def ready(step: Any) -> Any:
    """Return the step that its settings are already: the factory of every registration of this package."""
    return step


def excerpt(value: object) -> str:
    """Return a value as messages show it, shortened."""
    return _short.repr(value)


def words_from(value: Iterable[str]) -> tuple[str, ...]:
    """Return words as a tuple, one word alone as a tuple of one; the converter of fields that hold words."""
    return (value,) if isinstance(value, str) else tuple(value)


def listed(words: tuple[str, ...]) -> str:
    """Return words as a sentence lists them: 'yes', 'no'."""
    return ", ".join(repr(word) for word in words)


def wrong_type(step: str, content: object, takes: str, remedy: str) -> StepError:
    """Return the failure of a step that was given what it cannot use."""
    return StepError(f"{step} takes {takes}, and got {_kind(content)}; {remedy}")


def _kind(content: object) -> str:
    name = type(content).__name__
    return "nothing" if content is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def text_of(step: str, content: object, max_chars: int) -> str:
    """Return content that is text of a bounded length. Raises StepError."""
    if not isinstance(content, str):
        raise wrong_type(step, content, "text", "put it first, or extract_value before it with the path of a text")
    if len(content) > max_chars:
        raise StepError(f"{step} takes at most {max_chars:,} characters (max_chars), and got {len(content):,}")
    return content


def data_of(step: str, content: object, max_chars: int) -> Any:
    """Return data as it is, and JSON text parsed, one fence around it left out. Raises StepError.

    Text is bounded in length and depth. Data is taken as the step before gave it, and not copied.
    """
    if isinstance(content, dict | list | int | float):
        return content
    if not isinstance(content, str):
        raise wrong_type(step, content, "a dict, a list or JSON text", "put to_dict or json_load before it")
    text = text_of(step, content, max_chars)
    fence = whole_fence(text) if text.lstrip()[:3] in ("```", "~~~") else None
    try:
        return parsed(fence.text if fence else text)
    except ValueError as error:
        raise StepError(
            f"{step} takes a dict, a list or JSON text, and got text that is not JSON ({error}): {excerpt(content)}; "
            "put to_dict before it",
            feedback=f"The answer must be JSON and nothing else, and it is not: {error}.",
        ) from None


def parsed(text: str, *, strict: bool = False) -> Any:
    """Return JSON text parsed; `strict` refuses NaN and the infinities. Raises ValueError, in words for a model."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite) if strict else json.loads(text)
    except RecursionError:
        raise OutOfBoundsError(f"it nests deeper than {_BOUNDS.depth} levels") from None
    if text.count("{") + text.count("[") > _BOUNDS.depth:
        check_depth(value, _BOUNDS)
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.30} is larger than a float can be")
    return number
