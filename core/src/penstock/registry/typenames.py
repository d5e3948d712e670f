"""Types in the words of a config file: a "number", not a float."""

from __future__ import annotations

import types
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs.cols import is_any_set, is_mapping, is_sequence

__all__ = ["inner_class", "type_name"]

PLAIN: Mapping[Any, str] = {
    Any: "anything",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Decimal: "number",
    str: "string",
    bytes: "bytes",
    Path: "path",
    types.NoneType: "none",
}


def type_name(kind: Any) -> str:
    """Return what an annotation asks for, such as "number or none", "list of strings", '"fast" or "safe"', "table"."""
    origin = get_origin(kind) or kind
    if kind in PLAIN:
        return PLAIN[kind]
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_name(member) for member in get_args(kind)))
    if origin is Literal:
        return " or ".join(_quoted(choice) for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(_quoted(member.value) for member in kind)
    if is_mapping(kind):
        values = (*get_args(kind), Any, Any)[1]
        return "table" if values is Any else f"table of {_plural(values)}"
    if is_sequence(kind) or is_any_set(kind) or origin is tuple:
        item = (*get_args(kind), Any)[0]
        return "list" if item is Any else f"list of {_plural(item)}"
    if attrs.has(kind):
        return "table"
    return f"{getattr(origin, '__name__', str(origin))}, from code only"


def inner_class(kind: Any) -> type[Any] | None:
    """Return the attrs class whose fields are the keys of a table, also of one that may be left out."""
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    classes = [member for member in members if isinstance(member, type) and attrs.has(member)]
    return classes[0] if len(classes) == 1 else None


def _plural(kind: Any) -> str:
    name = type_name(kind)
    return f"{name}s" if name in {"number", "string", "table", "path", "whole number"} else f"({name})"


def _quoted(choice: object) -> str:
    return f'"{choice}"' if isinstance(choice, str) else str(choice).lower()
