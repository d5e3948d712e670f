"""The step `number`: the one number in an answer."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import excerpt, text_of, wrong_type
from penstock_steps.fences import after_thoughts
from penstock_steps.patterns import MOST_MATCHED_CHARS

__all__ = ["Number"]

_SPACES = "\u0020\u00a0\u202f\u2009"
# A run of digits with single marks between them, and an exponent. Nothing of a word, an index or a version is one, and
# a minus between digits is none: "3-5" are two numbers, the 4 of "GPT-4" is not one.
_RUN = re.compile(
    r"(?<![\w.])(?<!\d[,'’٬٫])(?<![^\W\d][-–])(?P<sign>[-+−–])?"
    rf"(?P<digits>[.,٫]?\d++(?:[.,٫٬'’_{_SPACES}]\d++)*+)(?P<exponent>[eE][-+]?\d{{1,4}}+)?(?!\d|[.,]\d|[xX][0-9a-fA-F])"
)
_SHAPE = (
    rf"(?P<whole>\d{{{{1,3}}}}(?P<mark>[{{thousands}}{_SPACES}_'’٬])\d{{{{3}}}}(?:(?P=mark)\d{{{{3}}}})*+|\d*+)"
    r"(?:[{decimal}](?P<fraction>\d++))?"
)
_SHAPES = {
    ".": re.compile(_SHAPE.format(thousands=",", decimal=".٫")),
    ",": re.compile(_SHAPE.format(thousands=".", decimal=",٫")),
}
_SCALE = re.compile(
    r"(?-i:[kKMB]|bn|mn)\b|\s*(?:thousand|million|billion|trillion|mio|mrd|[万億亿])\b|\s*[万億亿]", re.IGNORECASE
)
_MOST = 1e300
_MOST_DIGITS = 300


@frozen(eq=False, kw_only=True)
class Number(PipelineStep):
    """Gives the number that an answer has, whatever stands around it: "about 1,250 kg" is 1250.

    Units, currency and per cent signs are left out, not computed with; "million", "k" and their like are a failure,
    for they are part of the number. Digits of any script are read, thoughts (`<think>`) before the answer are not. More
    than one number is a failure unless `pick` says which to take; none is one. An int or float is given back, checked;
    True, None and other data are a failure.

    Attributes:
        kind: "float", or "int", which refuses a fraction other than 0.
        minimum, maximum: bounds that belong to what is allowed; None for none.
        decimal: the decimal mark, "." or ","; the other one separates thousands, as do spaces and apostrophes.
        pick: "only", or "first" or "last" of several.
        max_chars: longer text is refused unread.
    """

    name = "number"

    kind: Literal["float", "int"] = field(default="float", validator=validators.in_(("float", "int")))
    minimum: float | None = None
    maximum: float | None = None
    decimal: Literal[".", ","] = field(default=".", validator=validators.in_((".", ",")))
    pick: Literal["only", "first", "last"] = field(default="only", validator=validators.in_(("only", "first", "last")))
    max_chars: int = field(default=MOST_MATCHED_CHARS, validator=validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is more than maximum {self.maximum:g}")

    def process(self, content: Any, context: StepContext) -> float | int:  # noqa: ARG002  # the text is enough
        """Return the number."""
        if isinstance(content, int | float) and not isinstance(content, bool):
            number: float = content
        elif isinstance(content, str):
            number = self._read(after_thoughts(text_of(self.name, content, self.max_chars)))
        else:
            raise wrong_type(self.name, content, "text or a number", "put extract_value before it")
        return self._checked(number)

    def _read(self, text: str) -> float | int:
        runs = list(_RUN.finditer(text))
        if not runs or (len(runs) > 1 and self.pick == "only"):
            what = f"has {len(runs)} numbers" if runs else "has no number"
            raise self._failure(f"{what}: {excerpt(text)}")
        run = runs[-1 if self.pick == "last" else 0]
        if scale := _SCALE.match(text, run.end()):
            raise self._failure(f"has a number in words: {excerpt(run.group() + scale.group())}")
        shape = _SHAPES[self.decimal].fullmatch(run["digits"])
        if shape is None or len(run["digits"]) > _MOST_DIGITS:
            raise self._failure(f"has something that is not one number: {excerpt(run.group())}")
        whole, fraction, exponent = shape["whole"], shape["fraction"] or "", run["exponent"] or ""
        digits = "".join(each for each in whole if each.isdigit())
        sign = -1 if run["sign"] in ("-", "−", "–") else 1
        if not fraction and not exponent:
            return sign * int(digits)
        return sign * float(f"{digits or 0}.{fraction or 0}{exponent}")

    def _checked(self, number: float) -> float | int:
        if not -_MOST < number < _MOST:  # nor is NaN between them
            raise self._failure("is not a number of any use")
        if self.kind == "int" and number != int(number):
            raise self._failure(f"is {number:g}, not a whole number")
        if self.minimum is not None and number < self.minimum:
            raise self._failure(f"is {number:g}, less than {self.minimum:g}")
        if self.maximum is not None and number > self.maximum:
            raise self._failure(f"is {number:g}, more than {self.maximum:g}")
        return int(number) if self.kind == "int" else float(number)

    def _failure(self, what: str) -> StepError:
        bounds = [
            f"{words} {bound:g}"
            for words, bound in (("at least", self.minimum), ("at most", self.maximum))
            if bound is not None
        ]
        wanted = " of ".join(
            part for part in ("one whole number" if self.kind == "int" else "one number", " and ".join(bounds)) if part
        )
        return StepError(
            f"the answer {what}", feedback=f"Answer with {wanted}, in digits, and nothing else. Your answer {what}."
        )
