"""What nobody expected: in words, and in the log, in full the first time at each place, as every row may meet it."""

from __future__ import annotations

import logging
import traceback

__all__ = ["FaultLog", "in_words"]

MOST_PLACES = 100
"""So many places are remembered; faults at others are not logged in full any more."""


def in_words(error: Exception) -> str:
    """Return the exception's class and what it says, if it says anything."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class FaultLog:
    """Knows which faults have been told. `tell` is called where the exception is handled."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[tuple[type[BaseException], str, int]] = set()

    def tell(self, trace_id: str, error: Exception) -> None:
        """Log `error` with its traceback as an error, or in a line at level INFO if its like was told before."""
        cause = error.__cause__ or error
        last = traceback.extract_tb(cause.__traceback__, limit=-1)
        place = (type(cause), last[0].filename, last[0].lineno or 0) if last else (type(cause), "", 0)
        if place in self._told or len(self._told) >= MOST_PLACES:
            self._logger.info("request %s failed as another one did: %s", trace_id, error)
            return
        self._told.add(place)
        self._logger.error("request %s failed unexpectedly; others like it are told briefly", trace_id, exc_info=error)
