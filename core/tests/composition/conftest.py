"""Distributions that exist for one test: real metadata in a folder on the path, found the way installed ones are."""

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import frozen

from penstock.contracts import Registration
from penstock.discovery import owner_of
from penstock.hookspecs import hookimpl
from penstock.registry import PLUGINS_VARIABLE, PluginInfo, Registry, load_registry


@frozen
class Site:
    """A folder of installed distributions."""

    folder: Path

    def install(
        self, name: str, source: str, *, version: str = "1.0", group: str = "penstock", target: str | None = None
    ) -> None:
        """Install penstock-NAME with an entry point NAME of `group` that names a module with this `source`."""
        module = f"penstock_{name}_for_a_test"
        info = self.folder / f"penstock_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: penstock-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target or module}\n")
        (self.folder / f"{module}.py").write_text(dedent(source))
        importlib.invalidate_caches()

    def load(self, *names: str, plugins: tuple[object, ...] = ()) -> Registry:
        """Load the built-in parts and these plugins of the site."""
        return load_registry(environ={PLUGINS_VARIABLE: ",".join(names)}, plugins=plugins)

    def load_one(self, name: str) -> PluginInfo:
        """Load one plugin and return what became of it."""
        return plugins_of(self.load(name))[name]


@pytest.fixture
def plugin_of() -> Callable[..., types.ModuleType]:
    """Make a plugin with these registrations, by hook name without the prefix."""

    def made(**hooks: list[Registration]) -> types.ModuleType:
        module = types.ModuleType("plugin_of_a_test")
        for name, registrations in hooks.items():
            setattr(module, f"penstock_{name}", hookimpl(lambda offered=registrations: offered))
        return module

    return made


def plugins_of(registry: Registry) -> Mapping[str, PluginInfo]:
    return {info.name: info for info in registry.plugins}


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    owner_of.cache_clear()
    yield Site(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    owner_of.cache_clear()
    importlib.invalidate_caches()
