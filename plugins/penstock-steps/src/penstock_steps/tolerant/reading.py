"""From an answer to its one object: JSON as it stands, else the best of what is found in fences, else in the text."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from penstock_steps.fences import after_thoughts, fences
from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError, check_depth
from penstock_steps.tolerant.finding import Finder, Found

__all__ = ["read_object"]

_BARE = re.compile(r"""\s*+(["'])[^"'\n{}]{1,100}+\1\s*+:""")


def read_object(text: str, limits: Limits) -> dict[str, Any] | list[Any]:
    """Return the object that `text` holds, or the list of several objects if it holds that instead.

    Of several objects the largest counts; of those with the same keys the last, which is a correction. What is read
    exactly comes before what was repaired. Time grows with the length of the text and no faster.

    Raises:
        NotReadableError: there is no object in it.
        OutOfBoundsError: it nests too deeply, or is broken and too long to be repaired.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = _best(text, limits)
    except RecursionError:
        raise OutOfBoundsError(f"it nests deeper than {limits.depth} levels") from None
    if isinstance(value, str):  # an object inside a JSON string
        value = _best(value, limits)
    if not isinstance(value, dict | list):
        raise NotReadableError("it is a single value")
    check_depth(value, limits)
    return value


def _best(text: str, limits: Limits) -> dict[str, Any] | list[Any]:
    finder = Finder(limits)
    lists: list[list[Any]] = []
    for place in _places(text):
        best: Found | None = None
        for found in itertools.chain.from_iterable(finder.objects(block) for block in place):
            if isinstance(found.value, list):
                lists.append(found.value)
            elif best is None or _is_better(found, best):
                best = found
        if best is not None:
            value: dict[str, Any] = best.value
            return value
    if lists:
        return max(lists, key=len)
    raise finder.too_much or NotReadableError("there is no object in it")


def _is_better(later: Found, best: Found) -> bool:
    if later.exact == best.exact and later.value and later.value.keys() == best.value.keys():
        return True
    return (bool(later.value), later.exact, later.length) > (bool(best.value), best.exact, best.length)


def _places(text: str) -> Iterator[list[str]]:
    """Yield where objects most likely are, then where they less likely are."""
    answer = after_thoughts(text)
    yield [fence.text for fence in fences(answer)]
    if _BARE.match(answer):  # the outer braces were left out
        yield ["{" + answer.strip().strip(",") + "}" * (answer.count("{") >= answer.count("}"))]
    yield [answer]
    if len(answer) < len(text):
        yield [text]
