"""`penstock plugins`: what is installed, what it offers and where from, and what failed to load and why."""

from __future__ import annotations

import argparse
import json
import logging
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import anyio

from penstock.contracts import BaseLLMProvider
from penstock.discovery import COMMANDS_GROUP, installed, owner
from penstock.errors import ConfigError, PenstockError
from penstock.registry import PluginInfo, Registry, load_registry

__all__ = ["configure"]

HEADINGS = ("PLUGIN", "PACKAGE", "VERSION", "OFFERS", "FROM")

OFFERS_WIDTH = 60
"""The most characters of offers in a row; a plugin may offer dozens of providers."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Give `penstock plugins` its arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the status is 1 when a plugin failed or two contradict each other."""
    registry = load_registry(logger=_silent())
    providers = {name: _description(registry, name) for name in registry.names("provider")}
    commands = {point.name: owner(point) for point in installed(COMMANDS_GROUP)}
    if arguments.json:
        report = {
            "plugins": [info.to_dict() for info in registry.plugins],
            "providers": {name: {"usable": usable, "about": about} for name, (usable, about) in providers.items()},
            "commands": commands,
            "conflicts": registry.conflicts,
        }
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_report(registry, providers, commands)))
    failed = any(info.error is not None for info in registry.plugins)
    return 1 if failed or registry.conflicts else 0


def _silent() -> logging.Logger:
    """Return a logger that says nothing: the report itself names every failure."""
    logger = logging.getLogger(__name__)
    logger.disabled = True
    return logger


def _description(registry: Registry, name: str) -> tuple[bool, str]:
    """Return whether a provider can be made without options, and what it, or its refusal, says."""
    try:
        provider = registry.build("provider", name)
        about = provider.describe()
        anyio.run(_close, provider)
    except ConfigError as error:
        return False, _one_line("; ".join(error.problems))
    except PenstockError as error:
        return False, _one_line(error)
    except Exception as error:  # noqa: BLE001  # a plugin's describe() may raise anything, and the others still show
        return False, _one_line(f"{type(error).__name__}: {error}")
    return True, _one_line(about)


async def _close(provider: BaseLLMProvider) -> None:
    await provider.aclose()


def _one_line(text: object) -> str:
    """Return text of a plugin's as a line without control characters."""
    return "".join(char for char in " ".join(str(text).split()) if char.isprintable())


# ---------------------------------------------------------------- the report for people


def _report(registry: Registry, providers: dict[str, tuple[bool, str]], commands: dict[str, str]) -> Iterable[str]:
    yield from _table([HEADINGS, *(row for info in registry.plugins for row in _rows(info))])
    if providers:
        yield from ("", "Providers")
        rows = [
            (f"  {name}", about if usable else f"not usable yet: {about}")
            for name, (usable, about) in providers.items()
        ]
        yield from _table(rows)
    if commands:
        yield from ("", "Commands")
        yield from _table([(f"  {name}", dist) for name, dist in sorted(commands.items())])
    failed = [info for info in registry.plugins if info.error is not None]
    if failed:
        yield from ("", "Failed to load")
        for info in failed:
            yield f"  {info.label}: {_one_line(info.error)}"
            yield f"    {_one_line(info.remedy)}"
    if registry.conflicts:
        yield from ("", "Offered twice, so that neither can be used")
        yield from (f"  {conflict}" for conflict in registry.conflicts)


def _rows(info: PluginInfo) -> Iterable[tuple[str, ...]]:
    """Yield a plugin's row, and more for the offers that do not fit into it."""
    offers = "; ".join(f"{kind} {', '.join(names)}" for kind, names in info.offers.items() if names)
    first, *others = textwrap.wrap(offers, OFFERS_WIDTH, break_on_hyphens=False) or [""]
    shown = "FAILED" if info.error else first
    yield info.name, info.dist or "-", info.version or "-", shown, info.module or "-"
    for more in others:
        yield "", "", "", more, ""


def _table(rows: Sequence[Sequence[Any]]) -> Iterable[str]:
    """Yield the rows in columns as wide as their widest cell; the last is as long as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
