"""Gemini's generateContent for penstock. `GeminiProvider` is imported when it is asked for, not with the plugin."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_gemini.provider import GeminiProvider

__all__ = ["GeminiProvider"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("penstock_gemini.provider"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
