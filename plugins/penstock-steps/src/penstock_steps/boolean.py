"""The step `boolean`: yes or no."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import excerpt, text_of, words_from, wrong_type
from penstock_steps.patterns import MOST_MATCHED_CHARS
from penstock_steps.words import Words

__all__ = ["Boolean"]


@frozen(eq=False, kw_only=True)
class Boolean(PipelineStep):
    """Gives True or False for an answer that says yes or no, by the rules of `choice`.

    True and False are given back as they are: on those it cannot fail. Other data is a failure, and so is an answer
    with words of both sides, unless it begins with one and a mark: "Yes, there is no …" is yes.

    Attributes:
        true, false: the words for each; they replace the English ones.
        max_chars: longer text is refused unread.
    """

    name = "boolean"

    true: tuple[str, ...] = field(
        default=("yes", "true", "y", "1"), converter=words_from, validator=validators.min_len(1)
    )
    false: tuple[str, ...] = field(
        default=("no", "false", "n", "0"), converter=words_from, validator=validators.min_len(1)
    )
    max_chars: int = field(default=MOST_MATCHED_CHARS, validator=validators.gt(0))
    _words: Words = field(init=False, repr=False)

    @_words.default
    def _make_words(self) -> Words:
        return Words((*self.true, *self.false))

    def process(self, content: Any, context: StepContext) -> bool:  # noqa: ARG002  # the text is enough
        """Return what the answer says."""
        if isinstance(content, bool):
            return content
        if not isinstance(content, str):
            raise wrong_type(self.name, content, "text, true or false", "put extract_value before it")
        text = text_of(self.name, content, self.max_chars)
        found = {word in self.true for word in self._words.find(text)}
        if len(found) == 1:
            return found.pop()
        what = "says both yes and no" if found else "says neither yes nor no, or denies one"
        raise StepError(
            f"the answer {what}: {excerpt(text)}",
            feedback=f"Answer with {self.true[0]!r} or {self.false[0]!r} and nothing else.",
        )
