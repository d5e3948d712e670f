"""Finds known words in an answer, however they are written: what `choice` and `boolean` have in common."""

from __future__ import annotations

import re
import unicodedata

from attrs import field, frozen

from penstock_steps.fences import after_thoughts

__all__ = ["Words", "plain"]

# Scripts that put no space between words begin here, at the CJK radicals; a word of theirs needs no edge.
_SPACELESS = "\u2e80-\uffdc"
_BEFORE = rf"(?<![^\W{_SPACELESS}])"
_BEHIND = rf"(?![^\W{_SPACELESS}])"
# What stands before a word, in its clause, and turns it into its contrary. "No" does so to the very next word alone,
# and a word may follow the others: "no positive signs", "not a positive sign". Only some languages' are known.
_CLAUSE = re.compile(r"[^.,;:!?\n。，、；：！？]{0,60}\Z")
_NEGATION = re.compile(
    r"""(?:\b(?:not|never|neither|nor|cannot|hardly|nicht|kein\w{0,2}|pas|jamais|ni|nunca|não|не)|n['’]t)\b
        (?:\s+[\w'’]+){0,2}[\s*_`"'“‘(]*\Z
    |   \b(?:no|non|without|ohne|sin|sans)\b[\s*_`"'“‘(-]*\Z
    |   [不非没沒無无未]是?\s*\Z""",
    re.VERBOSE,
)
_HEADING = re.compile(r"^#{1,6}\s+")
_MARKS = " \t\n.,;:!?\"'`*_~()[]{}<>«»“”„‘’「」『』。、．・-–—>\\/|"


def plain(text: str) -> str:
    """Return text without what does not count: case, width, marks around it, and runs of white space."""
    return _HEADING.sub("", " ".join(_flat(text).split())).strip(_MARKS)


def _flat(text: str) -> str:
    """Return text in one width and case."""
    return unicodedata.normalize("NFKC", text).casefold()


@frozen
class Words:
    """Some words to look for. Raises ValueError for words that are empty, or the same once case is left out."""

    words: tuple[str, ...]
    _plain: dict[str, str] = field(init=False, repr=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    @_plain.default
    def _make_plain(self) -> dict[str, str]:
        made: dict[str, str] = {}
        for word in self.words:
            key = plain(word) or word.strip()
            if not key:
                raise ValueError("a word is empty")
            if key in made:
                raise ValueError(f"{word!r} and {made[key]!r} are the same word")
            made[key] = word
        return made

    @_pattern.default
    def _make_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._plain, key=len, reverse=True)  # "not sure" is not "sure"
        return re.compile("|".join(_edged(word) for word in longest_first))

    def alone(self, text: str) -> tuple[str, ...]:
        """Return the word that the answer is, as a tuple; an empty one if it is something else."""
        answer = after_thoughts(text)
        whole = plain(answer) or answer.strip()
        return (self._plain[whole],) if whole in self._plain else ()

    def find(self, text: str) -> tuple[str, ...]:
        """Return the words that the answer gives: one, unless it is ambiguous; none, if it has none.

        The answer is a word alone; or begins with a word that a mark or a line's end follows ("Yes, because …"); or
        has the word somewhere in its prose, which denies none ("not good"). Thoughts before it do not count.
        """
        text = after_thoughts(text)
        if alone := self.alone(text):
            return alone
        flat = _HEADING.sub("", _flat(text).strip()).lstrip(_MARKS)
        first = self._pattern.match(flat)
        if first and re.match(r"[*_`\"'”’)\]]*(?:[.,;:!。，、；：！\n]|\s[-–—])", flat[first.end() :][:20]):
            return (self._plain[first.group()],)
        named = list(self._pattern.finditer(flat))
        if any(_is_denied(flat, found.start()) for found in named):
            return ()
        return tuple(dict.fromkeys(self._plain[found.group()] for found in named))


def _is_denied(text: str, position: int) -> bool:
    clause = _CLAUSE.search(text, max(0, position - 60), position)
    return clause is not None and _NEGATION.search(clause.group()) is not None


def _edged(word: str) -> str:
    before = _BEFORE if re.match(rf"[^\W{_SPACELESS}]", word) else ""
    behind = _BEHIND if re.match(rf"[^\W{_SPACELESS}]", word[-1]) else ""
    return before + re.escape(word).replace(r"\ ", r"\s+") + behind
