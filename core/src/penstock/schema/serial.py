"""Records to plain JSON data and back: the one converter behind every `to_dict` and `from_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Self, TypeVar, get_args, get_origin

from attrs import evolve, frozen
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

__all__ = ["FrozenMapping", "Record", "converter", "frozen_mapping"]

K = TypeVar("K")
V = TypeVar("V")


class FrozenMapping(dict[K, V]):
    """A dict that refuses change, so that a record stays what it was; JSON and cattrs see a plain dict."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> None:
        raise TypeError("this mapping belongs to a frozen record")

    __setitem__ = __delitem__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]  # every mutator refuses alike
    __ior__ = _refuse  # type: ignore[assignment]  # likewise

    def __hash__(self) -> int:  # type: ignore[override]  # frozen, hence hashable where its values are
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMapping, (dict(self),)


def frozen_mapping(value: Mapping[str, Any]) -> FrozenMapping[str, Any]:
    """Return `value` as a mapping that refuses change; the converter of fields, typed so that they take any mapping."""
    return value if isinstance(value, FrozenMapping) else FrozenMapping(value)


@frozen
class Record:
    """The base of every public data class: frozen, and convertible to JSON data without loss."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: enums by value, times as ISO 8601, exact decimals as strings."""
        data: dict[str, Any] = converter.unstructure(self)
        return data

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return evolve(self, **changes)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a record from what `to_dict` gave; raises a cattrs error group that names the wrong fields."""
        return converter.structure(data, cls)


def _plain(value: Any) -> Any:
    """Return `value` as JSON data whatever it is: what JSON cannot say becomes its `str`."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Record():
            return value.to_dict()
        case Enum():
            return _plain(value.value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
    if hasattr(type(value), "__attrs_attrs__") or hasattr(type(value), "__dataclass_fields__"):
        return _plain(converter.unstructure(value))
    return str(value)


def _is_frozen_mapping(kind: Any) -> bool:
    return (get_origin(kind) or kind) is FrozenMapping


def _structure_mapping(value: Mapping[str, Any], kind: Any) -> FrozenMapping[str, Any]:
    _, item_kind = get_args(kind) or (str, Any)
    return FrozenMapping({key: converter.structure(item, item_kind) for key, item in value.items()})


def _make_converter() -> Converter:
    made = Converter(unstructure_fallback_factory=lambda _: _plain)
    made.register_unstructure_hook(datetime, datetime.isoformat)
    made.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    made.register_unstructure_hook(Decimal, str)
    made.register_structure_hook(Decimal, lambda value, _: Decimal(str(value)))
    made.register_unstructure_hook_func(_is_frozen_mapping, _plain)
    made.register_structure_hook_func(_is_frozen_mapping, _structure_mapping)
    made.register_unstructure_hook_func(lambda kind: kind is Any, _plain)
    made.register_unstructure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, Record),
        lambda kind: make_dict_unstructure_fn(kind, made),
    )
    return made


converter = _make_converter()
"""The cattrs converter of all records: moments become ISO 8601, money exact text. `Record.to_dict` uses it."""
