"""What plugins offer, by kind and name: found and loaded here, once, at start-up."""

from penstock.registry.concerns import concerns_of
from penstock.registry.describe import Option, PartInfo
from penstock.registry.loading import PLUGINS_VARIABLE, load_registry
from penstock.registry.lookup import PluginInfo, Registry
from penstock.registry.offers import Kind, Offer

__all__ = [
    "PLUGINS_VARIABLE",
    "Kind",
    "Offer",
    "Option",
    "PartInfo",
    "PluginInfo",
    "Registry",
    "concerns_of",
    "load_registry",
]
