"""What a plugin is called, everywhere that it has a name, from the one name that its author gave."""

from __future__ import annotations

import keyword
import re

from attrs import frozen

from penstock import PenstockError

__all__ = ["Name"]

MOST_CHARS = 22
"""Longer names make lines that no longer fit in the templates, and nobody types them."""

FAMILY = "penstock"


@frozen
class Name:
    """One name in all its spellings.

    Attributes:
        words: lower-case words of letters and digits, such as ("my", "step").
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, given: str) -> Name:
        """Return the name that somebody meant by `penstock-shout`, `Shout` or `my step`.

        Raises PenstockError, saying what to write instead, for what cannot be a name in Python and on a package index.
        """
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", given)
        words = tuple(re.split(r"[\s._-]+", spaced.strip(" \t._-").lower()))
        if words[0] == FAMILY:
            words = words[1:]
        name = cls(words)
        problem = _problem(name)
        if problem:
            raise PenstockError(f"the name {given!r} cannot be: {problem}")
        return name

    @property
    def part(self) -> str:
        """What users write after `use =` or before the slash of a model: "my_step"."""
        return "_".join(self.words)

    @property
    def dist(self) -> str:
        """What users install: "penstock-my-step"."""
        return "-".join((FAMILY, *self.words))

    @property
    def module(self) -> str:
        """What programs import: "penstock_my_step"."""
        return "_".join((FAMILY, *self.words))

    @property
    def variable(self) -> str:
        """The beginning of its environment variables: "MY_STEP"."""
        return self.part.upper()

    def class_of(self, kind: str, taken: frozenset[str]) -> str:
        """Return its class, such as "ShoutStep": the kind is said once, and no name in `taken` is used again."""
        words = self.words[:-1] if self.words[-1] == kind and len(self.words) > 1 else self.words
        stem = "".join(word.capitalize() for word in words)
        name = f"{stem}{kind.capitalize()}"
        return f"{FAMILY.capitalize()}{name}" if name in taken else name


def _problem(name: Name) -> str | None:
    """Return what is wrong with a name, None if nothing is."""
    if not "".join(name.words):
        return f"nothing of it is left after {FAMILY!r}; choose a word for what it does, such as 'shout'"
    strange = sorted(set(re.findall(r"[^a-z0-9]", "".join(name.words))))
    if strange:
        return f"it has {', '.join(map(repr, strange))}; use the letters a to z, digits, '-' and '_'"
    if not name.part[0].isalpha():
        return "it begins with a digit; begin it with a letter"
    if keyword.iskeyword(name.part) or keyword.iskeyword(name.part.capitalize()):
        return f"{name.part!r} is a keyword of Python; add a word, such as 'my-{name.part}'"
    if name.part in {"provider", "gate", "step", "sink"}:
        return f"{name.part!r} is what all of them are; choose a word for what it does, such as 'shout'"
    if len(name.part) > MOST_CHARS:
        return f"it has {len(name.part)} characters, and at most {MOST_CHARS} fit"
    return None
