"""`penstock plugins`: what is installed, what it offers and where from, and what is broken, why, and what to do."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from penstock.cli.checkup import check_up
from penstock.cli.plugins_text import details, overview

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Give `penstock plugins` its arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="all about one plugin, package or part")
    parser.add_argument("--config", type=Path, metavar="FILE", help="say too what of this penstock.toml would fail")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the status is 1 when something is broken."""
    found = check_up(arguments.config)
    if arguments.name is not None:
        found = found.of(arguments.name)
    if arguments.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print("\n".join(overview(found) if arguments.name is None else details(found)))
    return 0 if found.is_well else 1
