"""Imports what a registration names, when it is used; whatever breaks is the fault of a plugin that is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import attrs

from penstock.errors import PluginError
from penstock.registry.offers import Offer
from penstock.registry.wording import message_of, without_values

__all__ = ["faults_of", "imported"]


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


@contextmanager
def faults_of(
    offer: Offer, doing: str, *, but: tuple[type[Exception], ...] = (), hidden: object = None
) -> Iterator[None]:
    """Turn whatever a part's own code raises into a PluginError that names the part; SystemExit too: we go on.

    Args:
        offer: whose code runs within.
        doing: what it is run for, such as "making it".
        but: errors that pass as they are.
        hidden: data whose strings the message must not repeat; with it, the error has no cause to read them from.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, *but)):
            raise
        words = f"{doing} raised {type(error).__name__}: {without_values(message_of(error), hidden)}"
        raise PluginError(f"{offer.owner}: {offer.kind} {offer.name!r}: {words}") from (None if hidden else error)


def _resolved(offer: Offer, target: Any) -> Any:
    """Return what a registration names: an object as it is, "module:attribute" imported."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    with faults_of(offer, f"importing {target!r}"):
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
