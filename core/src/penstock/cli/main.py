"""Finds the subcommand that was called and imports that one alone, so that `penstock --help` is quick.

A plugin adds a subcommand by an entry point of the group `penstock.commands`: a function that takes the subcommand's
`argparse.ArgumentParser`, adds its arguments, and calls `parser.set_defaults(run=function)`. `run` takes the parsed
arguments and returns the exit status. A built-in subcommand cannot be replaced.

Exit status: 0 when all went well, 1 when rows failed or a plugin is broken, 2 for wrong usage or input, 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TypeAlias, cast

from attrs import frozen

from penstock.discovery import COMMANDS_GROUP, Declared, installed, version_of
from penstock.errors import PenstockError, PluginError
from penstock.spelling import did_you_mean

__all__ = ["main"]

Configure: TypeAlias = Callable[[argparse.ArgumentParser], None]

USAGE_ERROR = 2
INTERRUPTED = 130


@frozen
class Command:
    """A subcommand, not imported yet.

    Attributes:
        summary: its line in `penstock --help`.
        load: imports it and returns its `configure`.
    """

    summary: str
    load: Callable[[], Configure]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the process's own, and return the exit status."""
    try:
        arguments = _parse(sys.argv[1:] if argv is None else list(argv))
        return int(arguments.run(arguments))
    except SystemExit as exit_:  # argparse has said what there was to say
        return exit_.code if isinstance(exit_.code, int) else USAGE_ERROR
    except PenstockError as error:
        return _complain(str(error))
    except BrokenPipeError:  # `penstock ... | head`: the reader has gone, and Python must not flush to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(message: str) -> int:
    print(f"penstock: {message}", file=sys.stderr)
    return USAGE_ERROR


def _parse(argv: list[str]) -> argparse.Namespace:
    """Parse `argv`; only the subcommand that it names has arguments."""
    parser = argparse.ArgumentParser(
        prog="penstock", description="Call language models well: gates in front, a pipeline behind, gauges everywhere."
    )
    parser.add_argument("--version", action="version", version=f"penstock {version_of('penstock')}")
    commands = _commands()
    called = next((word for word in argv if not word.startswith("-")), None)
    if called is not None and called not in commands:
        parser.exit(USAGE_ERROR, f"penstock: no command {called!r}{_remedy(called, commands)}\n")
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in commands.items():
        chosen = choices.add_parser(name, help=command.summary.replace("%", "%%"), description=command.summary)
        if name == called:
            command.load()(chosen)
    arguments = parser.parse_args(argv)
    if not callable(getattr(arguments, "run", None)):
        raise PluginError(f"the command {called!r} does nothing: its `configure` sets no `run`")
    return arguments


# ---------------------------------------------------------------- the commands there are

BUILT_IN: Mapping[str, tuple[str, str]] = {
    "run": ("penstock.cli.run:configure", "answer a file of requests"),
    "plugins": ("penstock.cli.plugins:configure", "tell what is installed, what it offers, and what is broken and why"),
}


ELSEWHERE: Mapping[str, str] = {"new": "penstock-new", "sim": "penstock-sim"}
"""The commands of penstock's own plugins, for those who have not installed them."""


def _remedy(called: str, commands: Mapping[str, Command]) -> str:
    """Return the end of the message that there is no such command: what to install, or what was meant."""
    if called in ELSEWHERE:
        return f"; it comes with {ELSEWHERE[called]}: pip install {ELSEWHERE[called]}"
    return did_you_mean(called, commands)


def _commands() -> dict[str, Command]:
    """Return the built-in commands and those of plugins, by name, none of them imported."""
    commands = {name: Command(summary, _loader_of(target)) for name, (target, summary) in BUILT_IN.items()}
    owners: dict[str, list[str]] = {}
    for point in installed(COMMANDS_GROUP):
        if point.name in BUILT_IN:
            continue
        owners.setdefault(point.name, []).append(point.owner)
        label = f"command {point.name!r} of {point.owner}"
        commands[point.name] = Command(_summary_of(point), _careful(point.load, label))
    for name, dists in owners.items():
        if len(dists) > 1:
            commands[name] = _contested(name, dists)
    return commands


def _summary_of(point: Declared) -> str:
    """Return a plugin's line in `penstock --help`: what its distribution says of itself, and which one it is."""
    said = " ".join(point.summary.split()).removesuffix(".")
    return f"{said} ({point.owner})" if said else f"from {point.owner}"


def _loader_of(target: str) -> Callable[[], Configure]:
    def load() -> Configure:
        module, _, function = target.partition(":")
        return cast("Configure", getattr(import_module(module), function))

    return load


def _careful(load: Callable[[], object], label: str) -> Callable[[], Configure]:
    """Return a loader that puts whatever a plugin's import raises into one line."""

    def load_carefully() -> Configure:
        try:
            configure = load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: it would hide whose fault it was
            raise PluginError(f"{label} cannot be loaded: {type(error).__name__}: {error}") from error
        if not callable(configure):
            raise PluginError(f"{label} is a {type(configure).__name__}, not a function that takes a parser")
        return configure

    return load_carefully


def _contested(name: str, dists: list[str]) -> Command:
    owners = " and ".join(sorted(dists))

    def refuse() -> Configure:
        raise PluginError(f"the command {name!r} is offered by {owners}: uninstall one of them")

    return Command(f"from {owners}, which contradict each other", refuse)
