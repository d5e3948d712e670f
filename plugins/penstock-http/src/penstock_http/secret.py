"""Credentials that do not show themselves, and where those come from that change."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from anyio import to_thread

from penstock.errors import ErrorType, ProviderError

KEPT_S = 60.0
"""How long a key is used before it is asked for again. Google's and Microsoft's libraries, which such a function
mostly asks, keep theirs and renew it some minutes before it ends, so that a minute is safe and asking costs little."""


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

    @property
    def fits_a_header(self) -> bool:
        """Whether it is visible ASCII alone: what was copied from a page may hold a dash or a quote that is not."""
        return self._value.isascii() and self._value.isprintable()

    def masked(self, text: str) -> str:
        """Return `text` with every occurrence of the credential masked: some servers quote it in their errors."""
        return text.replace(self._value, "***")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")


class KeySource:
    """Asks a function for the key, and keeps what it says for a minute, or until a server refuses it.

    The function runs in a worker thread, so it may block, and never twice at once.
    """

    def __init__(self, fetch: Callable[[], str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._asking = Lock()
        self._key: Secret | None = None
        self._until = 0.0

    async def current(self) -> Secret:
        """Return the key. Raises an `AUTHENTICATION` error where the function raises, or gives none."""
        kept = self._kept()
        return kept if kept is not None else await to_thread.run_sync(self._renewed)

    def forget(self) -> None:
        """Ask for another key before the next call: a server has refused this one."""
        self._key = None

    def _kept(self) -> Secret | None:
        return self._key if self._clock() < self._until else None

    def _renewed(self) -> Secret:
        with self._asking:
            if (kept := self._kept()) is not None:
                return kept  # another thread has asked meanwhile
            try:
                key = Secret.of(self._fetch())
            except Exception as error:  # noqa: BLE001  # the caller's function: what it raises may quote a credential
                raise _no_key(f"the function for the API key raised {type(error).__name__}") from None
            if key is None:
                raise _no_key("the function for the API key gave none")
            self._key, self._until = key, self._clock() + KEPT_S
            return key

    def __repr__(self) -> str:
        return "KeySource(***)"


def _no_key(message: str) -> ProviderError:
    return ProviderError(message, ErrorType.AUTHENTICATION, sent=False)
