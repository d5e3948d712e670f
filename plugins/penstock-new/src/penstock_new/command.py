"""`penstock new`: entered in the entry-point group `penstock.commands`."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from penstock import PenstockError
from penstock_new.kinds import KINDS
from penstock_new.names import Name
from penstock_new.package import LICENCES, Package
from penstock_new.taken import warning_of

__all__ = ["configure"]

GIT_TIMEOUT_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `new`."""
    parser.description = "Make a complete package for a plugin: code, settings, tests, page, licence and CI."
    parser.add_argument("kind", choices=KINDS, help="what it offers: provider, gate, step or sink")
    parser.add_argument("name", help="what users will write, such as shout; the package is then penstock-shout")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="the package's folder; ./penstock-NAME if not given"
    )
    parser.add_argument("--licence", "--license", choices=LICENCES, default="MIT", help="MIT by default")
    parser.add_argument("--author", help="who holds the rights; git's user.name if not given")
    parser.add_argument(
        "--year", type=int, default=datetime.now(UTC).year, help="of the copyright; this year by default"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the files and write none")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the package, or say what would be made; return the exit status."""
    name = Name.of(arguments.name)
    folder = arguments.output or Path(name.dist)
    try:
        package = Package(
            kind=KINDS[arguments.kind],
            name=name,
            author=arguments.author or _author() or f"the authors of {name.dist}",
            year=arguments.year,
            licence=arguments.licence,
        )
    except ValueError as error:
        raise PenstockError("--author must be a line of text") from error
    package.check(folder)
    warning = warning_of(package.kind, name)
    if warning:
        sys.stderr.write(f"penstock: warning: {warning}\n")
    if arguments.dry_run:
        sys.stdout.writelines(f"{folder / path}\n" for path in package.files)
        return 0
    package.write(folder)
    sys.stdout.write(_told(package, folder))
    return 0


def _told(package: Package, folder: Path) -> str:
    """Return what there is now, and the commands that come next."""
    kind, name = package.kind.name, package.name
    return f"""\
{folder}: a {kind} named {name.part!r}, {len(package.files)} files. Next:

    cd {shlex.quote(str(folder))}
    python -m pip install --editable . --group dev
    python -m pytest

With a pip older than 25.1, `python -m pip install --upgrade pip` comes first.

Then src/{name.module}/{kind}.py is yours to change, and `penstock plugins {name.part}` shows what users have.
"""


def _author() -> str:
    """Return the name that git signs commits with; "" without one, or without git."""
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607  # whichever git the user has
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip()
