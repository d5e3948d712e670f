"""The options of a part: what its factory's signature, or its settings class, says they are."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Hashable, Mapping
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import attrs

from penstock.registry.strict import structure

__all__ = ["bind", "schema_of"]


def bind(
    factory: Callable[..., Any], settings: type[Any] | None, options: Mapping[str, Any], path: str, *, secret: bool
) -> Callable[[], Any]:
    """Return a call of `factory` with `options` as its arguments, not made yet.

    With a settings class, the factory gets one instance of it. Without one, its own parameters are the options: their
    names, annotations and defaults. An annotation that data cannot express takes a ready-made object only, and one
    that cannot be resolved takes anything. A name with a leading underscore is no option.

    Raises:
        ConfigError: with every problem of `options`; each starts with `path`.
        ValueError: the factory is a built-in that does not tell its parameters.
    """
    if settings is not None:
        return functools.partial(factory, structure(options, settings, path, secret=secret))
    schema, open_ended = schema_of(factory)
    names = {field.name for field in attrs.fields(schema)}
    rest = {key: value for key, value in options.items() if key not in names} if open_ended else {}
    asked = {key: value for key, value in options.items() if key not in rest}
    made = structure(asked, schema, path, secret=secret)
    return functools.partial(factory, **{key: getattr(made, key) for key in asked}, **rest)


def schema_of(factory: Callable[..., Any]) -> tuple[type[Any], bool]:
    """Return an attrs class with a field for each option of `factory`, and whether it takes any other keyword too.

    Raises:
        ValueError: the factory is a built-in that does not tell its parameters.
    """
    hashable = isinstance(cast("object", factory), Hashable)
    return _schema_of(factory) if hashable else _schema_of.__wrapped__(factory)


@functools.lru_cache(maxsize=256)  # a request may bring its own steps, and cattrs keeps code for every class it meets
def _schema_of(factory: Callable[..., Any]) -> tuple[type[Any], bool]:
    parameters = inspect.signature(factory).parameters.values()
    namespace = _namespace(factory)
    fields = {each.name: _field(each, namespace) for each in parameters if _is_option(each)}
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return attrs.make_class("Options", fields, kw_only=True), open_ended


def _is_option(parameter: inspect.Parameter) -> bool:
    by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return by_name and not parameter.name.startswith("_")


def _field(parameter: inspect.Parameter, namespace: dict[str, Any]) -> Any:
    default = attrs.NOTHING if parameter.default is parameter.empty else parameter.default
    return attrs.field(type=_annotation(parameter, namespace), default=default)


def _annotation(parameter: inspect.Parameter, namespace: dict[str, Any]) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        return get_type_hints(holder, namespace)["it"]
    except Exception:  # noqa: BLE001  # a name imported for type checkers only: the factory judges the value itself
        return Any


def _namespace(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the names that the annotations of `factory` may use: those of the modules it comes from."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    function = inspect.unwrap(factory)
    owner = function if isinstance(function, type) else type(getattr(function, "__self__", function))
    names: dict[str, Any] = {}
    for base in reversed(owner.__mro__):  # an inherited __init__ is annotated in its own module
        names |= vars(sys.modules.get(base.__module__, SimpleNamespace()))
    return names | getattr(function, "__globals__", {})
