"""OpenAI's APIs for penstock, at OpenAI, at Azure and elsewhere. Providers are imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_openai.azure import AzureOpenAIProvider
    from penstock_openai.compatible import CompatibleProvider
    from penstock_openai.provider import OpenAIProvider

__all__ = ["AzureOpenAIProvider", "CompatibleProvider", "OpenAIProvider"]

_HOMES = {
    "AzureOpenAIProvider": "penstock_openai.azure",
    "CompatibleProvider": "penstock_openai.compatible",
    "OpenAIProvider": "penstock_openai.provider",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
