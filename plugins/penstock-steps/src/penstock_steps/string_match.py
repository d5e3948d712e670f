"""The step `string_match`: checks that an answer says what it must, and not what it must not."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import listed, text_of, words_from
from penstock_steps.patterns import MOST_MATCHED_CHARS, compiled

__all__ = ["StringMatch"]


@frozen(eq=False, kw_only=True)
class StringMatch(PipelineStep):
    """Gives text back unchanged if it contains what it should; fails otherwise, and on all but text.

    Attributes:
        all_of: each of these must be there.
        any_of: at least one of these must be there.
        none_of: none of these may be there.
        patterns: whether they are regular expressions rather than plain text.
        ignore_case: whether upper and lower case are the same.
        max_chars: longer text is refused unread; for patterns see `regex`.
    """

    name = "string_match"

    all_of: tuple[str, ...] = field(default=(), converter=words_from)
    any_of: tuple[str, ...] = field(default=(), converter=words_from)
    none_of: tuple[str, ...] = field(default=(), converter=words_from)
    patterns: bool = False
    ignore_case: bool = False
    max_chars: int = field(default=MOST_MATCHED_CHARS, validator=validators.gt(0))
    _compiled: dict[str, re.Pattern[str]] = field(init=False, repr=False)

    @_compiled.default
    def _compile(self) -> dict[str, re.Pattern[str]]:
        wanted = (*self.all_of, *self.any_of, *self.none_of)
        if not wanted:
            raise ValueError("string_match needs all_of, any_of or none_of")
        if not all(wanted):
            raise ValueError("string_match looks for texts that are not empty")
        flags = re.IGNORECASE if self.ignore_case else 0
        return {each: compiled(each if self.patterns else re.escape(self._spelt(each)), flags) for each in wanted}

    def _spelt(self, text: str) -> str:
        """Return plain text with each accented letter as one character, and in one case if case does not count."""
        text = unicodedata.normalize("NFC", text)
        return text.casefold() if self.ignore_case else text

    def process(self, content: Any, context: StepContext) -> str:  # noqa: ARG002  # the text is enough
        """Return `content`, checked."""
        text = text_of(self.name, content, self.max_chars)
        spelt = text if self.patterns else self._spelt(text)
        there = {wanted for wanted, pattern in self._compiled.items() if pattern.search(spelt)}
        problems = []
        if missing := tuple(each for each in self.all_of if each not in there):
            problems.append(f"it must contain {listed(missing)}")
        if self.any_of and not there.intersection(self.any_of):
            problems.append(f"it must contain one of {listed(self.any_of)}")
        if present := tuple(each for each in self.none_of if each in there):
            problems.append(f"it must not contain {listed(present)}")
        if problems:
            words = "; ".join(problems)
            raise StepError(
                f"the answer does not match: {words}", feedback=f"The answer is not as it must be: {words}."
            )
        return text
