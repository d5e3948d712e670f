"""Every hook of penstock, on one screen. Hooks are called once, at start-up, and only register.

An implementation is a function of the same name in a module that the entry-point group `penstock` names, marked
with `hookimpl`. The order in which plugins are found never matters: order comes from configuration. Beside them
stands `penstock_api = 1`, the version of these hooks that the plugin was written for.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from penstock.contracts import Registration

__all__ = [
    "HOOK_API",
    "PROJECT",
    "hookimpl",
    "penstock_gates",
    "penstock_providers",
    "penstock_sinks",
    "penstock_steps",
]

PROJECT = "penstock"

HOOK_API = 1
"""The version of the hooks and contracts: raised when a plugin must change, never for an added hook or argument."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as one of the hooks below; a hook is found by its function's name."""


@hookspec
def penstock_providers() -> Iterable[Registration]:  # type: ignore[empty-body]  # a specification
    """Return the providers that the plugin offers; each factory makes a `BaseLLMProvider`."""


@hookspec
def penstock_gates() -> Iterable[Registration]:  # type: ignore[empty-body]  # a specification
    """Return the gates that the plugin offers; each factory makes a `Gate`."""


@hookspec
def penstock_steps() -> Iterable[Registration]:  # type: ignore[empty-body]  # a specification
    """Return the pipeline steps that the plugin offers; each factory makes a `PipelineStep`."""


@hookspec
def penstock_sinks() -> Iterable[Registration]:  # type: ignore[empty-body]  # a specification
    """Return the metrics sinks that the plugin offers; each factory makes a `MetricsSink`."""
