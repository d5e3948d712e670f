"""Plain data to typed values, strictly: a number is no string, and every problem is found and named by its path.

Stands on cattrs. `structure` is the only door; the config file and the options of every plugin go through it.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.cols import is_any_set, is_mapping, is_sequence, list_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from penstock.errors import ConfigError
from penstock.registry.wording import WrongValueError, problems_of
from penstock.schema import FrozenMapping
from penstock.spelling import did_you_mean

__all__ = ["structure"]

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]


def structure(data: Any, kind: type[T], path: str, *, secret: bool = False) -> T:
    """Return `data` as a `kind`.

    Types are taken at their word: "500" and True are no numbers; an int is a float. TOML has no null, so `inf` where
    a number or None is asked for means None: no limit.

    Args:
        data: what a config file or a caller says.
        kind: an attrs class or any annotation.
        path: where `data` stands, such as "gates[0]"; every problem's text starts with it.
        secret: whether values may be credentials, so that no problem may repeat one.

    Raises:
        ConfigError: with every problem there is.
        NameError: an annotation of `kind` cannot be resolved.
    """
    try:
        value: T = _strict.structure(data, kind)
    except NameError:
        raise
    except Exception as error:  # noqa: BLE001  # a class may refuse its values with any exception
        problems = list(problems_of(error, path, data if secret else None))
    else:
        return value
    raise ConfigError(problems)  # out here, so that no exception that holds the values is chained to it


# ---------------------------------------------------------------- values, by the type that is asked for


def _exactly(*accepted: type, expected: str, make: Callable[[Any], Any] | None = None) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise WrongValueError(expected, value)
        try:
            return make(value) if make else value
        except (ValueError, ArithmeticError):  # a whole number too long for a float, a decimal that is none
            raise WrongValueError(expected, value) from None

    return hook


def _number(value: Any) -> float:
    number = float(value)
    if math.isnan(number):
        raise ValueError("nan is no number")
    return number


def _finite_decimal(value: Any) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("infinite")
    return number


def _one_of(value: Any, allowed: Mapping[Any, Any]) -> Any:
    for choice, meant in allowed.items():
        if type(choice) is type(value) and choice == value:
            return meant
    hint = did_you_mean(value, [c for c in allowed if isinstance(c, str)]) if isinstance(value, str) else ""
    choices = " or ".join(repr(choice) for choice in allowed)
    raise WrongValueError(choices, value, hint if "mean" in hint else "")


def _literal_hook(value: Any, kind: Any) -> Any:
    return _one_of(value, {choice: choice for choice in get_args(kind)})


def _enum_hook(value: Any, kind: Any) -> Any:
    return value if isinstance(value, kind) else _one_of(value, {member.value: member for member in kind})


def _union_hook(value: Any, kind: Any) -> Any:
    members = [member for member in get_args(kind) if member is not types.NoneType]
    nullable = len(members) < len(get_args(kind))
    if nullable and (value is None or (value == math.inf and {int, float} & set(members))):
        return None
    refusals = []
    for member in sorted(members, key=lambda member: member is not type(value)):
        try:
            return _strict.structure(value, member)
        except Exception as error:  # noqa: BLE001  # each member refuses in its own way
            refusals.append(error)
    inside = [error for error in refusals if not isinstance(error, WrongValueError)]
    if inside or len(refusals) == 1:
        raise (inside or refusals)[0]
    expected = dict.fromkeys(error.expected for error in refusals if isinstance(error, WrongValueError))
    raise WrongValueError(" or ".join(expected), value)


def _fallback(kind: Any) -> Hook:
    """Return a hook for what data cannot say (a clock, a client): only a ready-made object will do."""
    plain = _plain(kind)
    if plain is Callable:
        return lambda value, _: value if callable(value) else _refuse("a callable", value)
    if isinstance(plain, type):
        return lambda value, _: value if isinstance(value, plain) else _refuse(f"a {plain.__name__}", value)
    return lambda value, _: value


def _plain(kind: Any) -> Any:
    """Return the class that an annotation is about: dict for dict[str, int]."""
    return get_origin(kind) or kind


def _refuse(expected: str, value: Any) -> Any:
    raise WrongValueError(expected, value)


# ---------------------------------------------------------------- containers and classes


def _sequence_factory(kind: Any, converter: Converter) -> Hook:
    item = (*get_args(kind), Any)[0]
    items: Any = types.GenericAlias(list, (item,))
    inner = list_structure_factory(items, converter)
    collect = next((made for made in (tuple, frozenset, set) if _plain(kind) is made), list)
    check = _exactly(list, tuple, set, frozenset, expected="a list")
    return lambda value, _: collect(inner(check(value, kind), kind))


def _mapping_factory(kind: Any, converter: Converter) -> Hook:
    frozen = _plain(kind) is FrozenMapping
    key, value_kind = get_args(kind) or (str, Any)
    table: Any = types.GenericAlias(dict, (key, value_kind))
    inner: Hook = mapping_structure_factory(table, converter)
    check = _exactly(Mapping, expected="a table")

    def hook(value: Any, _: Any) -> Any:
        made = inner(check(value, kind), dict)
        return FrozenMapping(made) if frozen else made

    return hook


def _class_factory(kind: Any, converter: Converter) -> Hook:
    validated = (field for field in attrs.fields(kind) if field.validator is not None)
    checks: dict[str, Any] = {field.name: override(struct_hook=_checked(field, kind)) for field in validated}
    inner = make_dict_structure_fn(
        kind,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        _cattrs_use_alias=True,
        **checks,
    )
    check = _exactly(Mapping, expected="a table")
    return lambda value, _: value if isinstance(value, kind) else inner(check(value, kind), kind)


def _checked(field: attrs.Attribute[Any], owner: type[Any]) -> Hook:
    """Return a hook that runs a field's own validator too, so that one bad value does not hide the next."""
    blank = object.__new__(owner)

    def hook(value: Any, kind: Any) -> Any:
        made = _strict.structure(value, kind)
        if field.validator is not None and field.converter is None:
            field.validator(blank, field, made)
        return made

    return hook


def _make_strict() -> Converter:
    made = Converter(forbid_extra_keys=True, detailed_validation=True, structure_fallback_factory=_fallback)
    made.register_structure_hook_func(lambda kind: _plain(kind) in (Union, types.UnionType), _union_hook)
    made.register_structure_hook_func(lambda kind: _plain(kind) is Literal, _literal_hook)
    made.register_structure_hook_factory(lambda kind: is_sequence(kind) or is_any_set(kind), _sequence_factory)
    made.register_structure_hook_factory(is_mapping, _mapping_factory)
    made.register_structure_hook_factory(attrs.has, _class_factory)
    made.register_structure_hook(Enum, _enum_hook)
    made.register_structure_hook(bool, _exactly(bool, expected="true or false"))
    made.register_structure_hook(int, _exactly(int, expected="a whole number"))
    made.register_structure_hook(float, _exactly(int, float, expected="a number", make=_number))
    made.register_structure_hook(str, _exactly(str, expected="a string"))
    made.register_structure_hook(bytes, _exactly(bytes, expected="bytes"))
    made.register_structure_hook(Path, _exactly(str, Path, expected="a path", make=Path))
    made.register_structure_hook(Decimal, _exactly(int, float, Decimal, expected="a number", make=_finite_decimal))
    return made


_strict = _make_strict()
