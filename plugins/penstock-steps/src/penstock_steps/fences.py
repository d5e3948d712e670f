"""Markdown code fences and the thoughts of reasoning models: what stands around an answer proper."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Fence", "after_thoughts", "fences", "whole_fence"]


class Fence(NamedTuple):
    """One fenced block: the first word after the opening marks, in lower case, and the text inside."""

    language: str
    text: str


# A fence opens and closes at the start of a line, so that marks inside a JSON string are none; one that never closes
# was cut off. The lazy part ends at \Z at the latest: the search never goes back, and takes linear time.
_FENCE = re.compile(
    r"^(?P<margin>[ \t>]*+)(?P<marks>(?P<mark>[`~])(?P=mark){2,}+)[ \t]*+(?P<language>[\w+#.-]*)[^\n`]*\n(?P<text>.*?)"
    r"(?:^[ \t>]*+(?P=marks)(?P=mark)*+[ \t\r]*+$|\Z)",
    re.DOTALL | re.MULTILINE,
)

_THOUGHTS_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)


def fences(text: str) -> list[Fence]:
    """Return the fenced blocks of `text`, in order."""
    if "```" not in text and "~~~" not in text:
        return []
    return [_fence(found) for found in _FENCE.finditer(text)]


def whole_fence(text: str) -> Fence | None:
    """Return the one fence that all of `text` is, but for white space; None if it is not."""
    stripped = text.strip()
    found = _FENCE.match(stripped)
    return _fence(found) if found and found.end() == len(stripped) else None


def _fence(found: re.Match[str]) -> Fence:
    """Return a fence, its text without the margin that its first line has, and without the last line's end."""
    margin, text = found["margin"], found["text"].rstrip("\r\n")
    if margin:
        blank = "[ \t>]" if ">" in margin else "[ \t]"
        text = re.sub(rf"^{blank}{{0,{len(margin)}}}", "", text, flags=re.MULTILINE)
    return Fence(found["language"].lower(), text)


def after_thoughts(text: str) -> str:
    """Return what follows the last closing tag of a reasoning model's thoughts; all of `text` if there is none."""
    end = 0
    for found in _THOUGHTS_END.finditer(text):
        end = found.end()
    return text[end:] if text[end:].strip() else text
