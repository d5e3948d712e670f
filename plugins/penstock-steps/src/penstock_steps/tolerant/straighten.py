"""Reads what is JSON but for its spelling: other quotes, Python's words, comments, other scripts' punctuation.

Only text with one reading is read, exactly and in linear time; anything else is left to the repair library. The
text is spelt anew, token by token, and then judged by the JSON parser.
"""

from __future__ import annotations

import json
import re
from typing import Any

from attrs import define, field

from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError

__all__ = ["straighten"]

_SPACE = re.compile(r"(?:[\s\ufeff]++|//[^\n]*+|#[^\n]*+|/\*(?s:.*?)\*/)*+")
_PUNCTUATION = {
    **{mark: mark for mark in "{}[]:,"},
    **dict(zip("｛｝［］：，、،;；=", "{}[]:,,,,,:", strict=True)),
}
_CLOSING = {"{": "}", "[": "]"}
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”“"',
    "”": '”“"',
    "„": '“”"',
    "‘": "’‘'",
    "’": "’‘'",
    "«": "»",
    "「": "」",
    "『": "』",
    "＂": "＂",
    "＇": "＇",
    '"""': '"""',
    "'''": "'''",
}
_BODIES = {
    mark: re.compile(
        rf"(?:[^\\{mark[0]}]++|\\.|{mark[0]}(?!{mark[1:]}))*+" if len(mark) == 3 else rf"(?:[^\\{closers}]++|\\.)*+",
        re.DOTALL,
    )
    for mark, closers in _QUOTES.items()
}
_WORD = re.compile(r"""[^\s{}\[\]():,;'"`=<>：，、،；｛｝［］“”„‘’«»「」『』＂＇]++""")
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
_CLOSED_AFTER_ALL = re.compile(r"""["']\s*+[}\]][}\]\s]*+\Z""")
_LONGEST_END = 50
# Where backslashes stand for themselves, as in LaTeX, "\frac" has no form feed.
_FEED = re.compile(r"(?<!\\)\\(?=[bf][a-zA-Z])")
_MOST_CODE_POINT = 0x10FFFF


def straighten(text: str, start: int, limits: Limits, *, raw: bool = False) -> tuple[Any, int]:
    """Return the value that begins at `start`, and where it ends. Text that was cut off ends where it ends.

    Of what was cut off the beginning of a string stays, a key without a value goes. `raw` says that backslashes in
    strings stand for themselves, at least some of them.

    Raises:
        NotReadableError: it is not JSON in another spelling.
        OutOfBoundsError: it nests too deeply.
    """
    scanner = _Scanner(text=text, position=start, depth=limits.depth, raw=raw)
    scanner.run()
    try:
        value: Any = json.loads("".join(spelling for _, spelling in scanner.tokens))
    except ValueError as error:  # the order of the tokens makes no sense
        raise NotReadableError(str(error)) from None
    return value, scanner.position


@define
class _Scanner:
    """Spells one value anew; `tokens` are kinds and spellings, "v" for a string, number or constant."""

    text: str
    position: int
    depth: int
    raw: bool = False
    tokens: list[tuple[str, str]] = field(factory=list)
    open: list[str] = field(factory=list)

    def run(self) -> None:
        """Take tokens until what was opened first is closed, or the text ends."""
        while True:
            self._skip_space()
            if self.position >= len(self.text):
                return self._close_what_was_cut_off()
            mark = _PUNCTUATION.get(self.text[self.position])
            if mark is None:
                self._take_value()
                continue
            self.position += 2 if self.text.startswith("=>", self.position) else 1
            self._take_mark(mark)
            if not self.open:
                return None

    def _skip_space(self) -> None:
        found = _SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position

    def _take_mark(self, mark: str) -> None:
        if mark == "," == self._last:
            return
        if mark in _CLOSING:
            self.open.append(_CLOSING[mark])
            if len(self.open) > self.depth:
                raise OutOfBoundsError(f"it nests deeper than {self.depth} levels")
        elif mark in "}]":
            if self.open.pop() != mark:
                raise NotReadableError(f"{mark} closes what it did not open")
            if self._last == ",":
                self.tokens.pop()
        self.tokens.append((mark, mark))

    @property
    def _last(self) -> str:
        return self.tokens[-1][0] if self.tokens else ""

    @property
    def _at_key(self) -> bool:
        return self.open[-1] == "}" and self._last in ("{", ",")

    def _take_value(self) -> None:
        if not self.open:
            raise NotReadableError("no object and no list begins here")
        three = self.text[self.position : self.position + 3]
        quote = three if three in _QUOTES else self.text[self.position]
        spelling = self._string(quote) if quote in _QUOTES else self._word()
        self.tokens.append(("v", spelling))

    def _string(self, quote: str) -> str:
        """Take a string, which ends at the first closing quote; what follows must be what follows a string."""
        body = _BODIES[quote].match(self.text, self.position + len(quote))
        assert body is not None  # noqa: S101  # it matches the empty text too
        self.position = body.end() + len(quote)
        text = body.group()
        if self.raw:
            text = _FEED.sub(r"\\\\", text)
        if body.end() >= len(self.text):
            if _CLOSED_AFTER_ALL.search(self.text, max(0, len(self.text) - _LONGEST_END)):
                raise NotReadableError("a string has no end, and the object has one")
            return '"' + _SPECIAL.sub(_respelt, _without_begun(text)) + '"'
        self._skip_space()
        self._expect_mark()
        return '"' + _SPECIAL.sub(_respelt, text) + '"'

    def _expect_mark(self) -> None:
        following = _PUNCTUATION.get(self.text[self.position], "") if self.position < len(self.text) else "end"
        if following not in ((":", "end") if self._at_key else (",", "}", "]", "end")):
            raise NotReadableError("a quote inside a string, or no comma after it")

    def _word(self) -> str:
        found = _WORD.match(self.text, self.position)
        if found is None:
            raise NotReadableError(f"{self.text[self.position]!r} has no meaning here")
        word, cut = found.group(), found.end() == len(self.text)
        is_key = self._at_key
        self.position = found.end()
        self._skip_space()
        self._expect_mark()
        if is_key:
            return json.dumps(word)
        return _cut_off(word) if cut else _constant(word)

    def _close_what_was_cut_off(self) -> None:
        if not self.open:
            raise NotReadableError("nothing begins here")
        if self._last == ":":
            del self.tokens[-2:]
        elif self._last == "v" and self.open[-1] == "}" and self.tokens[-2][0] in ("{", ","):
            del self.tokens[-1:]
        if self._last == ",":
            self.tokens.pop()
        self.tokens += [(mark, mark) for mark in reversed(self.open)]
        self.position = len(self.text)


def _without_begun(body: str) -> str:
    """Return the body of a string that was cut off, without the escape in which it was."""
    for begun in _BEGUN:
        found = begun.search(body, max(0, len(body) - _LONGEST_BEGUN))
        if found:
            before = body[: found.start()]
            if (len(before) - len(before.rstrip("\\"))) % 2 == 0:  # its backslash is not itself escaped
                body = before
    return body


def _respelt(found: re.Match[str]) -> str:
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


def _constant(word: str) -> str:
    """Return a number or constant as JSON has it, NaN and the infinities as Python's parser takes them."""
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


def _cut_off(word: str) -> str:
    """Return the value at the very end of the text: a number may lack its last digits, a constant its last letters."""
    number = word.rstrip("+-.eE") if word[:1].isdigit() or word[:1] == "-" else word
    for full in ("true", "false", "null", "True", "False", "None", "NaN"):
        if full.startswith(word):
            return _constant(full)
    return _constant(number)
