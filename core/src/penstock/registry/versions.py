"""Which version of the hooks a plugin was written for, and whether this penstock can serve it."""

from __future__ import annotations

import penstock.hookspecs
from penstock.errors import PluginError

__all__ = ["DECLARATION", "TooNewError", "api_of", "is_dated"]

DECLARATION = "penstock_api"
"""The attribute beside the hook implementations."""


class TooNewError(PluginError):
    """A plugin needs hooks that this penstock does not have yet."""


def api_of(plugin: object) -> int | None:
    """Return the version of the hooks that `plugin` declares; None when it declares none, which means the current one.

    Raises:
        TooNewError: it was written for a later version.
        PluginError: what it declares is no version.
    """
    declared: object = getattr(plugin, DECLARATION, None)
    if declared is None:
        return None
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 1:
        raise PluginError(f"{DECLARATION} is {declared!r}, and must be a whole number from 1 on")
    current = penstock.hookspecs.HOOK_API
    if declared > current:
        raise TooNewError(f"it is written for version {declared} of penstock's hooks, and this penstock has {current}")
    return declared


def is_dated(api: int | None) -> bool:
    """Whether a declared version is an older one, which still works, for a while."""
    return api is not None and api < penstock.hookspecs.HOOK_API
