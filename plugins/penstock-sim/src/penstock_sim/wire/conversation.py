"""Conversations as text: the same for the same words, whichever format they came in.

So the same question gets the same answer from every API.
"""

from collections.abc import Iterable

import orjson


def said(role: str, text: str) -> str:
    """Write what one side says."""
    return f"{role}: {text}"


def prompt_of(turns: Iterable[str]) -> str:
    """Write a conversation as one text; its tokens are those of the prompt."""
    return "\n".join(turns)


def as_text(part: object) -> str:
    """Put into words what is no text: a picture, or anything else of an API's own."""
    return orjson.dumps(part).decode()


def text_of(part: object) -> str:
    """Take the text of a part, or put the part into words."""
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else as_text(part)


def call_text(call_id: object, name: object, arguments: object) -> str:
    """Put into words that the model called a tool; `arguments` is JSON text."""
    return as_text({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
