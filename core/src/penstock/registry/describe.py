"""What the options of a part are, in words: names, types and defaults, as the doctor and the documentation show them.

Reads the same class of options as `bind` does, so that what is shown is what is checked. Shows no secret's default.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path
from typing import Any, cast, get_type_hints

import attrs
from attrs import frozen

from penstock.errors import ConfigError, PluginError
from penstock.registry.imports import faults_of, imported
from penstock.registry.offers import SECRETIVE, Offer
from penstock.registry.options import schema_of
from penstock.registry.strict import structure
from penstock.registry.typenames import inner_class, type_name
from penstock.registry.wording import join, message_of
from penstock.schema import Record

__all__ = ["Option", "PartInfo", "described"]

SECRET_WORDS = frozenset(
    (
        *("apikey", "auth", "authorization", "cookie", "cookies", "credential", "credentials", "dsn", "headers"),
        *("key", "passphrase", "passwd", "password", "secret", "token"),
    )
)
"""Words of an option's name that make its default a secret: "api_key", but not "max_tokens"."""

MOST_CHARS = 40
"""The longest default that is shown."""

DEEPEST = 3
"""How many tables within tables are looked into."""

NO_DEFAULT = object()
MADE = cast("type[Any]", attrs.Factory)  # a class, though its stubs call it a function
Schema = type[Any]


@frozen(kw_only=True)
class Option(Record):
    """One option of a part.

    Attributes:
        name: what users write, with dots for tables: "retry.base_s".
        type: in words, such as "number or none".
        required: whether it must be given.
        default: as a config file would say it, "none" for None; empty for what is required, hidden or made by code.
        secret: whether it may hold a credential; its default is never shown.
    """

    name: str
    type: str
    required: bool = False
    default: str = ""
    secret: bool = False


@frozen(kw_only=True)
class PartInfo(Record):
    """A provider, gate, step or sink that a plugin offers, imported but not made.

    Attributes:
        kind, name: what it is, and what users write.
        owner: its plugin, as messages speak of it.
        summary: the plugin's own line about it.
        factory, settings: what makes it and what its options are, as "module:attribute".
        options: in the order in which they are declared.
        open_ended: whether it takes any other keyword too.
        problems: why it cannot be used.
        concerns: what its authors should correct, though it works.
    """

    kind: str
    name: str
    owner: str
    summary: str = ""
    factory: str = ""
    settings: str | None = None
    options: tuple[Option, ...] = ()
    open_ended: bool = False
    problems: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()


def described(offer: Offer, conflict: str | None = None) -> PartInfo:
    """Import a part and describe it; `conflict` says why nobody can have its name."""
    registration = offer.registration
    problems = [conflict] if conflict else []
    options: tuple[Option, ...] = ()
    concerns: tuple[str, ...] = ()
    open_ended = False
    try:
        with faults_of(offer, "reading its options", but=(PluginError,)):
            factory, settings = imported(offer)
            schema, open_ended = (settings, False) if settings is not None else schema_of(factory)
            options = tuple(_options(schema, "", depth=0))
            problems += _problems_with_defaults(schema, secret=offer.kind in SECRETIVE)
            concerns = tuple(_shared_defaults(settings))
    except PluginError as error:
        problems.append(str(error))
    return PartInfo(
        kind=offer.kind,
        name=offer.name,
        owner=offer.owner,
        summary=registration.summary,
        factory=_target_of(registration.factory),
        settings=None if registration.settings is None else _target_of(registration.settings),
        options=options,
        open_ended=open_ended,
        problems=tuple(problems),
        concerns=concerns,
    )


# ---------------------------------------------------------------- defaults


def _problems_with_defaults(schema: Schema, *, secret: bool) -> Iterator[str]:
    """Yield a line for each default that the part itself would refuse, were it written into a config file."""
    stated: dict[str, Any] = {}
    for each in _fields(schema):
        try:
            default = _default_of(each)
        except Exception as error:  # noqa: BLE001  # a plugin's factory of defaults may raise anything
            yield f"making the default of {_key(each)} raised {type(error).__name__}: {message_of(error)}"
        else:
            if isinstance(default, str | int | float | list | tuple | dict):
                stated[_key(each)] = default
    try:
        structure(stated, schema, "", secret=secret)
    except ConfigError as error:
        # What is missing is required, and what names no option is a rule for several, such as "one of the two".
        refused = (problem for problem in error.problems if re.split(r"[.:\[]", problem)[0] in stated)
        yield from (f"its own default is refused: {problem}" for problem in refused)


def _shared_defaults(settings: Schema | None) -> Iterator[str]:
    """Yield a line for each default of a settings class that all its instances share and could change."""
    for each in _fields(settings):
        if isinstance(each.default, list | dict | set | bytearray):
            name = type(each.default).__name__
            yield f"the default of {_key(each)} is one {name} for all: attrs.field(factory={name}) makes one for each"


# ---------------------------------------------------------------- one option


def _options(schema: Schema, prefix: str, *, depth: int) -> Iterator[Option]:
    """Yield the options of a class, and after each one that is a table itself, those of the table."""
    hints = get_type_hints(schema)  # raises NameError for a name that is imported for type checkers only
    for each in _fields(schema):
        kind = hints.get(each.name, each.type)
        name = join(prefix, _key(each))
        secret = _is_secret(each, kind)
        inner = inner_class(kind)
        yield Option(
            name=name,
            type=type_name(kind),
            required=each.default is attrs.NOTHING,
            default=_shown_default(each, secret=secret),
            secret=secret,
        )
        if inner is not None and depth < DEEPEST:
            yield from _options(inner, name, depth=depth + 1)


def _fields(schema: Schema | None) -> Sequence[attrs.Attribute[Any]]:
    return () if schema is None else [each for each in attrs.fields(schema) if each.init]


def _key(each: attrs.Attribute[Any]) -> str:
    """Return what users write for a field."""
    return each.alias or each.name


def _is_secret(each: attrs.Attribute[Any], kind: Any) -> bool:
    words = set(re.split(r"[\W_]+", _key(each).lower()))
    return bool(words & SECRET_WORDS) or each.repr is False or "secret" in type_name(kind).lower()


def _default_of(each: attrs.Attribute[Any]) -> Any:
    """Return a field's default, made where a factory makes it alone; `NO_DEFAULT` where there is none to see."""
    if each.default is attrs.NOTHING:
        return NO_DEFAULT
    default: Any = each.default
    if not isinstance(default, MADE):
        return default
    return NO_DEFAULT if default.takes_self else default.factory()


def _shown_default(each: attrs.Attribute[Any], *, secret: bool) -> str:
    if secret and each.default is not None:
        return ""
    try:
        default = _default_of(each)
    except Exception:  # noqa: BLE001  # reported among the problems of the part
        return ""
    return "" if default is NO_DEFAULT else _shown(default)


def _shown(default: object) -> str:
    """Return a default as a config file would say it; of what no file can say, the class and nothing of its content."""
    plain = default.value if isinstance(default, Enum) else default
    match plain:
        case None:
            return "none"
        case bool() | int() | float():
            text = str(plain).lower()
        case str() | Path():
            text = json.dumps(re.sub(r"(?<=://)[^/@\s]+@", "***@", str(plain)), ensure_ascii=False)
        case Mapping() | Sequence() | AbstractSet() if not plain:
            text = "{}" if isinstance(plain, Mapping) else "[]"
        case list() | tuple() if all(isinstance(item, str | int | float) for item in plain):
            text = json.dumps(plain, ensure_ascii=False)
        case _ if attrs.has(type(plain)):
            return "as follows"
        case _:
            return f"a {type(plain).__name__}"
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 3]}..."


def _target_of(thing: object) -> str:
    """Return "module:attribute" of a class or function that a registration holds; a string is one already."""
    if isinstance(thing, str):
        return thing
    named: Any = thing if inspect.isclass(thing) or inspect.isroutine(thing) else type(thing)
    return f"{getattr(named, '__module__', None) or 'builtins'}:{named.__qualname__}"
