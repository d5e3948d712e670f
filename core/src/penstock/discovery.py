"""Finds what installed distributions declare, without importing any of it. Standard library only, for a quick start."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import metadata
from typing import NamedTuple

__all__ = [
    "COMMANDS_GROUP",
    "PLUGINS_GROUP",
    "Declared",
    "installed",
    "label_of",
    "misplaced",
    "owner_of",
    "version_of",
]

PLUGINS_GROUP = "penstock"
COMMANDS_GROUP = "penstock.commands"

SLIP = re.compile(r"penstocks?([-_.](plugin|provider|gate|step|sink|command)s?)?", re.IGNORECASE)
"""Groups that somebody wrote who meant one of the two."""


class Declared(NamedTuple):
    """An entry point, with its distribution looked up: that reads a file, so it is done once.

    Attributes:
        name: the entry point's.
        dist, version: of the distribution; empty when it does not say.
        target: "module" or "module:attribute".
        load: imports it and returns the module or the attribute.
        summary: the distribution's own line about itself.
    """

    name: str
    dist: str
    version: str
    target: str
    load: Callable[[], object]
    summary: str = ""

    @property
    def owner(self) -> str:
        """How messages speak of the distribution, such as "penstock-openai 0.1.0"."""
        return f"{self.dist} {self.version}" if self.dist else "an unknown distribution"


def installed(group: str) -> list[Declared]:
    """Return the entry points of `group`, sorted by name and distribution, so that no order of folders matters.

    A distribution whose metadata cannot be read is left out; it does not hide the others.
    """
    try:
        found = [_looked_up(point) for point in metadata.entry_points(group=group)]
    except Exception:  # noqa: BLE001  # one malformed entry_points.txt fails the whole listing, in several ways
        found = list(_one_by_one(group))
    return sorted(found, key=lambda point: (point.name, point.dist, point.version, point.target))


def misplaced() -> dict[Declared, str]:
    """Return the entry points that stand under a slip of a group, such as "penstock.plugins", with that group."""
    try:
        groups = metadata.entry_points().groups - {PLUGINS_GROUP, COMMANDS_GROUP}
    except Exception:  # noqa: BLE001  # as in `installed`; what is only a hint is not worth a search one by one
        return {}
    return {point: group for group in sorted(groups) if SLIP.fullmatch(group) for point in installed(group)}


def _looked_up(point: metadata.EntryPoint) -> Declared:
    dist, version, summary = "", "", ""
    if point.dist is not None:
        about = point.dist.metadata
        dist, version, summary = (about[key] or "" for key in ("Name", "Version", "Summary"))
    return Declared(point.name, dist, version, point.value, point.load, summary)


def _one_by_one(group: str) -> Iterator[Declared]:
    seen: set[str] = set()
    for dist in metadata.distributions():
        try:
            name, points = dist.name, [_looked_up(point) for point in dist.entry_points.select(group=group)]
        except Exception:  # noqa: BLE001, S112  # the malformed one itself; it declares nothing readable
            continue
        if name not in seen:  # the first on the path is the one that is imported
            seen.add(name)
            yield from points


def version_of(dist: str) -> str:
    """Return the version of an installed distribution, "" when it is not installed."""
    try:
        return metadata.version(dist)
    except metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=256)
def owner_of(module: str) -> str:
    """Return the distribution of the installed plugin that `module` is part of; "" when it is part of none."""
    package = module.partition(".")[0]
    for point in installed(PLUGINS_GROUP):
        if point.target.partition(":")[0].partition(".")[0] == package:
            return point.owner
    return ""


def label_of(kind: str, part: object) -> str:
    """Return how messages speak of a part at fault: "gate 'night' of penstock-acme 1.0", or with its class instead.

    Reads metadata the first time that it meets a module, so it is for failures alone.
    """
    made_by = type(part)
    whose = owner_of(made_by.__module__)
    place = f" of {whose}" if whose else f" ({made_by.__module__}.{made_by.__qualname__})"
    return f"{kind} {getattr(part, 'name', made_by.__name__)!r}{place}"
