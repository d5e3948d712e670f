"""The step `to_dict`: the one object in an answer, however it was written."""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, excerpt, text_of, wrong_type
from penstock_steps.tolerant import Limits, NotReadableError, OutOfBoundsError, read_object

__all__ = ["ToDict"]

_FEEDBACK = "Answer with one JSON object and nothing else."


@frozen(eq=False)
class ToDict(PipelineStep):
    """Reads a dict out of text: strict JSON as it stands, anything else as well as it can be read.

    Takes what is around the object (prose, fences, thoughts) and how it is spelt (quotes, Python's words, comments,
    commas, other scripts' punctuation), and what was cut off. Keys are never invented: each is in the text. A repair
    that would leave out a key is a failure.

    Gives a dict, or fails with a StepError and nothing else. A dict is given back as it is: on a dict it cannot fail.

    Attributes:
        max_chars: longer text is refused unread.
        max_depth: levels of objects and lists; deeper ones are refused.
        of_list: what to take when the answer is a list of several objects, or several one after another: "only"
            refuses it, "first" and "last" take that one. A list of one object is that object in any case.
    """

    name = "to_dict"

    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))
    max_depth: int = field(default=100, kw_only=True, validator=[validators.ge(1), validators.le(500)])
    of_list: Literal["only", "first", "last"] = field(
        default="only", kw_only=True, validator=validators.in_(("only", "first", "last"))
    )

    def process(self, content: Any, context: StepContext) -> dict[str, Any]:  # noqa: ARG002  # the text is enough
        """Return the object."""
        if isinstance(content, dict):
            return content
        if isinstance(content, list):
            return self._of(content)
        if not isinstance(content, str):
            raise wrong_type(self.name, content, "text, a dict or a list", "put it first")
        text = text_of(self.name, content, self.max_chars)
        try:
            value = read_object(text, Limits(depth=self.max_depth))
        except NotReadableError as error:
            raise StepError(f"no object in the answer: {error}: {excerpt(text)}", feedback=_FEEDBACK) from None
        except OutOfBoundsError as error:
            raise StepError(f"the object in the answer cannot be read: {error}", feedback=_FEEDBACK) from None
        return value if isinstance(value, dict) else self._of(value)

    def _of(self, items: list[Any]) -> dict[str, Any]:
        objects: list[dict[str, Any]] = [item for item in items if isinstance(item, dict)]
        if len(items) == 1 and objects:
            return objects[0]
        if not objects or self.of_list == "only":
            raise StepError(
                f"the answer is a list of {len(items)} items, not one object"
                + ("; of_list says which of several objects to take" if objects else ""),
                feedback=f"{_FEEDBACK} It was a list of {len(items)} items.",
            )
        return objects[0 if self.of_list == "first" else -1]
