"""Anthropic's Messages API for penstock. `AnthropicProvider` is imported when it is asked for, not with the plugin."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("penstock_anthropic.provider"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
