"""Finds the objects in a text, and says how well each was read."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError
from penstock_steps.tolerant.repairing import Repairer
from penstock_steps.tolerant.straighten import GOES_ON, INVISIBLE, straighten

__all__ = ["Finder", "Found"]

# An opening brace behind which an object may begin: a quote, a comment, a comma, the closing brace, or up to three
# words and a colon. "{name}" in prose is none. A list counts when its first item may be an object.
_BLANK = rf"[\s{INVISIBLE}]*+"
_OBJECT = (
    rf"""[{{｛]{_BLANK}(?:[bBuUrR]{{0,2}}["'“”„‘`«「『＂＇\\}}｝/#,]|\*\*"|"""
    rf"""[\w$.-]++(?:[ ][\w$.-]++){{0,2}}"?\s*+[:=：])"""
)
_START = re.compile(rf"{_OBJECT}|[\[［](?={_BLANK}{_OBJECT})")
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]｛｝［］]', re.DOTALL)
_BRACE = re.compile(r"[{}\[\]｛｝［］]")

# An escape that neither JSON nor Python has.
_RAW_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*+\\[ac-eg-mo-qsvwyzA-TV-Z(){}\[\]]")
# A key that lacks its closing quote, its opening quote, or its colon.
_MENDS = (
    (re.compile(r'([{,\n]\s*+)"([\w$-]++):(?!/)'), r'\1"\2":'),
    (re.compile(r'([{,\n]\s*+)([\w$-]++)":'), r'\1"\2":'),
    (re.compile(r'([{,]\s*+"[^"\\\n]{1,100}+")(?=[ \t]++(?:[-\d{\[]|(?:true|false|null|"[^"\n]*+")\s*+[,}]))'), r"\1:"),
)
_ASCII = str.maketrans("｛｝［］", "{}[]")


@frozen
class Found:
    """One object or list of the text.

    Attributes:
        value: a dict, or a list that holds more than one thing.
        begin, length: where it stands in the text, and how many characters of it it takes up.
        exact: whether it is what the text says, rather than what a guess or a repair made of it.
    """

    value: Any
    begin: int
    length: int
    exact: bool


@define
class Finder:
    """Finds the objects of one answer, within its limits.

    Attributes:
        too_much: why a piece was given up that is too deep or takes too long; what follows it is still read.
    """

    limits: Limits
    too_much: OutOfBoundsError | None = None
    _repairer: Repairer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._repairer = Repairer(self.limits.reads)

    def objects(self, text: str) -> Iterator[Found]:
        """Yield the outermost objects and lists of objects, in order; what cannot be read is left out."""
        position = 0
        while start := _START.search(text, position):
            begin = start.start()
            value, position, exact = self._read(text, begin)
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
                value = value[0]
            if isinstance(value, dict | list):
                yield Found(value, begin, position - begin, exact)

    def _read(self, text: str, begin: int) -> tuple[Any, int, bool]:
        """Return the value at `begin`, where it ends, whether it was read exactly; None for what nobody can."""
        end = _end_of_block(text, begin)
        block = text[begin:end]  # errors of the parser count the lines of all they are given
        try:
            return json.loads(block, strict=False), end, True  # raw line breaks in strings are taken
        except ValueError:
            pass
        except RecursionError:
            self.too_much = OutOfBoundsError(f"it nests deeper than {self.limits.depth} levels")
            return None, end, False
        try:
            return *straighten(text, begin, self.limits, raw=bool(_RAW_BACKSLASH.search(block))), True
        except NotReadableError:
            return self._repair(block), end, False
        except OutOfBoundsError as error:
            self.too_much = error
            return None, end, False

    def _repair(self, block: str) -> Any:
        """Return what a guess or a repair makes of the block; None if that is nothing."""
        block = mended = _unescaped(block.translate(_ASCII) if block[0] in "｛［" else block)
        for wrong, right in _MENDS:
            mended = wrong.sub(right, mended)
        raw = bool(_RAW_BACKSLASH.search(block))
        for text in dict.fromkeys((block, mended)):
            with contextlib.suppress(NotReadableError, OutOfBoundsError):
                return straighten(text, 0, self.limits, raw=raw, guess=True)[0]
        try:
            return self._repairer.repair(block)
        except NotReadableError:
            return None
        except OutOfBoundsError as error:
            self.too_much = error
            return None


def _end_of_block(text: str, begin: int) -> int:
    """Return where the brace at `begin` closes: with braces in strings left out, else with all, else at the end."""
    for marks in (_MARK, _BRACE):
        depth = 0
        for mark in marks.finditer(text, begin):
            depth += (mark.group() in "{[｛［") - (mark.group() in "}]｝］")
            if depth == 0:
                if text[begin] != "{" or not GOES_ON.match(text, mark.end()):
                    return mark.end()
                depth = 1
    return len(text)


def _unescaped(block: str) -> str:
    r"""Return a block that was escaped as if it stood in a string, `{\"a\": 1}`, as it was before."""
    if block[1:].lstrip()[:1] != "\\":
        return block
    try:
        plain: str = json.loads(f'"{block}"', strict=False)
    except ValueError:
        return block
    return plain
