"""Which HTTP engine carries the requests: found by name, by environment or by what is installed and runs here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import cast

from attrs import frozen

from penstock_http.transport import Options, Transport

ENGINE_VARIABLE = "PENSTOCK_HTTP_ENGINE"


class EngineError(ValueError):
    """No engine of that name, or it is not installed, or it does not run on this async backend."""


@frozen
class Engine:
    """A way to send HTTP requests.

    Attributes:
        name: Also the name of the distribution it wraps.
        factory: `module:class` of a `Transport` taking `Options`; imported only when the engine is chosen.
        backends: The async backends it runs on.
        install: What to `pip install` to have it.
    """

    name: str
    factory: str
    backends: frozenset[str]
    install: str

    @property
    def installed(self) -> bool:
        """Whether the wrapped distribution can be imported."""
        return find_spec(self.name) is not None

    @property
    def version(self) -> str | None:
        """The installed version of the wrapped distribution; None when it is not installed."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    def build(self, options: Options | None = None) -> Transport:
        """Make a transport. It opens nothing until it sends."""
        module, _, name = self.factory.partition(":")
        factory = cast("Callable[[Options], Transport]", getattr(import_module(module), name))
        return factory(options or Options())


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (  # in order of preference
        Engine(
            "aiohttp",
            "penstock_http.engines.aiohttp_engine:AiohttpTransport",
            frozenset({"asyncio"}),
            "penstock-http[fast]",
        ),
        Engine(
            "httpx",
            "penstock_http.engines.httpx_engine:HttpxTransport",
            frozenset({"asyncio", "trio"}),
            "penstock-http",
        ),
    )
}
"""The HTTP engines by name, in order of preference."""


def choose_engine(
    name: str | None = None, *, backend: str | None = None, environ: Mapping[str, str] = os.environ
) -> Engine:
    """The engine called `name`, else the one `PENSTOCK_HTTP_ENGINE` names, else the first that can run.

    `backend` is the async backend it must run on; by default the one running now, asyncio when none is.
    Raises `EngineError` when a named engine is unknown, not installed or cannot run on the backend.
    """
    backend = backend or running_backend()
    named = name or environ.get(ENGINE_VARIABLE) or None
    if named is None:
        return next(e for e in ENGINES.values() if backend in e.backends and e.installed)
    engine = ENGINES.get(named)
    if engine is None:
        near = get_close_matches(named, ENGINES, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EngineError(f"no HTTP engine {named!r}{hint} (there are {', '.join(sorted(ENGINES))})")
    if not engine.installed:
        raise EngineError(f"the HTTP engine {named!r} is not installed: pip install '{engine.install}'")
    if backend not in engine.backends:
        raise EngineError(f"the HTTP engine {named!r} does not run on {backend}")
    return engine


def running_backend() -> str:
    """The async backend running in this thread: `trio` inside a trio run, else `asyncio`."""
    trio = sys.modules.get("trio")
    return "trio" if trio is not None and trio.lowlevel.in_trio_run() else "asyncio"


def engine_in_use(name: str | None = None) -> str:
    """Name and version of the engine that `choose_engine` picks, as `aiohttp 3.14.5`; for people to read."""
    engine = choose_engine(name)
    return f"{engine.name} {engine.version}"
