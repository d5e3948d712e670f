"""Anthropic's Messages API for penstock. `AnthropicProvider` is imported when it is asked for, not with the plugin."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]

_PLACES = {"AnthropicProvider": "provider"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
