"""The simulated model's vectors: what stands for the meaning of a text."""

import math
import sys
from array import array
from hashlib import shake_128


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
