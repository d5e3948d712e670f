"""The step `strip_fences`: code without its Markdown fence."""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, text_of
from penstock_steps.fences import after_thoughts, fences

__all__ = ["StripFences"]


@frozen(eq=False)
class StripFences(PipelineStep):
    """Takes the text out of a Markdown fence (``` or ~~~); text without one stays as it is.

    A fence begins and ends at the start of a line; one that was cut off ends with the text. Fences in thoughts
    (`<think>`) before the answer do not count. Unless `required`, it
    cannot fail on text within `max_chars`.

    Attributes:
        pick: which of several fences: "first", "last", "longest", or "all" with an empty line between them.
        language: only fences of this language count, such as "json"; None for any.
        required: whether text without such a fence is a failure.
        max_chars: longer text is refused unread.
    """

    name = "strip_fences"

    pick: Literal["first", "last", "longest", "all"] = field(
        default="first", kw_only=True, validator=validators.in_(("first", "last", "longest", "all"))
    )
    language: str | None = field(default=None, kw_only=True)
    required: bool = field(default=False, kw_only=True)
    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))

    def process(self, content: Any, context: StepContext) -> str:  # noqa: ARG002  # the text is enough
        """Return the text inside."""
        text = text_of(self.name, content, self.max_chars)
        wanted = None if self.language is None else self.language.lower()
        found = [fence.text for fence in fences(after_thoughts(text)) if wanted in (None, fence.language)]
        if not found:
            if self.required:
                kind = f" of {self.language}" if self.language else ""
                raise StepError(
                    f"there is no fence{kind} in the answer",
                    feedback=f"Put the answer into one Markdown code fence{kind}.",
                )
            return text
        match self.pick:
            case "first":
                return found[0]
            case "last":
                return found[-1]
            case "longest":
                return max(found, key=len)
            case "all":
                return "\n\n".join(found)
