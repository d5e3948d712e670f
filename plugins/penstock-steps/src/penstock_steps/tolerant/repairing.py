"""The last resort: the repair library, json-repair, held to a budget and to keys that are really in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Self

import json_repair
from attrs import define

from penstock_steps.limits import NotReadableError, OutOfBoundsError

__all__ = ["Repairer"]

FEWEST_READS = 200
"""What a block costs whatever its length: the library takes about 100 µs for the smallest."""

_PAIR = re.compile(r"(?<!\\)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

MOST_KEY_CHARS = 300
"""A longer key is a sentence that a repair took for one."""

_NO_KEY = re.compile(r"""[\n{}]|["'].*[:=,]|[:=,].*["']""")

# What is no data, then the words beside a quote, a colon or an equals sign; those with escapes are left out.
_NO_DATA = re.compile(r"//[^\n]*+|/\*(?s:.*?)\*/|#[^\n]*+")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_WHOLE_WORD = r"(?<![\w\\])([^\W\d]\w*+)(?!\\)"
_DATA = re.compile(rf"""["'“”]{_WHOLE_WORD}|{_WHOLE_WORD}["'“”]|{_WHOLE_WORD}\s*+[:=]|[:=]\s*+{_WHOLE_WORD}""")
_CONSTANTS = frozenset(("true", "false", "null", "none", "nil", "nan", "undefined", "infinity", "inf"))

CHARS_OF_A_READ = 64
"""Characters of a slice that cost as much as one looked at."""


@define
class Repairer:
    """Repairs the broken blocks of one answer, within what that may cost altogether.

    Attributes:
        reads_left: how often the library may still look at a character.
    """

    reads_left: int

    def repair(self, block: str) -> Any:
        """Return what the library makes of `block`, a broken object or list.

        Raises:
            NotReadableError: it makes nothing of it, or an object with keys that are not in the text, or without
                what is.
            OutOfBoundsError: that takes too long.
        """
        self.pay(FEWEST_READS)
        try:
            value = json_repair.loads(_Metered(_PAIR.sub(_paired, block), self), skip_json_loads=True)
        except OutOfBoundsError:
            raise
        except Exception as error:  # the library's bugs on odd texts are its "cannot be repaired"
            raise NotReadableError(f"{type(error).__name__} while repairing it") from error
        if block[0] == "{" and isinstance(value, list):  # the object, and what the library saw behind it
            value = next((each for each in value if isinstance(each, dict)), None)
        invented = next((key for key in _keys(value) if not _stands_in(block, key)), None)
        if invented is not None:
            raise NotReadableError(f"{invented!r:.50} is no key in the text")
        if (lost := _lost(block, value)) is not None:
            raise NotReadableError(f"a repair would leave out {lost!r:.50}")
        return value

    def pay(self, reads: int) -> None:
        """Count `reads`. Raises OutOfBoundsError when there were too many."""
        self.reads_left -= reads
        if self.reads_left < 0:
            raise OutOfBoundsError("it is broken, and repairing it takes too long")


class _Metered(str):
    """A text that counts how often it is read from: the library's look-ahead takes quadratic time on some texts.

    What the library makes of it to go on reading, an open-ended slice or a sum, counts too; other slices are values.
    """

    __slots__ = ("_payer",)
    _payer: Repairer

    def __new__(cls, text: str, payer: Repairer) -> Self:
        made = super().__new__(cls, text)
        made._payer = payer
        return made

    def __getitem__(self, index: Any) -> str:
        piece = str.__getitem__(self, index)
        if not isinstance(index, slice):
            self._payer.pay(1)
            return piece
        self._payer.pay(1 + len(piece) // CHARS_OF_A_READ)
        return piece if index.start and index.stop else _Metered(piece, self._payer)

    def __add__(self, other: str) -> str:
        return _Metered(str.__add__(self, other), self._payer)

    def __radd__(self, other: str) -> str:
        return _Metered(str.__add__(other, self), self._payer)


def _paired(pair: re.Match[str]) -> str:
    """Return the character that two escapes stand for, which the library takes for two."""
    return (chr(int(pair[1], 16)) + chr(int(pair[2], 16))).encode("utf-16", "surrogatepass").decode("utf-16")


def _keys(value: Any) -> Iterator[str]:
    """Yield the keys at every level, without recursion."""
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            yield from each
            rest += each.values()
        elif isinstance(each, list):
            rest += each


def _stands_in(text: str, key: str) -> bool:
    """Whether `key` is in the text, as it is or as JSON escapes it, and looks like one rather than like a sentence."""
    if not key:
        return '""' in text or "''" in text
    if len(key) > MOST_KEY_CHARS or _NO_KEY.search(key):
        return False
    return key in text or json.dumps(key)[1:-1] in text or json.dumps(key, ensure_ascii=False)[1:-1] in text


def _lost(block: str, value: Any) -> str | None:
    """Return a word that stands in the text as data does, and not in the value; None if there is none."""
    text = _ESCAPE.sub(r"\\", _NO_DATA.sub(" ", block))
    if not text.rstrip().endswith(("}", "]")):  # cut off: what was begun last may go
        text = text[: text.rfind(",")]
    kept = set(re.findall(r"\w+", _ESCAPE.sub(" ", json.dumps(value, ensure_ascii=False))))
    words = (found[found.lastindex or 0] for found in _DATA.finditer(text))
    return next((word for word in words if word not in kept and word.lower() not in _CONSTANTS), None)
