"""Finds the name that somebody meant. Stands on the standard library alone, at the bottom of the house."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that is most like `word`, or None when none is alike."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the end of an error message: the nearest right name, or a short list of all of them, or nothing."""
    known = sorted(words)
    meant = nearest(word, known)
    if meant is not None:
        return f"; did you mean {meant!r}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
