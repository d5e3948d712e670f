"""The step: what it takes for an address or a number, what it puts there, and its settings."""

from __future__ import annotations

import re
from typing import Any

from attrs import field, frozen, validators
from penstock import PipelineStep, StepContext, StepError

# Every repetition is bounded and begins where no other could: a megabyte of letters takes no longer for it.
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}(?![\w-])")
PHONE = re.compile(r"(?<![\w+])(?:\+|00?|\()[(\d](?:[ ./()-]{0,2}\d){5,14}(?![\w])")

MOST_DEPTH = 50


@frozen(kw_only=True)
class RedactSettings:
    """The options of the step `redact`.

    Attributes:
        emails: whether e-mail addresses are masked.
        phones: whether telephone numbers are.
        email_mask, phone_mask: what is put in their place.
    """

    emails: bool = True
    phones: bool = True
    email_mask: str = field(default="[email]", validator=validators.max_len(100))
    phone_mask: str = field(default="[phone]", validator=validators.max_len(100))


class RedactStep(PipelineStep):
    """Masks e-mail addresses and telephone numbers in a text, and in the texts of JSON data.

    A telephone number is what is written as one: with +, with a 0 in front, or with its area code in parentheses.
    Keys of JSON objects stay as they are. The answer as the model gave it remains in the result's `raw_content`.
    """

    name = "redact"

    def __init__(self, settings: RedactSettings | None = None) -> None:
        """Take the settings; without any, the defaults."""
        chosen = settings or RedactSettings()
        self._masks = [(EMAIL, chosen.email_mask)] * chosen.emails + [(PHONE, chosen.phone_mask)] * chosen.phones

    def process(self, content: Any, context: StepContext) -> Any:
        """Return `content` with masks; raise StepError for what is neither text nor JSON data."""
        return self._redacted(content, 0)

    def _redacted(self, content: Any, depth: int) -> Any:
        match content:
            case _ if depth > MOST_DEPTH:
                raise StepError(f"redact: the data is nested more than {MOST_DEPTH} times")
            case str():
                for pattern, mask in self._masks:
                    content = pattern.sub(mask.replace("\\", r"\\"), content)
                return content
            case dict():
                return {key: self._redacted(value, depth + 1) for key, value in content.items()}
            case list():
                return [self._redacted(value, depth + 1) for value in content]
            case bool() | int() | float() | None:
                return content
            case _:
                raise StepError(f"redact takes texts and JSON data, not a {type(content).__name__}")
