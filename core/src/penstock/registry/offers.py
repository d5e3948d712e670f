"""Asks one plugin what it offers, and refuses whatever is not a proper answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast

import attrs
import pluggy
from attrs import frozen

from penstock.contracts import Registration
from penstock.errors import PluginError
from penstock.hookspecs import PROJECT
from penstock.spelling import nearest

__all__ = ["HOOK_OF", "SECRETIVE", "Kind", "Offer", "hooks_of", "offered"]

Kind = Literal["provider", "gate", "step", "sink"]

HOOK_OF: Mapping[Kind, str] = {
    "provider": "penstock_providers",
    "gate": "penstock_gates",
    "step": "penstock_steps",
    "sink": "penstock_sinks",
}

SECRETIVE: frozenset[Kind] = frozenset({"provider", "sink"})
"""The kinds that hold connections: their options may be credentials, and no message repeats them."""

NAME = re.compile(r"[a-z0-9_-]+")
IMPORT_PATH = re.compile(r"[\w.]+:[\w.]+")


@frozen(kw_only=True)
class Offer:
    """One registration, with the plugin that made it."""

    kind: Kind
    registration: Registration
    owner: str

    @property
    def name(self) -> str:
        """What users write."""
        return self.registration.name


def hooks_of(plugin: object, manager: pluggy.PluginManager) -> tuple[str, ...]:
    """Return the names of the hooks that `plugin` implements.

    Raises:
        PluginError: it implements none, a name is misspelt, or a function of a hook's name lacks `@hookimpl`.
    """
    known = set(HOOK_OF.values())
    found = []
    for attribute in dir(plugin):
        marks = manager.parse_hookimpl_opts(plugin, attribute)
        if marks is not None:
            name = marks.get("specname") or attribute
            if name not in known:
                meant = _nearest_hook(name)
                hint = f"; did you mean {meant!r}?" if meant else f"; known: {', '.join(sorted(known))}"
                raise PluginError(f"there is no hook {name!r}{hint}")
            found.append(name)
        elif attribute.startswith(PROJECT) and _looks_forgotten(plugin, attribute):
            raise PluginError(f"the function {attribute!r} is no hook yet: is @hookimpl missing?")
    if not found:
        raise PluginError(f"it implements no hook; known: {', '.join(sorted(known))}")
    return tuple(dict.fromkeys(found))


def _looks_forgotten(plugin: object, attribute: str) -> bool:
    """Whether an unmarked attribute is a function with about a hook's name, and not penstock's own specification."""
    value = inspect.getattr_static(plugin, attribute, None)
    own = hasattr(value, f"{PROJECT}_spec")  # an import of the specification, for the reader's sake
    return inspect.isroutine(value) and not own and _nearest_hook(attribute) is not None


def _nearest_hook(name: str) -> str | None:
    """Return the hook that `name` is meant to be; the prefix, which all of them share, says nothing."""
    prefix = f"{PROJECT}_"
    meant = nearest(name.removeprefix(prefix), [hook.removeprefix(prefix) for hook in HOOK_OF.values()])
    return None if meant is None else prefix + meant


def offered(plugin: object, hooks: Iterable[str], manager: pluggy.PluginManager, owner: str) -> list[Offer]:
    """Call the plugin's hooks, and only its, and return what they offer.

    Raises:
        PluginError: a hook returned something else than registrations, or one name twice.
    """
    others = manager.get_plugins() - {plugin}
    offers: dict[tuple[Kind, str], Offer] = {}
    for kind, hook in HOOK_OF.items():
        if hook not in hooks:
            continue
        answers = manager.subset_hook_caller(hook, remove_plugins=others)()
        if not answers:  # pluggy drops None
            raise PluginError(f"{hook} returned None, not a list of Registration")
        for registration in _registrations(hook, answers):
            if (kind, registration.name) in offers:
                raise PluginError(f"{hook} offers the name {registration.name!r} twice")
            offers[kind, registration.name] = Offer(kind=kind, registration=registration, owner=owner)
    return list(offers.values())


def _registrations(hook: str, answers: Iterable[object]) -> Iterator[Registration]:
    for answer in answers:
        if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
            raise PluginError(f"{hook} returned a {type(answer).__name__}, not a list of Registration")
        for item in cast("Iterable[object]", answer):
            if not isinstance(item, Registration):
                raise PluginError(f"{hook} returned a list with a {type(item).__name__}, not a Registration")
            problem = _problem_of(item)
            if problem:
                raise PluginError(f"{hook}: {problem}")
            yield item


def _problem_of(registration: Registration) -> str:
    """Return what is wrong with a registration, "" for nothing: its author may not use a type checker."""
    name, factory, settings = cast(
        "tuple[Any, Any, Any]", (registration.name, registration.factory, registration.settings)
    )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"the name {name!r} must be of lower-case letters, digits, '-' and '_'"
    if not callable(factory) and not (isinstance(factory, str) and IMPORT_PATH.fullmatch(factory)):
        return f"the factory of {name!r} must be a callable or 'module:attribute', not {factory!r}"
    if isinstance(settings, str):
        return "" if IMPORT_PATH.fullmatch(settings) else f"the settings of {name!r} must be 'module:attribute'"
    if settings is not None and not (isinstance(settings, type) and attrs.has(settings)):
        return f"the settings of {name!r} must be an attrs class, not {settings!r}"
    return ""
