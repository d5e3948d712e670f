"""The step `semantic_isolation`: a second call of a model that takes one element out of the first one's answer."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
from attrs import field, frozen, validators

from penstock import GenerationRequest, PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, text_of, wrong_type

__all__ = ["PROMPT", "SemanticIsolation"]

PROMPT = """\
Copy the {element} out of the text below, word for word, and write nothing else.

<text>
{content}
</text>"""
"""The default prompt."""

_PLACE = re.compile(r"\{(element|content)\}")


@frozen(eq=False)
class SemanticIsolation(PipelineStep):
    """Asks a model to copy one element out of the answer, and gives what it says.

    The call goes through the same gates; its usage and cost count in the request's result. A call that fails, is cut
    off or says nothing is the step's failure, and the raw answer stands. So there is no content on which it cannot
    fail. It takes text, and a dict or a list as JSON.

    Attributes:
        element: what to isolate, as a model understands it, such as "recipe" or "SQL query".
        prompt: what the model is told, with `{content}` where the answer goes and `{element}` where that is named.
        model: "provider/model"; None for the request's own.
        max_tokens: of the second answer; None leaves it to the provider. An answer that reaches it is cut off.
        max_chars: longer text is refused unread.
    """

    name = "semantic_isolation"
    timeout_s = None  # it waits for a call, which has limits of its own

    element: str = field(validator=validators.min_len(1))
    prompt: str = field(default=PROMPT, kw_only=True)
    model: str | None = field(default=None, kw_only=True)
    max_tokens: int | None = field(default=None, kw_only=True, validator=validators.optional(validators.ge(1)))
    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))

    @prompt.validator
    def _has_a_place(self, _: attrs.Attribute[Any], prompt: str) -> None:
        if "{content}" not in prompt:
            raise ValueError("prompt must have {content} where the answer goes")

    async def process(self, content: Any, context: StepContext) -> str:
        """Return the element."""
        values = {"element": self.element, "content": self._text(content)}
        request = GenerationRequest(
            model=self.model or context.request.model,
            prompt=_PLACE.sub(lambda place: values[place[1]], self.prompt),  # one pass: braces in the answer stay
            max_tokens=self.max_tokens,
            operation=context.request.operation,
            priority=context.request.priority,
            pipeline=(),
        )
        result = await context.generate(request)
        if not result.success:
            raise StepError(f"the call to isolate {self.element!r} failed: {result.error_message}")
        if result.finish_reason == "length":
            raise StepError(f"the isolated {self.element!r} was cut off; raise max_tokens")
        isolated = result.raw_content or ""
        if not isolated.strip():
            raise StepError(f"the call to isolate {self.element!r} gave no text")
        return isolated.strip()

    def _text(self, content: object) -> str:
        if isinstance(content, dict | list):
            content = json.dumps(content, ensure_ascii=False, default=str)
        if not isinstance(content, str):
            raise wrong_type(self.name, content, "text, a dict or a list", "put it first")
        return text_of(self.name, content, self.max_chars)
