"""Looks at everything that is installed, and at a config file if there is one: the facts of `penstock plugins`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import anyio
from attrs import evolve, frozen

from penstock.config import Config, check_config, load_config, provider_part
from penstock.contracts import BaseLLMProvider
from penstock.discovery import COMMANDS_GROUP, PLUGINS_GROUP, installed, misplaced
from penstock.errors import ConfigError, PenstockError, PluginError
from penstock.hookspecs import HOOK_API
from penstock.registry import PartInfo, PluginInfo, Registry, concerns_of, load_registry
from penstock.registry.wording import join
from penstock.spelling import did_you_mean

__all__ = ["Checkup", "Usable", "check_up", "one_line"]


@frozen
class Usable:
    """Whether a provider can be made, and what it, or its refusal, says."""

    usable: bool
    about: str


@frozen(kw_only=True)
class Checkup:
    """What was found.

    Attributes:
        plugins: loaded or not.
        parts: what they offer, described.
        providers: each one made with the config file's options, or with none, and closed again.
        commands: the distribution of each subcommand of a plugin.
        conflicts: a sentence for each name that several plugins offer.
        source: the config file, if there was one.
        config_problems: why parts of it would fail.
    """

    plugins: tuple[PluginInfo, ...]
    parts: tuple[PartInfo, ...]
    providers: Mapping[str, Usable]
    commands: Mapping[str, str]
    conflicts: tuple[str, ...]
    source: str | None = None
    config_problems: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is broken; a provider that lacks its key is not, unless the config file needs it."""
        failed = [info for info in self.plugins if info.error is not None]
        unusable = [part for part in self.parts if part.problems]
        return not (failed or unusable or self.conflicts or self.config_problems)

    def of(self, name: str) -> Checkup:
        """Return what concerns the plugins, distributions and parts called `name`.

        Raises:
            PluginError: there is none.
        """
        plugins = tuple(info for info in self.plugins if name in (info.name, info.dist))
        labels = {info.label for info in plugins}
        parts = tuple(part for part in self.parts if part.name == name or part.owner in labels)
        if not plugins and not parts:
            known = {info.name for info in self.plugins} | {part.name for part in self.parts}
            raise PluginError(f"no plugin, provider, gate, step or sink is named {name!r}{did_you_mean(name, known)}")
        providers = {part.name for part in parts if part.kind == "provider"}
        packages = {info.package for info in plugins}
        problems = {problem for part in parts for problem in part.problems}
        return evolve(
            self,
            plugins=plugins,
            parts=parts,
            providers={key: each for key, each in self.providers.items() if key in providers},
            commands={key: each for key, each in self.commands.items() if each in packages},
            conflicts=tuple(conflict for conflict in self.conflicts if conflict in problems),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "hook_api": HOOK_API,
            "plugins": [
                {**info.to_dict(), "load_ms": info.load_ms, "concerns": concerns_of(info)} for info in self.plugins
            ],
            "parts": [part.to_dict() for part in self.parts],
            "providers": {name: {"usable": it.usable, "about": it.about} for name, it in self.providers.items()},
            "commands": dict(self.commands),
            "conflicts": self.conflicts,
            "config": None if self.source is None else {"file": self.source, "problems": self.config_problems},
        }


def check_up(config_path: Path | None) -> Checkup:
    """Load what is installed, import every part, make every provider; make no step and no sink.

    What plugins print meanwhile goes to stderr.

    Raises:
        ConfigError: the file cannot be read.
    """
    with redirect_stdout(sys.stderr):
        registry = load_registry(logger=_silent())
        config, problems = (None, ()) if config_path is None else _read(config_path, registry)
        providers = _providers(registry, config)
        if config is not None:
            problems = tuple(_with_refusals(problems, config, providers))
        return Checkup(
            plugins=(*registry.plugins, *_misplaced()),
            parts=tuple(registry.parts()),
            providers=providers,
            commands={point.name: point.owner for point in installed(COMMANDS_GROUP)},
            conflicts=registry.conflicts,
            source=None if config_path is None else str(config_path),
            config_problems=problems,
        )


def _misplaced() -> Iterator[PluginInfo]:
    """Yield a failed plugin for each that penstock does not find, because its group is not penstock's."""
    for point, group in misplaced().items():
        yield PluginInfo(
            name=point.name,
            dist=point.dist,
            version=point.version,
            module=point.target,
            error=f"its entry point stands in the group {group!r}, where penstock does not look",
            remedy=f"Have it in {PLUGINS_GROUP!r}, a command in {COMMANDS_GROUP!r}, and install {point.dist} again.",
        )


def _silent() -> logging.Logger:
    """Return a logger that says nothing: the report itself names every failure."""
    logger = logging.getLogger(__name__)
    logger.disabled = True
    return logger


def one_line(text: object) -> str:
    """Return text of a plugin's as a line without control characters."""
    return "".join(char for char in " ".join(str(text).split()) if char.isprintable())


# ---------------------------------------------------------------- the config file


def _read(path: Path, registry: Registry) -> tuple[Config | None, tuple[str, ...]]:
    """Return the config of a file, None if it is wrong even without plugins, and its problems."""
    if not path.is_file():
        raise ConfigError(["no such file"], source=str(path))
    config = None
    try:
        config = load_config(path)
        check_config(config, registry)
    except ConfigError as error:
        return config, error.problems
    return config, ()


def _with_refusals(problems: Sequence[str], config: Config, providers: Mapping[str, Usable]) -> Iterator[str]:
    """Yield the problems of the file; for a provider that cannot be made, what its making said, which is more."""
    unusable = [name for name in config.providers if name in providers and not providers[name].usable]
    refusals = {join("providers", name): providers[name].about for name in unusable}
    for problem in problems:
        if not any(problem.startswith((f"{path}.", f"{path}:")) for path in refusals):
            yield problem
    for path, about in refusals.items():
        yield about if about.startswith(path) else f"{path}: {about}"


# ---------------------------------------------------------------- providers


def _providers(registry: Registry, config: Config | None) -> dict[str, Usable]:
    """Make every provider and have it speak for itself."""
    made: list[BaseLLMProvider] = []
    options = {} if config is None else config.providers
    names = dict.fromkeys([*registry.names("provider"), *options])
    try:
        return {name: _usable(registry, name, options, made) for name in names}
    finally:
        anyio.run(_close, made)


def _usable(
    registry: Registry, name: str, every: Mapping[str, Mapping[str, Any]], made: list[BaseLLMProvider]
) -> Usable:
    use, options = provider_part(name, every)
    try:
        provider = registry.build("provider", use, options, join("providers", name) if options else "")
        made.append(provider)
        about = provider.describe()
    except ConfigError as error:
        return Usable(usable=False, about=one_line("; ".join(error.problems)))
    except PenstockError as error:
        return Usable(usable=False, about=one_line(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit too: the other providers still show
        return Usable(usable=False, about=one_line(f"describing itself raised {type(error).__name__}: {error}"))
    return Usable(usable=True, about=one_line(about))


async def _close(providers: list[BaseLLMProvider]) -> None:
    for provider in providers:
        try:
            await provider.aclose()
        except Exception:  # it is not in use, and its words about itself are what was asked for
            logging.getLogger(__name__).debug("a provider could not be closed", exc_info=True)
