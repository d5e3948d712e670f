"""The registry itself: what is on offer, by kind and name, and how it becomes an object. Knows nothing of pluggy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, overload

from attrs import field, frozen

from penstock.contracts import BaseLLMProvider, Gate, MetricsSink, PipelineStep, Registration
from penstock.errors import ConfigError, PluginError, ProviderError
from penstock.registry.describe import PartInfo, described
from penstock.registry.environment import filled
from penstock.registry.imports import faults_of, imported
from penstock.registry.offers import SECRETIVE, Kind, Offer
from penstock.registry.options import bind
from penstock.registry.wording import join, message_of, without_values
from penstock.schema import FrozenMapping, Record
from penstock.spelling import did_you_mean

__all__ = ["PluginInfo", "Registry"]

Step = PipelineStep | Callable[..., Any]

CONTRACT: Mapping[Kind, type[Any] | None] = {
    "provider": BaseLLMProvider,
    "gate": Gate,
    "step": None,  # a plain callable is a step too
    "sink": MetricsSink,
}

OWN_WORDS = (PluginError, ProviderError, ValueError, TypeError, OSError)
"""What a part may raise to say what is wrong with its options; ConfigError is a ValueError."""


@frozen(kw_only=True)
class PluginInfo(Record):
    """A plugin as it was found, loaded or not.

    Attributes:
        name: the entry point's name; "builtin" for penstock's own parts.
        dist, version: the distribution that it came in; empty for an object that the program passed.
        module: what the entry point names, such as "penstock_openai.plugin".
        origin: the module's file; empty when it was not imported.
        api: the version of the hooks that it declares to be written for; None when it declares none.
        hooks: the hooks that it implements.
        offers: names by kind.
        error: why it is left out; None for a plugin that works.
        remedy: what to do about the error.
        import_ms, hook_ms: milliseconds that importing it took, and asking it.
    """

    name: str
    dist: str = ""
    version: str = ""
    module: str = ""
    origin: str = ""
    api: int | None = None
    hooks: tuple[str, ...] = ()
    offers: FrozenMapping[str, tuple[str, ...]] = field(factory=FrozenMapping)
    error: str | None = None
    remedy: str | None = None
    import_ms: float = 0.0
    hook_ms: float = 0.0

    @property
    def load_ms(self) -> float:
        """Milliseconds that it took at start-up."""
        return self.import_ms + self.hook_ms

    @property
    def package(self) -> str:
        """Its distribution with the version, as in "penstock-openai 0.1.0"; empty where it came in none."""
        return f"{self.dist} {self.version}".strip()

    @property
    def label(self) -> str:
        """How messages speak of it: "plugin 'openai' of penstock-openai 0.1.0"."""
        return f"plugin {self.name!r}" + (f" of {self.package}" if self.package else "")


class Registry:
    """What plugins offer, by kind ("provider", "gate", "step", "sink") and name. Never changes once it is made.

    Attributes:
        plugins: every plugin that was found, with what it offers or why it failed.
        conflicts: a sentence for each name that several plugins offer; none of them has it.
    """

    def __init__(self, *, plugins: Iterable[PluginInfo] = (), offers: Iterable[Offer] = ()) -> None:
        """Put `offers` into order; `load_registry` is the usual way to make a registry."""
        self.plugins = tuple(plugins)
        by_name: dict[tuple[Kind, str], list[Offer]] = {}
        for offer in offers:
            by_name.setdefault((offer.kind, offer.name), []).append(offer)
        self._found = by_name
        self._offers = {key: found[0] for key, found in by_name.items() if len(found) == 1}
        self._conflicts = {key: _conflict(found) for key, found in by_name.items() if len(found) > 1}
        self.conflicts = tuple(self._conflicts.values())

    def __repr__(self) -> str:
        return f"<Registry of {len(self._offers)} parts from {len(self.plugins)} plugins>"

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of a kind that can be used, sorted."""
        return tuple(sorted(name for of, name in self._offers if of == kind))

    def get(self, kind: Kind, name: str) -> Registration:
        """Return what was registered under `name`.

        Raises:
            PluginError: nothing was, or by several plugins; the message names the nearest name, or the owners.
        """
        return self._offer(kind, name).registration

    def check(self, kind: Kind, name: str, options: Mapping[str, Any], path: str) -> tuple[str, ...]:
        """Return every problem that `build` would find before it makes the thing; imports the thing's module.

        A variable that a provider's option names may be unset: not every provider of a file is used.
        """
        try:
            self._bound(kind, name, filled(options, path, unset_is_fine=kind == "provider"), path)
        except ConfigError as error:
            return error.problems
        except PluginError as error:
            return (f"{path}: {error}",)
        return ()

    def parts(self) -> Iterator[PartInfo]:
        """Yield everything on offer, plugin by plugin, imported and described but not made.

        What cannot be imported or used is among it, with the reason, and keeps nothing else from being described.
        """
        for (kind, name), offers in self._found.items():
            conflict = self._conflicts.get((kind, name))
            yield from (described(offer, conflict) for offer in offers)

    @overload
    def build(
        self, kind: Literal["provider"], name: str, options: Mapping[str, Any] = ..., path: str = ...
    ) -> BaseLLMProvider: ...
    @overload
    def build(self, kind: Literal["gate"], name: str, options: Mapping[str, Any] = ..., path: str = ...) -> Gate: ...
    @overload
    def build(self, kind: Literal["step"], name: str, options: Mapping[str, Any] = ..., path: str = ...) -> Step: ...
    @overload
    def build(
        self, kind: Literal["sink"], name: str, options: Mapping[str, Any] = ..., path: str = ...
    ) -> MetricsSink: ...
    @overload
    def build(self, kind: Kind, name: str, options: Mapping[str, Any] = ..., path: str = ...) -> object: ...

    def build(self, kind: Kind, name: str, options: Mapping[str, Any] = FrozenMapping(), path: str = "") -> object:
        """Return the thing, made with `options`; its module is imported now.

        Args:
            kind: what it is.
            name: what users write.
            options: plain data, as from a config file, or ready-made objects. `{"env": "NAME"}` stands for the value
                of an environment variable.
            path: where the options stand, such as "gates[0]"; problems start with it.

        Raises:
            ConfigError: the name is unknown or the options are wrong, with every problem found.
            PluginError: several plugins offer the name, or the plugin broke; it is named with its distribution.
            ProviderError: as the provider raised it, for instance for a missing key.
        """
        path = path or f"{kind} {name}"
        options = filled(options, path)
        make = self._bound(kind, name, options, path)
        offer = self._offer(kind, name)
        hidden = options if kind in SECRETIVE else None
        try:
            with faults_of(offer, "making it", but=OWN_WORDS, hidden=hidden):
                made = make()
        except ConfigError as error:
            problems = [without_values(problem, hidden) for problem in error.problems]
        except (ValueError, TypeError) as error:
            problems = [without_values(message_of(error), hidden)]
        except OSError as error:
            problems = [f"{error.strerror or message_of(error)}: {error.filename}" if error.filename else str(error)]
        else:
            return _as_promised(made, offer)
        raise ConfigError([f"{path}: {problem}" for problem in problems])

    def _offer(self, kind: Kind, name: str) -> Offer:
        if (kind, name) in self._conflicts:
            raise PluginError(self._conflicts[kind, name])
        offer = self._offers.get((kind, name))
        if offer is None:
            raise PluginError(self._unknown(kind, name))
        return offer

    def _unknown(self, kind: Kind, name: str) -> str:
        names = self.names(kind)
        failed = [info.label for info in self.plugins if info.error is not None]
        hint = did_you_mean(name, names)
        if not names:
            hint = f"; no installed plugin offers a {kind}"
        if failed:
            hint += f" ({', '.join(failed)} could not be loaded: see `penstock plugins`)"
        return f"no {kind} named {name!r}{hint}"

    def _bound(self, kind: Kind, name: str, options: Mapping[str, Any], path: str) -> Callable[[], Any]:
        """Import the part and give it its options, without making it."""
        if (kind, name) not in self._offers and (kind, name) not in self._conflicts:
            where = path if kind == "provider" else join(path, "use")
            raise ConfigError([f"{where}: {self._unknown(kind, name)}"])
        offer = self._offer(kind, name)
        factory, settings = imported(offer)
        hidden = options if kind in SECRETIVE else None
        with faults_of(offer, "reading its options", but=(ConfigError,), hidden=hidden):
            return bind(factory, settings, options, path, secret=kind in SECRETIVE)


def _conflict(offers: list[Offer]) -> str:
    first = offers[0]
    owners = " and ".join(sorted(offer.owner for offer in offers))
    return f"{first.kind} {first.name!r} is offered by {owners}: uninstall one, or leave it out of PENSTOCK_PLUGINS"


def _as_promised(made: object, offer: Offer) -> object:
    contract = CONTRACT[offer.kind]
    kept = isinstance(made, contract) if contract else isinstance(made, PipelineStep) or callable(made)
    if not kept:
        wanted = contract.__name__ if contract else "PipelineStep or a callable"
        raise PluginError(f"{offer.owner}: {offer.kind} {offer.name!r} is a {type(made).__name__}, not a {wanted}")
    if isinstance(made, BaseLLMProvider) and not isinstance(getattr(made, "name", None), str):
        raise PluginError(f"{offer.owner}: {offer.kind} {offer.name!r} has no name: its class needs `name = ...`")
    return made
