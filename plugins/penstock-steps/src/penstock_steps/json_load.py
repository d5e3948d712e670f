"""The step `json_load`: JSON by the letter."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, excerpt, parsed, text_of

__all__ = ["JsonLoad"]


@frozen(eq=False)
class JsonLoad(PipelineStep):
    """Parses text that is JSON and nothing else: no fence, no prose, no NaN.

    Gives what the JSON says, of any type. A dict and a list are given back as they are: on those it cannot fail.

    Attributes:
        max_chars: longer text is refused unread.
    """

    name = "json_load"

    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # the text is enough
        """Return the parsed value."""
        if isinstance(content, dict | list):
            return content
        text = text_of(self.name, content, self.max_chars)
        try:
            return parsed(text, strict=True)
        except ValueError as error:
            raise StepError(
                f"the answer is not JSON: {error}: {excerpt(text)}",
                feedback=f"The answer must be JSON and nothing else, and it is not: {error}.",
            ) from None
