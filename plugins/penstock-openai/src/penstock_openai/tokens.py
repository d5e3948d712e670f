"""How long a text is in tokens: by a rule of thumb, or exactly, with the vocabulary of OpenAI's models at hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Literal

from penstock.contracts import CHARS_PER_TOKEN

__all__ = ["Count", "Tokenizer", "counter", "fast_count"]

Count = Callable[[str], int]
Tokenizer = Literal["fast", "exact"]

VOCABULARY = "o200k_base"
"""What GPT-4o and all later models of OpenAI are trained with."""


def fast_count(text: str) -> int:
    """Return characters / 4: what OpenAI's limits were seen to count, and what `Forecast` corrects elsewhere."""
    return len(text) // CHARS_PER_TOKEN


def counter(tokenizer: Tokenizer) -> Count:
    """Return the function that counts.

    Raises ValueError where the exact one is asked for and not installed.
    """
    if tokenizer == "fast":
        return fast_count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the way the library opens its own files
        try:
            library = import_module("bpe_openai")  # late: its vocabularies are tens of megabytes that few need
        except ImportError:
            raise ValueError("tokenizer 'exact' needs its extra: pip install 'penstock-openai[exact]'") from None
        encode = library.get_encoding(VOCABULARY).encode_ordinary
    return lambda text: len(encode(text))
