"""Every hook of penstock, on one screen. Hooks are called once, at start-up, and only register.

An implementation is a function of the same name in a module that the entry-point group `penstock` names, marked
with `hookimpl`. The order in which plugins are found never matters: order comes from configuration.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from penstock.contracts import Registration

__all__ = ["PROJECT", "hookimpl", "penstock_gates", "penstock_providers", "penstock_sinks", "penstock_steps"]

PROJECT = "penstock"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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
