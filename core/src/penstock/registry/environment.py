"""Options that stand in the environment: `{ env = "TEAM_B_KEY" }` instead of a value, so that no file holds a key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from penstock.errors import ConfigError
from penstock.registry.wording import join

__all__ = ["filled"]

ENV = "env"


def filled(options: Mapping[str, Any], path: str, *, unset_is_fine: bool = False) -> dict[str, Any]:
    """Return `options` with the value of its variable for each table that has `env` as its only key, at any depth.

    Args:
        options: plain data, as from a config file, or ready-made objects, which stay as they are.
        path: where the options stand; problems start with it.
        unset_is_fine: leave out what has no value, instead of a problem.

    Raises:
        ConfigError: names every variable that is not set, and what it stands for.
    """
    problems: list[str] = []
    whole = _filled(options, path, problems)
    if problems and not unset_is_fine:
        raise ConfigError(problems)
    return whole


def _filled(table: Mapping[str, Any], path: str, problems: list[str]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key, value in table.items():
        place = join(path, str(key))
        if not isinstance(value, Mapping):
            whole[key] = value
        elif len(value) != 1 or not isinstance(value.get(ENV), str):
            whole[key] = _filled(value, place, problems)
        elif (found := os.environ.get(value[ENV])) is not None:
            whole[key] = found
        else:
            problems.append(f"{place}: the environment variable {value[ENV]} is not set")
    return whole
