"""When a run gives up: at failures that every row after them would meet as well. Pure; a run asks after each row."""

from __future__ import annotations

from attrs import define

from penstock.errors import ErrorType
from penstock.schema import GenerationResult

__all__ = ["Hopes"]

HOPELESS = {
    ErrorType.INSUFFICIENT_QUOTA: 1,
    ErrorType.AUTHENTICATION: 5,
    ErrorType.UNSUPPORTED_REGION: 5,
    ErrorType.PERMISSION: 20,
    ErrorType.NOT_FOUND: 20,
}
"""Failures that no other row would escape, and how many rows in a row must meet one before a run gives up."""

UNSENT_ALIKE = 20
"""How many rows in a row must fail before any call, with one message, which is then about the settings."""

PATIENCE_S = 60.0
LEAST_TRIED = 20
"""How long a run goes on, and with how many rows at least, while nothing has been answered at all."""

ANSWERED_429 = frozenset({ErrorType.HTTP_429})
"""Failures that time may mend and that are a word of the provider's all the same: somebody is there."""


@define
class Hopes:
    """What the rows so far say about those to come.

    Attributes:
        met: whether anything came back that a provider meant: an answer, or a refusal of one request.
        tried: rows that are over.
    """

    met: bool = False
    tried: int = 0
    _since: float | None = None
    _alike: int = 0
    _first: GenerationResult | None = None

    def judge(self, result: GenerationResult, now: float) -> str | None:
        """Take in a row's outcome at `now`, in seconds; return why the run had better end, None while there is hope."""
        self.tried += 1
        kind = result.error_type
        self.met = self.met or kind is None or kind in ANSWERED_429 or (bool(result.attempts) and not kind.retryable)
        if self._since is None:
            self._since = now - result.elapsed_ms / 1000
        if kind is None:
            self._alike, self._first = 0, None
            return None
        self._count(result)
        if self._alike == self._enough(result):
            rows = f"{self._alike} rows in a row" if self._alike > 1 else "a row"
            return f"{rows} failed with {kind.value}: {self._first_message()}"
        if not self.met and kind.retryable and self.tried >= LEAST_TRIED and now - self._since >= PATIENCE_S:
            return f"{self.tried:,} rows and no answer at all; the last one failed with {kind.value}: " + (
                result.error_message or kind.remedy
            )
        return None

    def _count(self, result: GenerationResult) -> None:
        """Count `result` with those before it, if it failed alike."""
        if self._first is None or _wall(self._first) != _wall(result):
            self._alike, self._first = 0, result
        self._alike += 1

    def _enough(self, result: GenerationResult) -> int | None:
        """Return how many rows that fail like `result` are enough; None when other rows may do better."""
        if result.error_type in HOPELESS:
            return HOPELESS[result.error_type]
        return UNSENT_ALIKE if _about_the_settings(result) else None

    def _first_message(self) -> str:
        return (self._first.error_message if self._first is not None else None) or ""


def _about_the_settings(result: GenerationResult) -> bool:
    return result.error_type is ErrorType.INVALID_REQUEST and not result.attempts


def _wall(result: GenerationResult) -> tuple[ErrorType | None, str | None]:
    """Return what two rows have in common that failed alike."""
    return result.error_type, result.error_message if _about_the_settings(result) else None
