"""From an answer to its one object: JSON as it stands, else the best of what is found in fences, else in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from penstock_steps.fences import after_thoughts, fences
from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError, check_depth
from penstock_steps.tolerant.finding import Finder, Found

__all__ = ["read_object"]

_BARE = re.compile(r"""\s*+(["'])[^"'\n{}]{1,100}+\1\s*+:""")
_ANYTHING = re.compile(r"[^\s,;]")
# Markdown's quotes, where one holds an object.
_QUOTED = re.compile(r"^[ \t]*+>[ \t]*+[{\[]", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]*+>[ \t]?", re.MULTILINE)


def read_object(text: str, limits: Limits) -> dict[str, Any] | list[Any]:
    """Return the object that `text` holds, or the list of several objects if it holds that instead.

    Objects with nothing between them are a list. Of several in prose the largest counts; of those with the same keys
    the last, which is a correction. What is read exactly comes before what was repaired. Time grows with the length of
    the text and no faster.

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
    for place in _places(text):
        best: Found | None = None
        lists: list[list[Any]] = []
        for block in place:
            found = list(finder.objects(block))
            if several := _one_after_another(block, found):
                lists.append(several)
                continue
            lists += [each.value for each in found if isinstance(each.value, list)]
            for each in found:
                if isinstance(each.value, dict) and (best is None or _is_better(each, best)):
                    best = each
        if best is not None:
            value: dict[str, Any] = best.value
            return value
        if lists:
            return max(lists, key=len)
    raise finder.too_much or NotReadableError("there is no object in it")


def _one_after_another(block: str, found: list[Found]) -> list[Any]:
    """Return several different objects with nothing between them, such as JSON lines: a list without its brackets."""
    different = [each.value for each in found if each.value]
    if all(value == different[0] for value in different):
        return []
    position = 0
    for each in found:
        if _ANYTHING.search(block, position, each.begin):
            return []
        position = each.begin + each.length
    return [] if _ANYTHING.search(block, position) else different


def _is_better(later: Found, best: Found) -> bool:
    if later.exact == best.exact and later.value and later.value.keys() == best.value.keys():
        return True
    return (bool(later.value), later.exact, later.length) > (bool(best.value), best.exact, best.length)


def _places(text: str) -> Iterator[list[str]]:
    """Yield where objects most likely are, then where they less likely are."""
    answer = after_thoughts(text)
    if _QUOTED.search(answer):
        answer = _QUOTE_MARK.sub("", answer)
    yield [_in_braces(fence.text) for fence in fences(answer)]
    yield [_in_braces(answer)]
    yield [answer]
    if len(answer) < len(text):
        yield [text]


def _in_braces(text: str) -> str:
    """Return an object whose outer braces were left out with them, and any other text as it is."""
    if not _BARE.match(text):
        return text
    return "{" + text.strip().strip(",") + "}" * (text.count("{") >= text.count("}"))
