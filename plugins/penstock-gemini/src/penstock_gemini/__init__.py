"""Gemini's generateContent for penstock. Its providers are imported when they are asked for, not with the plugin."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_gemini.provider import GeminiProvider
    from penstock_gemini.vertex import VertexProvider

__all__ = ["GeminiProvider", "VertexProvider"]

_PLACES = {"GeminiProvider": "provider", "VertexProvider": "vertex"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
