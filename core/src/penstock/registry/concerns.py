"""What does not keep a plugin from working and should be known all the same: it is slow, or written for older hooks."""

from __future__ import annotations

import penstock.hookspecs
from penstock.registry.lookup import PluginInfo
from penstock.registry.versions import DECLARATION, is_dated

__all__ = ["LOGGED_MS", "SLOW_MS", "concerns_of", "warnings_of"]

SLOW_MS = 200.0
"""A plugin that takes longer to load than this, in milliseconds, is called slow in `penstock plugins`."""

LOGGED_MS = 1000.0
"""From this on the log says so too; a cold disk alone may make any plugin slow now and then."""


def concerns_of(info: PluginInfo) -> tuple[str, ...]:
    """Return a sentence for each thing that users or authors of the plugin should know."""
    found = [_slowness(info, SLOW_MS), _age(info)]
    if info.api is None and info.error is None:
        current = penstock.hookspecs.HOOK_API
        found.append(f"it declares no {DECLARATION}, and is taken to be written for version {current} of the hooks")
    return tuple(filter(None, found))


def warnings_of(info: PluginInfo) -> tuple[str, ...]:
    """Return those of the concerns that belong in the log of a program that only uses the plugin."""
    return tuple(filter(None, [_slowness(info, LOGGED_MS), _age(info)]))


def _slowness(info: PluginInfo, limit_ms: float) -> str:
    if info.load_ms <= limit_ms:
        return ""
    part, ms = ("its import", info.import_ms) if info.import_ms >= info.hook_ms else ("its hooks", info.hook_ms)
    return (
        f"it takes {info.load_ms / 1000:.1f} s to load, {ms / 1000:.1f} s of it {part}: "
        f"its authors should import and compute later, by way of 'module:attribute'"
    )


def _age(info: PluginInfo) -> str:
    if not is_dated(info.api):
        return ""
    return (
        f"it is written for version {info.api} of penstock's hooks, and the current one is "
        f"{penstock.hookspecs.HOOK_API}: upgrade {info.dist or 'it'} before support for the old one ends"
    )
