"""The provider `gemini`: its settings and its addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from penstock_gemini.wire import GenerateContentProvider
from penstock_http import Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY

__all__ = ["GeminiProvider"]


class GeminiProvider(GenerateContentProvider):
    """Calls Google's Generative Language API."""

    name = "gemini"
    default_base_url: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    key_variable: ClassVar[str] = "GEMINI_API_KEY"
    base_url_variable: ClassVar[str] = "GEMINI_BASE_URL"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.

        Args:
            api_key: the key; None takes GEMINI_API_KEY, else GOOGLE_API_KEY. Needed at Google; elsewhere, no key
                sends none.
            base_url: up to and including "/v1beta"; None takes GEMINI_BASE_URL, else Google's own.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
        """
        super().__init__(
            api_key=api_key or os.environ.get(self.key_variable) or os.environ.get("GOOGLE_API_KEY"),
            base_url=base_url,
            headers=headers,
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
        )

    def place(self, model: str) -> str:
        """Return the path of "gemini-2.5-flash", or of a whole name such as "tunedModels/mine"."""
        return model if "/" in model else f"models/{model}"
