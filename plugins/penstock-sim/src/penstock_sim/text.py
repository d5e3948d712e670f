"""The simulated model's language: what it says, and how many tokens that is.

Everything here is a pure function of its arguments, so that the server and the
in-process provider give the same answer to the same request.
"""

import random
import re
from hashlib import blake2b
from itertools import accumulate
from typing import Final, Literal

TextFinish = Literal["stop", "length"]

CHARACTERS_PER_TOKEN: Final = 4
"""OpenAI's rule of thumb for English text."""

NATURAL_TOKENS: Final = (16, 64)
"""Least and greatest length, in tokens, of a reply that nothing cuts short."""

_VOCABULARY: Final = """
    water river gate valve pipe turbine wheel stone bank mill dam lake rain snow spring summer
    autumn winter morning evening engineer miller boat bridge tower field slope level pressure
    flow current head drop rise fall turn open close hold carry measure count wait begin end the
    a and of to in under over through before after slow steady heavy light deep narrow wide cold
"""


_PIECES: Final = re.compile(r"\s*\S{1,16}|\s+")


def _stock_of_words() -> list[str]:
    # Random.random() is the one generator method whose sequence Python guarantees across versions.
    draw = random.Random("penstock").random  # noqa: S311  # words, not secrets
    vocabulary = _VOCABULARY.split()
    return [vocabulary[int(draw() * len(vocabulary))] for _ in range(8192)]


_STOCK: Final = _stock_of_words()
_STOCK_TEXT: Final = "".join(f"{word} " for word in _STOCK)
_WORD_STARTS: Final = [0, *accumulate(len(word) + 1 for word in _STOCK)][:-1]


def count_tokens(text: str) -> int:
    """Count the tokens of a text: one for each four characters begun.

    Returns 0 for the empty text only.
    """
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def pieces(text: str) -> list[str]:
    """Split a text as a stream brings it: a word, or 16 characters of a long one, at a time."""
    return _PIECES.findall(text)


def fingerprint(*parts: object) -> int:
    """Hash the parts to 64 bits, the same in every process and Python version."""
    joined = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "big")


def clip(text: str, max_tokens: int | None) -> tuple[str, TextFinish]:
    """Cut a text to at most `max_tokens` tokens and say whether that cut anything.

    A text that is cut counts exactly `max_tokens` tokens.
    """
    if max_tokens is None or count_tokens(text) <= max_tokens:
        return text, "stop"
    return text[: max_tokens * CHARACTERS_PER_TOKEN], "length"


def reply_text(
    prompt: str,
    max_tokens: int | None,
    seed: int,
    *,
    natural_tokens: tuple[int, int] = NATURAL_TOKENS,
) -> tuple[str, TextFinish]:
    """Answer a prompt with a sentence of plain words.

    The same arguments give the same text. Its natural length lies evenly within
    `natural_tokens` (give or take one word); `max_tokens` cuts it, and the
    finish is then `"length"`.
    """
    mark = fingerprint(seed, prompt)
    shortest, longest = natural_tokens
    length = (shortest + (mark >> 32) % (longest - shortest + 1)) * CHARACTERS_PER_TOKEN
    if max_tokens is not None:
        # A few characters more than can be kept: enough for clip() to see that it cuts.
        length = min(length, (max_tokens + 1) * CHARACTERS_PER_TOKEN)
    return clip(f"{_words(mark % len(_STOCK), length).capitalize()}.", max_tokens)


def _words(first: int, length: int) -> str:
    """Take whole words from the stock, round and round, from the `first`-th until they reach `length`."""
    start = _WORD_STARTS[first]
    text = _STOCK_TEXT * (1 + (start + length) // len(_STOCK_TEXT))
    return text[start : text.index(" ", start + length - 1)]
