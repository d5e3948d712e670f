"""How one string, number or constant is spelt in JSON, whatever spelling it has in the answer."""

from __future__ import annotations

import json
import re

from penstock_steps.limits import NotReadableError

__all__ = ["constant", "cut_off", "respelt", "without_begun"]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_LOOSE_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]++|[1-9]\d{0,2}(?:_\d{3})++|\d*\.?\d++|\d++\.)(?:[eE][+-]?\d++)?")
_ARABIC_MARKS = {ord("٬"): None, ord("٫"): "."}
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_CONSTANTS = {
    "true": "true",
    "false": "false",
    **dict.fromkeys(("null", "none", "nil", "undefined"), "null"),
    "nan": "NaN",
    **dict.fromkeys(("infinity", "+infinity", "inf", "+inf"), "Infinity"),
    **dict.fromkeys(("-infinity", "-inf"), "-Infinity"),
}
_SPECIAL = re.compile(r"""\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|.)|["\x00-\x1f]""", re.DOTALL)
# What may stand at the end of a string that was cut off: an escape that has begun, then the first half of a pair.
_BEGUN = (
    re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?|U[0-9a-fA-F]{0,7})?\Z"),
    re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z"),
)
_LONGEST_BEGUN = 10
# Where backslashes stand for themselves, as in LaTeX, "\frac" has no form feed, and "\theta" no tab.
_FEED = re.compile(
    r"(?<!\\)\\(?=[bfr][a-zA-Z]|(?:t(?:ext[a-z]*|imes|heta|au|an|o|op|ilde)|n(?:abla|eq?|eg|u|otin))(?![a-zA-Z]))"
)
_MOST_CODE_POINT = 0x10FFFF


def respelt(body: str, *, raw: bool) -> str:
    """Return what stands between two quotes as JSON has it; `raw` says that backslashes may stand for themselves."""
    return _SPECIAL.sub(_escaped, _FEED.sub(r"\\\\", body) if raw else body)


def without_begun(body: str) -> str:
    """Return the body of a string that was cut off, without the escape in which it was."""
    for begun in _BEGUN:
        found = begun.search(body, max(0, len(body) - _LONGEST_BEGUN))
        if found:
            before = body[: found.start()]
            if (len(before) - len(before.rstrip("\\"))) % 2 == 0:  # its backslash is not itself escaped
                body = before
    return body


def _escaped(found: re.Match[str]) -> str:
    """Return an escape as JSON has it, and a character that must be escaped there."""
    seen = found.group()
    if len(seen) == 1 and seen != "\\":
        return json.dumps(seen)[1:-1]
    kind, digits = seen[1:2], seen[2:]
    if kind == "U" and digits and int(digits, 16) <= _MOST_CODE_POINT:
        return json.dumps(chr(int(digits, 16)))[1:-1]
    if kind == "x" and digits:
        return "\\u00" + digits
    if (kind and kind in '"\\/bfnrt') or len(seen) == 6:
        return seen
    if kind == "\n":  # a line that goes on
        return ""
    return kind if kind in "'`“”‘’" else "\\\\" + json.dumps(seen[1:])[1:-1]


def constant(word: str) -> str:
    """Return a number or constant as JSON has it, NaN and the infinities as Python's parser takes them.

    Raises NotReadableError for any other word.
    """
    if _NUMBER.fullmatch(word):
        return word
    if known := _CONSTANTS.get(word.lower()):
        return known
    word = word.translate(_ARABIC_MARKS)
    if not _LOOSE_NUMBER.fullmatch(word) or _LEADING_ZERO.match(word):
        raise NotReadableError(f"{word!r:.50} is no value")
    try:
        return str(int(word, 0))
    except ValueError:
        return repr(float(word))


def cut_off(word: str) -> str:
    """Return the value at the very end of the text: a number may lack its last digits, a constant its last letters.

    Of a sign alone nothing is left. Raises NotReadableError for any other word.
    """
    number = word.rstrip("+-.eE") if word[:1].isdigit() or word[:1] == "-" else word
    for full in ("true", "false", "null", "True", "False", "None", "NaN"):
        if full.startswith(word):
            return constant(full)
    return constant(number) if number else ""
