"""Reads what is JSON but for its spelling: other quotes, Python's words, comments, other scripts' punctuation.

Only text with one reading is read, or, when told to guess, with one that is likely; always in linear time. The text is
spelt anew, token by token, and then judged by the JSON parser.
"""

from __future__ import annotations

import json
import re
from typing import Any

from attrs import define, field

from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError
from penstock_steps.tolerant.spelling import constant, cut_off, respelt, without_begun

__all__ = ["GOES_ON", "INVISIBLE", "straighten"]

INVISIBLE = r"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""Characters that show nothing, such as marks of the direction of writing; for a class of a regular expression."""

GOES_ON = re.compile(r"""\s*+,\s*+(["'])[^"'\n{}]{1,100}+\1\s*+:""")
"""What follows a closing mark that was one too many: a comma and the next key of the object."""

# White space, comments (a colour such as #ff0000 is none), and the dots of a list that was left short.
_SPACE = re.compile(
    rf"(?:[\s{INVISIBLE}]++|(?://|#(?![0-9a-fA-F]{{3,8}}\b)|--\s)[^\n]*+|/\*(?s:.*?)\*/|(?:\.\.\.|…)(?=\s*+[,}}\]]))*+"
)
_PUNCTUATION = {
    **{mark: mark for mark in "{}[]:,"},
    **dict(zip("()｛｝［］：，、،;；=", "[]{}[]:,,,,,:", strict=True)),
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
_PREFIX = re.compile(r"""[bBuUrR]{1,2}(?=["'])""")  # of Python's strings
_PLUS = re.compile(r"""\s*+\+\s*+(?=["'`])""")  # between the parts of a string
_CLOSED_AFTER_ALL = re.compile(r"""(?:["'\n]|:\s*+[\w.+-]++)\s*+[}\]][}\]\s]*+\Z""")
_LONGEST_END = 50

_WORD = re.compile(r"""[^\s{}\[\]():,;'"`=<>：，、،；｛｝［］“”„‘’«»「」『』＂＇]++""")
# What a guess takes for a value without quotes ends with the line, or where the next key seems to begin; a comma is
# part of it, as in "Paris, France" and "1,000", in an object where no key follows.
_NEXT = r"[^\S\n]*+(?:[^\W\d][\w$-]*+(?:[ \t][\w$-]++){0,2}|\d++(?=:\s))[^\S\n]*+[:=](?!/)"
_PIECE = r"""
    [^\s{}\[\](),;'"`，、،；｛｝［］“”„‘’«»「」『』＂＇]++  |  (?<=\w)['’](?=\w)
    |  \((?:[^()\n]|\([^()\n]{0,100}+\)){0,200}+\)
    |  [^\S\n]++ (?! //|\#|/\*|--\s|[^\W\d][\w$-]*+\s*+[:=](?!/) )
"""
_COMMA = rf"""[,，、،](?! [^\S\n]*+ (?: ["'`“‘,，;:/\#{{}}\[\]\n]|--\s|\.\.\.|…|[\w$\ -]*+\Z ) | {_NEXT} )"""
_VALUES = {
    "]": re.compile(rf"(?: {_PIECE} )++", re.VERBOSE),
    "}": re.compile(rf"(?: {_PIECE} | {_COMMA} )++", re.VERBOSE),
}
_NO_COMMAS = re.compile(r"(?:(?:[-+.\d]++|true|false|null|True|False|None)(?:\s++|\Z)){2,}+")  # in a list
_KEY = re.compile(rf"{_WORD.pattern}(?:[ \t]++{_WORD.pattern})*+")


def straighten(text: str, start: int, limits: Limits, *, raw: bool = False, guess: bool = False) -> tuple[Any, int]:
    """Return the value that begins at `start`, and where it ends. Text that was cut off ends where it ends.

    Of what was cut off the beginning of a string stays, a key without a value goes. `raw` says that backslashes in
    strings stand for themselves, at least some of them. With `guess` words without quotes are text, and the end of a
    line is a comma where there is none.

    Raises:
        NotReadableError: it is not JSON in another spelling.
        OutOfBoundsError: it nests too deeply.
    """
    scanner = _Scanner(text=text, position=start, depth=limits.depth, raw=raw, guess=guess)
    scanner.run()
    try:
        value: Any = json.loads("".join(spelling for _, spelling in scanner.tokens))
    except ValueError as error:  # the order of the tokens makes no sense
        raise NotReadableError(str(error)) from None
    return value, scanner.position


@define
class _Scanner:
    """Spells one value anew; `tokens` are kinds and spellings: "k" for a key, "v" for a value, marks for themselves."""

    text: str
    position: int
    depth: int
    raw: bool
    guess: bool
    tokens: list[tuple[str, str]] = field(factory=list)
    open: list[str] = field(factory=list)

    def run(self) -> None:
        """Take tokens until what was opened first is closed, or the text ends."""
        while True:
            line_ended = self._skip_space()
            if self.position >= len(self.text):
                return self._close_what_was_cut_off()
            mark = _PUNCTUATION.get(self.text[self.position])
            if (mark is None or mark in _CLOSING) and self._last in ("k", "v", "}", "]"):
                if not (self.guess and line_ended and self._last != "k"):
                    raise NotReadableError("a quote inside a string, or no comma after it")
                self.tokens.append((",", ","))
            if mark is None:
                self._take_word_or_string()
                continue
            self.position += 2 if self.text.startswith("=>", self.position) else 1
            self._take_mark(mark)
            if not self.open:
                return None

    def _skip_space(self) -> bool:
        """Go on to what counts; return whether a line ended before it."""
        found = _SPACE.match(self.text, self.position)
        assert found is not None  # noqa: S101  # it matches the empty text too
        self.position = found.end()
        return "\n" in found.group()

    def _take_mark(self, mark: str) -> None:
        if mark == "," == self._last:
            return
        if mark in _CLOSING:
            self.open.append(_CLOSING[mark])
            if len(self.open) > self.depth:
                raise OutOfBoundsError(f"it nests deeper than {self.depth} levels")
        elif mark in "}]":
            if (len(self.open) == 1 or mark not in self.open) and GOES_ON.match(self.text, self.position):
                return  # one too many
            if self.open.pop() != mark:
                raise NotReadableError(f"{mark} closes what it did not open")
            if self._last == ",":
                self.tokens.pop()
        self.tokens.append((mark, mark))

    @property
    def _last(self) -> str:
        return self.tokens[-1][0] if self.tokens else ""

    def _take_word_or_string(self) -> None:
        if not self.open:
            raise NotReadableError("no object and no list begins here")
        is_key = self.open[-1] == "}" and self._last in ("{", ",")
        prefix = _PREFIX.match(self.text, self.position)
        self.position = prefix.end() if prefix else self.position
        verbatim = prefix is not None and "r" in prefix.group().lower()
        three = self.text[self.position : self.position + 3]
        quote = three if three in _QUOTES else self.text[self.position]
        if quote in _QUOTES:
            spelling = self._string(quote, verbatim=verbatim)
        else:
            spelling = self._key() if is_key else self._value()
        if spelling:
            self.tokens.append(("k" if is_key else "v", spelling))

    def _string(self, quote: str, *, verbatim: bool) -> str:
        """Take a string, and those that a plus adds to it."""
        parts = [self._part(quote, verbatim=verbatim)]
        while plus := _PLUS.match(self.text, self.position):
            self.position = plus.end()
            parts.append(self._part(self.text[self.position], verbatim=False))
        return '"' + "".join(parts) + '"'

    def _part(self, quote: str, *, verbatim: bool) -> str:
        """Take one string, which ends at the first closing quote."""
        body = _BODIES[quote].match(self.text, self.position + len(quote))
        assert body is not None  # noqa: S101  # it matches the empty text too
        self.position = body.end() + len(quote)
        text = body.group()
        if body.end() >= len(self.text):
            self._expect_cut_off(text)
            text = without_begun(text)
        return respelt(text.replace("\\", "\\\\") if verbatim else text, raw=self.raw)

    def _expect_cut_off(self, text: str) -> None:
        """Refuse the text of a last string that lacks its closing quote rather than its end."""
        end = self.text[-_LONGEST_END:]
        closing = "".join(end[len(end.rstrip("]} \n")) :].split())
        is_too_much = sum(map(text.count, "]}")) > sum(map(text.count, "[{"))
        if _CLOSED_AFTER_ALL.search(end) or (is_too_much and closing == "".join(reversed(self.open))):
            raise NotReadableError("a string has no end, and the object has one")

    def _key(self) -> str:
        return json.dumps(self._taken(_KEY if self.guess else _WORD))

    def _value(self) -> str:
        word = self._taken(_VALUES[self.open[-1]] if self.guess else _WORD)
        try:
            return cut_off(word) if self.position == len(self.text) else constant(word)
        except NotReadableError:
            if not self.guess or (self.open[-1] == "]" and _NO_COMMAS.fullmatch(word)):
                raise
            return json.dumps(word)

    def _taken(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.position)
        if found is None:
            raise NotReadableError(f"{self.text[self.position]!r} has no meaning here")
        self.position = found.end()
        return found.group().strip()

    def _close_what_was_cut_off(self) -> None:
        if not self.open:
            raise NotReadableError("nothing begins here")
        while self._last in (":", "k", ","):
            self.tokens.pop()
        self.tokens += [(mark, mark) for mark in reversed(self.open)]
        self.position = len(self.text)
