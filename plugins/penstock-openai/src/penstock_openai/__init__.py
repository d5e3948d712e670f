"""OpenAI's APIs for penstock, at OpenAI, at Azure and elsewhere. Providers are imported when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_openai.azure import AzureOpenAIProvider
    from penstock_openai.compatible import CompatibleProvider
    from penstock_openai.provider import OpenAIProvider

__all__ = ["AzureOpenAIProvider", "CompatibleProvider", "OpenAIProvider"]

_PLACES = {"AzureOpenAIProvider": "azure", "CompatibleProvider": "compatible", "OpenAIProvider": "provider"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
