"""Imports what a registration names, when it is used; whatever breaks is the fault of a plugin that is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import attrs

from penstock.errors import PluginError
from penstock.registry.offers import Offer
from penstock.registry.wording import message_of, without_values

__all__ = ["broken", "imported"]


def imported(offer: Offer) -> tuple[Callable[..., Any], type[Any] | None]:
    """Return what makes a part, and its settings class, if it has one.

    Raises:
        PluginError: one of them cannot be imported, or is something else.
    """
    factory = _resolved(offer, offer.registration.factory)
    if not callable(factory):
        raise PluginError(f"{offer.owner}: the factory of {offer.kind} {offer.name!r} is a {type(factory).__name__}")
    settings = _resolved(offer, offer.registration.settings)
    if settings is not None and not (isinstance(settings, type) and attrs.has(settings)):
        raise PluginError(f"{offer.owner}: the settings of {offer.kind} {offer.name!r} are no attrs class")
    return factory, settings


def broken(offer: Offer, doing: str, error: BaseException, hidden: object = None) -> PluginError:
    """Return an error that says whose part broke and how, without the strings that `hidden` holds."""
    words = without_values(message_of(error), hidden)
    return PluginError(f"{offer.owner}: {offer.kind} {offer.name!r}: {doing} raised {type(error).__name__}: {words}")


def _resolved(offer: Offer, target: Any) -> Any:
    """Return what a registration names: an object as it is, "module:attribute" imported."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end our process
        raise broken(offer, f"importing {target!r}", error) from error
    return found
