"""The step `choice`: one of a few answers, and nothing around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import excerpt, listed, text_of, words_from
from penstock_steps.patterns import MOST_MATCHED_CHARS
from penstock_steps.words import Words

__all__ = ["Choice"]


@frozen(eq=False)
class Choice(PipelineStep):
    """Gives the one option that an answer names, spelt as in `options`.

    Case, punctuation, Markdown and prose around it do not count. An answer that begins with an option and a mark, or
    is an option alone, gives that one; otherwise exactly one option may occur in it. None, and more than one, are a
    failure; so is all but text, and prose that denies an option ("not good"), in English and, roughly, a few more
    languages. Thoughts (`<think>`) before the answer do not count.

    Attributes:
        options: what may be answered.
        prose: False takes an answer that is the option and nothing else.
        aliases: other words for an option, such as {"positive": ["pos", "+"]}.
        max_chars: longer text is refused unread.
    """

    name = "choice"

    options: tuple[str, ...] = field(converter=words_from, validator=validators.min_len(1))
    prose: bool = field(default=True, kw_only=True)
    aliases: Mapping[str, Sequence[str]] = field(factory=dict, kw_only=True)
    max_chars: int = field(default=MOST_MATCHED_CHARS, kw_only=True, validator=validators.gt(0))
    _meant: dict[str, str] = field(init=False, repr=False)
    _words: Words = field(init=False, repr=False)

    @_meant.default
    def _collect(self) -> dict[str, str]:
        meant = {option: option for option in self.options}
        for option, others in self.aliases.items():
            if option not in meant:
                raise ValueError(f"aliases has {option!r}, which is not in options")
            meant.update(dict.fromkeys(words_from(others), option))
        return meant

    @_words.default
    def _make_words(self) -> Words:
        if len(set(self.options)) < len(self.options):
            raise ValueError("options has the same option twice")
        return Words(tuple(self._meant))

    def process(self, content: Any, context: StepContext) -> str:  # noqa: ARG002  # the text is enough
        """Return the option."""
        text = text_of(self.name, content, self.max_chars)
        words = self._words.find(text) if self.prose else self._words.alone(text)
        found = tuple(dict.fromkeys(self._meant[word] for word in words))
        if len(found) == 1:
            return found[0]
        what = f"names {listed(found)}" if found else f"names none of {listed(self.options)}, or denies one"
        raise StepError(
            f"the answer {what}: {excerpt(text)}",
            feedback=f"Answer with exactly one of {listed(self.options)} and nothing else.",
        )
