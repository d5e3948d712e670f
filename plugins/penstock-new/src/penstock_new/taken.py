"""Which names are taken: a second plugin that offers the same one makes both useless, until one of them is gone."""

from __future__ import annotations

from importlib import metadata

from penstock_new.kinds import Kind
from penstock_new.names import Name

__all__ = ["BUILT_IN", "warning_of"]

BUILT_IN = {"gate": {"rpm", "tpm", "concurrency"}, "sink": {"log", "jsonl"}}
"""What the core offers by itself; a test compares it with what `penstock plugins` lists."""


def warning_of(kind: Kind, name: Name) -> str | None:
    """Return why `name` is not a good choice on this machine, None when nothing here has it."""
    if name.part in BUILT_IN.get(kind.name, ()):
        return f"penstock itself offers a {kind.name} {name.part!r}, so neither of them could be used by that name"
    for point in metadata.entry_points(group="penstock"):
        if name.part in _offers(point, kind):
            owner = point.dist.name if point.dist else point.value
            return f"{owner} offers a {kind.name} {name.part!r}, so only one of the two can be installed at a time"
    try:
        version = metadata.version(name.dist)
    except metadata.PackageNotFoundError:
        return None
    return f"a package {name.dist} {version} is installed here already, and this one would replace it"


def _offers(point: metadata.EntryPoint, kind: Kind) -> set[str]:
    """Return the names of one kind that a plugin registers; none when it is broken, which `penstock plugins` tells."""
    try:
        hook = getattr(point.load(), f"penstock_{kind.name}s", None)
        return {registration.name for registration in hook()} if callable(hook) else set()
    except (Exception, SystemExit):  # noqa: BLE001  # whatever is wrong with somebody else's plugin is no matter here
        return set()
