"""Finds, loads and registers plugins, each one by itself: what breaks one is recorded and touches no other."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from types import ModuleType

import pluggy
from attrs import evolve

import penstock.builtin
import penstock.hookspecs
from penstock.discovery import PLUGINS_GROUP, installed, version_of
from penstock.errors import PluginError
from penstock.hookspecs import PROJECT
from penstock.registry.concerns import warnings_of
from penstock.registry.lookup import PluginInfo, Registry
from penstock.registry.offers import HOOK_OF, Offer, hooks_of, offered
from penstock.registry.versions import TooNewError, api_of
from penstock.registry.wording import message_of
from penstock.schema import FrozenMapping
from penstock.spelling import did_you_mean

__all__ = ["PLUGINS_VARIABLE", "load_registry"]

PLUGINS_VARIABLE = "PENSTOCK_PLUGINS"
"""A comma list of the entry points to load: unset for all that are installed, empty for none."""

Candidate = tuple[PluginInfo, Callable[[], object]]
"""A plugin before anything of it is imported, and what imports it."""


def load_registry(
    *,
    plugins: Iterable[object] = (),
    entry_points: bool = True,
    environ: Mapping[str, str] = os.environ,
    logger: logging.Logger | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Registry:
    """Return a registry of the built-in parts, the installed plugins and `plugins`.

    Nothing is kept between calls. A plugin that cannot be loaded is logged as a warning, recorded in
    `Registry.plugins` with the reason and a remedy, and offers nothing; no other plugin notices. One that is very slow
    or written for older hooks works, with a warning: Python has no safe way to stop an import.

    Args:
        plugins: modules or objects with hook implementations, besides what is installed.
        entry_points: False leaves installed plugins alone.
        environ: where `PENSTOCK_PLUGINS` is looked up.
        logger: takes the warnings; the default is this module's own.
        clock: tells seconds, for the load times.
    """
    log = logger or logging.getLogger(__name__)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(penstock.hookspecs)
    candidates = [
        _given(penstock.builtin, PluginInfo(name="builtin", dist="penstock", version=version_of("penstock"))),
        *(_installed(environ.get(PLUGINS_VARIABLE)) if entry_points else ()),
        *(_given(plugin, PluginInfo(name=_name_of(plugin))) for plugin in plugins),
    ]
    loaded = [_loaded(found, load, manager, clock) for found, load in candidates]
    offers = [offer for _, offered_by_one in loaded for offer in offered_by_one]
    registry = Registry(plugins=[info for info, _ in loaded], offers=offers)
    for info in registry.plugins:
        if info.error is not None:
            log.warning("%s is left out: %s", info.label, info.error)
        for concern in warnings_of(info):
            log.warning("%s: %s", info.label, concern)
    for conflict in registry.conflicts:
        log.warning("%s", conflict)
    return registry


def _given(plugin: object, info: PluginInfo) -> Candidate:
    return info, lambda: plugin


def _installed(wanted: str | None) -> Iterator[Candidate]:
    """Yield the installed plugins that `PENSTOCK_PLUGINS` lets through, and one that fails for each unknown name."""
    found = installed(PLUGINS_GROUP)
    names = None if wanted is None else {name.strip() for name in wanted.split(",")} - {""}
    for point in found:
        if names is None or point.name in names:
            yield PluginInfo(name=point.name, dist=point.dist, version=point.version, module=point.target), point.load
    known = {point.name for point in found}
    for name in sorted((names or set()) - known):
        yield PluginInfo(name=name), partial(_refuse, name, known)


def _refuse(name: str, known: Iterable[str]) -> object:
    raise PluginError(f"{PLUGINS_VARIABLE} names {name!r}, which is not installed{did_you_mean(name, known)}")


def _name_of(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType | type) else type(plugin).__name__


def _loaded(
    found: PluginInfo, load: Callable[[], object], manager: pluggy.PluginManager, clock: Callable[[], float]
) -> tuple[PluginInfo, list[Offer]]:
    """Load one plugin and ask it what it offers."""
    began, imported = clock(), None
    api: int | None = None
    hooks: tuple[str, ...] = ()
    offers: list[Offer] = []
    failure: BaseException | None = None
    module = found.module
    try:
        plugin = load()
        imported = clock()
        module = module or getattr(plugin, "__name__", type(plugin).__module__)
        api = api_of(plugin)
        hooks = hooks_of(plugin, manager)
        _register(plugin, found.label, manager)
        offers = offered(plugin, hooks, manager, found.label)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit too: a plugin that ends the process must not end ours
        failure = error
    ended = clock()
    imported = ended if imported is None else imported
    info = evolve(
        found,
        module=module,
        origin=getattr(sys.modules.get(module.partition(":")[0]), "__file__", None) or "",
        api=api,
        hooks=hooks,
        offers=FrozenMapping(
            {str(kind): tuple(offer.name for offer in offers if offer.kind == kind) for kind in HOOK_OF}
        ),
        error=None if failure is None else _reason(failure),
        remedy=None if failure is None else _remedy(failure, found),
        import_ms=(imported - began) * 1000,
        hook_ms=(ended - imported) * 1000,
    )
    return info, offers


def _register(plugin: object, label: str, manager: pluggy.PluginManager) -> None:
    if not isinstance(plugin, Hashable):  # pluggy keeps plugins in sets, and this one would spoil them for all
        raise PluginError(f"a {type(plugin).__name__} cannot be hashed")
    if manager.is_registered(plugin):
        raise PluginError(f"the same object is already registered as {manager.get_name(plugin)}")
    # Two objects of one class have one label, and pluggy wants each name once.
    name = f"{label} ({id(plugin)})" if manager.has_plugin(label) else label
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(" ".join(str(error).split())) from error


def _reason(failure: BaseException) -> str:
    words = message_of(failure)
    return words if isinstance(failure, PluginError) else f"{type(failure).__name__}: {words}"


def _remedy(failure: BaseException, found: PluginInfo) -> str:
    """Return what the user can do about it."""
    if isinstance(failure, TooNewError):
        return f"Upgrade penstock, or install an older {found.dist or 'version of it'}."
    if not found.module:
        return "Correct the name, or the plugin."
    if isinstance(failure, ModuleNotFoundError) and failure.name:
        if f"{found.module.partition(':')[0]}.".startswith(f"{failure.name}."):
            return f"Correct the entry point of {found.dist}, or reinstall it: it has no module {failure.name!r}."
        return f"Install what provides the module {failure.name!r}, or reinstall {found.dist}."
    if isinstance(failure, PluginError):
        return f"Tell the authors of {found.dist}; it does not keep to penstock's plugin contract."
    return f"Upgrade or uninstall {found.dist}, or leave it out by way of {PLUGINS_VARIABLE}."
