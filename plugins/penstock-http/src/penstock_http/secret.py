"""A credential that does not show itself."""

from __future__ import annotations


class Secret:
    """Holds a credential; its repr and its str are a mask, and it cannot be pickled.

    `Secret.of` gives None for what is no credential: None, or a text of blanks.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def of(cls, value: str | None) -> Secret | None:
        """Wrap `value` without the blanks around it, which a file or a terminal adds easily."""
        stripped = (value or "").strip()
        return cls(stripped) if stripped else None

    def reveal(self) -> str:
        """Return the credential; for the header that carries it and nothing else."""
        return self._value

    def masked(self, text: str) -> str:
        """Return `text` with every occurrence of the credential masked: some servers quote it in their errors."""
        return text.replace(self._value, "***")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")
