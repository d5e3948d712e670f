"""penstock.toml: reads it, checks all of it at once, and turns it into the arguments of a `Service`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import attrs
from attrs import field, frozen

from penstock.errors import ConfigError, PluginError
from penstock.pipeline import as_step
from penstock.registry import Kind, Registry
from penstock.registry.strict import structure
from penstock.registry.wording import got, join
from penstock.schema import FrozenMapping, RepairPolicy, RetryPolicy
from penstock.spelling import did_you_mean

__all__ = ["Config", "PartSpec", "ServiceSettings", "check_config", "load_config", "parse_config", "provider_part"]

T = TypeVar("T")

SECTIONS = ("service", "gates", "pipeline", "sinks", "providers", "costs")
KIND_OF: Mapping[str, Kind] = {"gates": "gate", "pipeline": "step", "sinks": "sink"}
OWN_KEYS = {"gates": {"match"}, "pipeline": {"timeout_s"}}
"""Keys of a part's table, besides `use`, that are not the part's own options."""


def _positive(_: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name!r} must be positive, got {value}")


def _not_negative(_: Any, attribute: attrs.Attribute[Any], value: Decimal | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"{attribute.name!r} must not be negative, got {value}")


@frozen(kw_only=True)
class ServiceSettings:
    """The `[service]` table: arguments of `Service` by their own names. TOML's `inf` says "no limit"."""

    default_model: str | None = None
    default_provider: str | None = None
    max_rpm: float | None = field(default=100, validator=_positive)
    max_tpm: float | None = field(default=None, validator=_positive)
    max_concurrent_requests: int | None = field(default=100, validator=_positive)
    timeout_s: float | None = field(default=None, validator=_positive)
    attempt_timeout_s: float | None = field(default=600.0, validator=_positive)
    retry: RetryPolicy = field(factory=RetryPolicy)
    repair: RepairPolicy = field(factory=RepairPolicy)


@frozen(kw_only=True)
class PartSpec:
    """One `[[gates]]`, `[[pipeline]]` or `[[sinks]]` table.

    Attributes:
        use: the registered name.
        match: the models that a gate applies to; other parts have none.
        timeout_s: seconds that a step of the pipeline may take; None leaves it to the step. Other parts have none.
        options: everything else in the table; kept out of the repr, for a sink's may be credentials.
    """

    use: str
    match: str = "*"
    timeout_s: float | None = field(default=None, validator=_positive)
    options: FrozenMapping[str, Any] = field(factory=FrozenMapping, converter=FrozenMapping, repr=False)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the part's factory is given."""
        return self.options if self.match == "*" else {**self.options, "match": self.match}


@frozen(kw_only=True)
class Config:
    """A whole file, checked as far as that goes without plugins; `check_config` does the rest.

    Attributes:
        stated: the keys of `[service]` that the file has; the others stay at the service's defaults.
        providers: options by provider name; kept out of the repr, for they may be credentials.
        costs: prices in USD per million tokens, by "provider/model" or model.
        source: the file, for messages.
    """

    service: ServiceSettings = field(factory=ServiceSettings)
    stated: frozenset[str] = frozenset()
    gates: tuple[PartSpec, ...] = ()
    pipeline: tuple[PartSpec, ...] = ()
    sinks: tuple[PartSpec, ...] = ()
    providers: FrozenMapping[str, FrozenMapping[str, Any]] = field(factory=FrozenMapping, repr=False)
    costs: FrozenMapping[str, FrozenMapping[str, Decimal]] = field(factory=FrozenMapping)
    source: str | None = None

    def service_arguments(self, registry: Registry, given: Collection[str] = ()) -> dict[str, Any]:
        """Return the keyword arguments of a `Service`, every gate, step and sink made.

        `given` are names of providers that are there without being registered. Raises ConfigError with every problem.
        """
        check_config(self, registry, given)
        made: dict[Kind, list[Any]] = {kind: [] for kind in KIND_OF.values()}
        problems: list[str] = []
        for kind, path, spec in self.parts():
            try:
                part: Any = registry.build(kind, spec.use, spec.arguments, path)
                made[kind].append(part if spec.timeout_s is None else as_step(part, spec.timeout_s))
            except (ConfigError, PluginError) as error:
                problems += _problems_in(error, path)
        if problems:
            raise ConfigError(problems, source=self.source)
        return {
            **{key: getattr(self.service, key) for key in self.stated},
            "gates": made["gate"] or None,
            "pipeline": made["step"],
            "sinks": made["sink"],
            "provider_options": self.providers,
            "costs": self.costs or None,
        }

    def parts(self) -> Iterator[tuple[Kind, str, PartSpec]]:
        """Yield every gate, step and sink as its kind, its path in the file and its table."""
        for section, kind in KIND_OF.items():
            specs: tuple[PartSpec, ...] = getattr(self, section)
            yield from ((kind, f"{section}[{number}]", spec) for number, spec in enumerate(specs))


@frozen(kw_only=True)
class _Price:
    """The table of one model under `[costs]`, in USD per million tokens."""

    input: Decimal = field(validator=_not_negative)
    output: Decimal = field(validator=_not_negative)
    cache_read: Decimal | None = field(default=None, validator=_not_negative)
    cache_creation: Decimal | None = field(default=None, validator=_not_negative)
    request: Decimal | None = field(default=None, validator=_not_negative)
    web_search: Decimal | None = field(default=None, validator=_not_negative)
    input_audio: Decimal | None = field(default=None, validator=_not_negative)
    input_image: Decimal | None = field(default=None, validator=_not_negative)
    input_video: Decimal | None = field(default=None, validator=_not_negative)
    cache_read_audio: Decimal | None = field(default=None, validator=_not_negative)
    cache_creation_1h: Decimal | None = field(default=None, validator=_not_negative)
    output_audio: Decimal | None = field(default=None, validator=_not_negative)
    output_image: Decimal | None = field(default=None, validator=_not_negative)
    reasoning: Decimal | None = field(default=None, validator=_not_negative)

    def as_entry(self) -> FrozenMapping[str, Decimal]:
        """Return the shape of `MODEL_COSTS`."""
        stated = attrs.asdict(self, filter=lambda _, value: value is not None)
        return FrozenMapping(stated)


def provider_part(name: str, options: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Return which registered provider `[providers.NAME]` is, and its options: `use` lets one provider have two names.

    Two names are two keys: limits match "NAME/model", and each name has connections and a queue of its own.
    """
    own = options.get(name, {})
    return str(own.get("use", name)), {key: value for key, value in own.items() if key != "use"}


def load_config(path: str | Path, registry: Registry | None = None, given: Collection[str] = ()) -> Config:
    """Return the configuration that the TOML file at `path` holds; with a `registry` all of it is checked at once.

    `given` are names of providers that are there without being registered.

    Raises:
        ConfigError: the file cannot be read, is no UTF-8 or no TOML (with line and column), or has wrong settings.
    """
    source, text = str(path), ""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8: save the file as UTF-8"
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror or error}"
    except RecursionError:
        problem = "tables or lists are nested too deeply"
    except ValueError as error:  # TOMLDecodeError, and a number of more digits than Python reads
        problem = f"not TOML: {_with_line(error, text)}"
    else:
        return parse_config(data, source, registry, given)
    raise ConfigError([problem], source=source)


def _with_line(error: ValueError, text: str) -> str:
    """Return tomllib's message, which says "at end of document" where line and column would help more."""
    lines = text.split("\n")
    end = f"at line {len(lines)}, column {len(lines[-1]) + 1}, the end of the file"
    return re.sub("at end of document", end, str(error))


def parse_config(
    data: object, source: str | None = None, registry: Registry | None = None, given: Collection[str] = ()
) -> Config:
    """Return the configuration that plain data, as a TOML file holds it, describes; see `load_config`.

    Raises:
        ConfigError: with every problem that shows, without a `registry` only those that show without plugins; nothing
            under `providers` or `sinks` is repeated.
    """
    if not isinstance(data, Mapping):
        raise ConfigError([f"expected a table of {', '.join(SECTIONS)}, got {got(data, secret=True)}"], source=source)
    problems = [
        f"{join('', key)}: unknown key{did_you_mean(str(key), SECTIONS)}" for key in data if key not in SECTIONS
    ]
    empty: dict[str, Any] = {}
    service = _take(data.get("service", empty), ServiceSettings, "service", problems)
    parts = {section: tuple(_parts(data.get(section, ()), section, problems)) for section in KIND_OF}
    providers = _take(
        data.get("providers", empty), FrozenMapping[str, FrozenMapping[str, Any]], "providers", problems, secret=True
    )
    costs = _take(data.get("costs", empty), dict[str, _Price], "costs", problems)
    config = Config(
        service=service or ServiceSettings(),
        stated=frozenset(data.get("service", empty)) if service else frozenset(),
        **parts,
        providers=providers or FrozenMapping(),
        costs=FrozenMapping({model: price.as_entry() for model, price in (costs or {}).items()}),
        source=source,
    )
    if registry is not None:
        problems += _problems_with_plugins(config, registry, given)
    if problems:
        raise ConfigError(problems, source=source)
    return config


def _take(data: object, kind: type[T], path: str, problems: list[str], *, secret: bool = False) -> T | None:
    try:
        return structure(data, kind, path, secret=secret)
    except ConfigError as error:
        problems.extend(error.problems)
        return None


def _parts(data: object, section: str, problems: list[str]) -> Iterator[PartSpec]:
    """Yield the tables of one section as far as they are right."""
    if not isinstance(data, list | tuple):
        problems.append(
            f"{section}: expected a list of tables, each one headed [[{section}]], got {got(data, secret=True)}"
        )
        return
    own = {"use"} | OWN_KEYS.get(section, set())
    for number, table in enumerate(data):
        path = f"{section}[{number}]"
        if not isinstance(table, Mapping):
            problems.append(f"{path}: expected a table, got {got(table, secret=True)}")
            continue
        named = _take({key: table[key] for key in own if key in table}, PartSpec, path, problems)
        if named is not None:
            options = {str(key): value for key, value in table.items() if key not in own}
            yield attrs.evolve(named, options=options)


def check_config(config: Config, registry: Registry, given: Collection[str] = ()) -> None:
    """Check names and options against what plugins offer, without making a provider, a step or a sink.

    Gates are made, for they are arithmetic and nothing else, so that a limit of 0 is found here. `given` are names of
    providers that are there without being registered.

    Raises:
        ConfigError: with every problem.
    """
    problems = _problems_with_plugins(config, registry, given)
    if problems:
        raise ConfigError(problems, source=config.source)


def _problems_with_plugins(config: Config, registry: Registry, given: Collection[str]) -> list[str]:
    problems: list[str] = []
    for kind, path, spec in config.parts():
        found = registry.check(kind, spec.use, spec.arguments, path)
        problems += found
        if kind == "gate" and not found:
            try:
                registry.build(kind, spec.use, spec.arguments, path)
            except (ConfigError, PluginError) as error:
                problems += _problems_in(error, path)
    for name in config.providers:
        use, options = provider_part(name, config.providers)
        problems += registry.check("provider", use, options, join("providers", name))
    for path, name in _providers_meant(config.service, problems):
        try:
            if name not in given:
                registry.get("provider", provider_part(name, config.providers)[0])
        except PluginError as error:
            problems.append(f"{path}: {error}")
    return problems


def _providers_meant(service: ServiceSettings, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the providers that the defaults name, with the key; the model's own name is the provider's to judge."""
    if service.default_provider is not None:
        yield "service.default_provider", service.default_provider
    if service.default_model is None:
        return
    provider, slash, model = service.default_model.partition("/")
    if slash and provider and model:
        yield "service.default_model", provider
    elif slash or not provider or service.default_provider is None:
        problems.append(f"service.default_model: write it as provider/model, not {service.default_model!r}")


def _problems_in(error: ConfigError | PluginError, path: str) -> tuple[str, ...]:
    return error.problems if isinstance(error, ConfigError) else (f"{path}: {error}",)
