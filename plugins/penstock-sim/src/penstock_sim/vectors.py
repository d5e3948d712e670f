"""The simulated model's vectors: what stands for the meaning of a text."""

import math
import sys
from array import array
from collections.abc import Iterable
from hashlib import shake_128
from typing import Final

from penstock_sim.text import CHARACTERS_PER_TOKEN

_LARGE: Final = ("text-embedding-3-large", "gemini-embedding-")
_LARGE_DIMENSIONS: Final = 3072
_OTHER_DIMENSIONS: Final = 1536


def dimensions_of(model: str) -> int:
    """Return how many dimensions a model's vectors have; that is the most that it can be asked for."""
    return _LARGE_DIMENSIONS if model.startswith(_LARGE) else _OTHER_DIMENSIONS


def counted_together(texts: Iterable[str]) -> str:
    """Join texts, each filled up to a whole token, so that they count together what they count one by one."""
    return "".join([text + " " * (-len(text) % CHARACTERS_PER_TOKEN) for text in texts])


def unit_vector(model: str, text: str, dimensions: int) -> list[float]:
    """Return the vector of a text, of length 1: the same in every process, and another for any other text or model.

    Texts that are alike have vectors that are not. A shorter vector is the beginning of a longer one, made as long
    as 1 again, as it is with the real models that can be asked for fewer dimensions.
    """
    drawn = array("h", shake_128(f"{model}\n{text}".encode("utf-8", "surrogatepass")).digest(2 * dimensions))
    if sys.byteorder == "big":
        drawn.byteswap()
    length = math.sqrt(sum([number * number for number in drawn])) or 1.0
    return [number / length for number in drawn]


def packed(vector: list[float]) -> bytes:
    """Write a vector as OpenAI packs them: 32-bit floats, the low byte first."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
