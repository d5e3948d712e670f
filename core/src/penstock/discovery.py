"""Finds what installed distributions declare, without importing any of it. Standard library only, for a quick start."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

__all__ = ["COMMANDS_GROUP", "PLUGINS_GROUP", "installed", "owner", "version_of"]

PLUGINS_GROUP = "penstock"
COMMANDS_GROUP = "penstock.commands"


def installed(group: str) -> list[metadata.EntryPoint]:
    """Return the entry points of `group`, sorted by name and distribution, so that no order of folders matters.

    A distribution whose metadata cannot be read is left out; it does not hide the others.
    """
    try:
        found = list(metadata.entry_points(group=group))
    except Exception:  # noqa: BLE001  # one malformed entry_points.txt fails the whole listing, in several ways
        found = list(_one_by_one(group))
    return sorted(found, key=lambda point: (point.name, owner(point)))


def _one_by_one(group: str) -> Iterator[metadata.EntryPoint]:
    seen: set[str] = set()
    for dist in metadata.distributions():
        try:
            name, points = dist.name, dist.entry_points.select(group=group)
        except Exception:  # noqa: BLE001, S112  # the malformed one itself; it declares nothing readable
            continue
        if name not in seen:  # the first on the path is the one that is imported
            seen.add(name)
            yield from points


def owner(point: metadata.EntryPoint) -> str:
    """Return "dist version" of an entry point, such as "penstock-openai 0.1.0"."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def version_of(dist: str) -> str:
    """Return the version of an installed distribution, "" when it is not installed."""
    try:
        return metadata.version(dist)
    except metadata.PackageNotFoundError:
        return ""
