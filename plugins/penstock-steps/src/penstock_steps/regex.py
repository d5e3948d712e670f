"""The step `regex`: what a pattern finds."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs
from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import excerpt, text_of
from penstock_steps.patterns import MOST_MATCHED_CHARS, compiled, is_pattern

__all__ = ["Regex"]


@frozen(eq=False)
class Regex(PipelineStep):
    """Gives the part of a text that a pattern matches, or a list of all parts.

    A group that took no part in a match gives the empty text. It fails where nothing matches, and on all but text.

    Attributes:
        pattern: as Python's `re` takes it; flags stand inside, such as "(?i)".
        group: the number or name of the group to give; 0 is the whole match.
        find: "first", "last", or "all" for a list.
        max_chars: longer text is refused unread. A pattern with nested repetition can take a time exponential in the
            text's length: keep this small for such a pattern, or write it without.
    """

    name = "regex"

    pattern: str = field(validator=is_pattern)
    group: int | str = field(default=0, kw_only=True)
    find: Literal["first", "last", "all"] = field(
        default="first", kw_only=True, validator=validators.in_(("first", "last", "all"))
    )
    max_chars: int = field(default=MOST_MATCHED_CHARS, kw_only=True, validator=validators.gt(0))
    _compiled: re.Pattern[str] = field(init=False, repr=False)

    @group.validator
    def _is_in_the_pattern(self, _: attrs.Attribute[Any], group: int | str) -> None:
        pattern = getattr(self, "pattern", None)  # absent where penstock checks one setting by itself
        if pattern is None:
            return
        made = compiled(pattern)
        if group not in made.groupindex and group not in range(made.groups + 1):
            raise ValueError(f"group {group!r} is not in the pattern {pattern!r}")

    @_compiled.default
    def _compile(self) -> re.Pattern[str]:
        return compiled(self.pattern)

    def process(self, content: Any, context: StepContext) -> str | list[str]:  # noqa: ARG002  # the text is enough
        """Return the match or matches."""
        text = text_of(self.name, content, self.max_chars)
        found: list[str] = []
        for match in self._compiled.finditer(text):
            found.append(match[self.group] or "")
            if self.find == "first":
                return found[0]
        if not found:
            raise StepError(
                f"nothing in the answer matches {self.pattern!r}: {excerpt(text)}",
                feedback=f"The answer must contain text that matches the regular expression {self.pattern}",
            )
        return found if self.find == "all" else found[-1]
