"""Pipeline steps for penstock, each by itself: imported, with the library under it, when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_steps.boolean import Boolean
    from penstock_steps.choice import Choice
    from penstock_steps.extract_value import ExtractValue
    from penstock_steps.json_load import JsonLoad
    from penstock_steps.json_schema import JsonSchema
    from penstock_steps.number import Number
    from penstock_steps.regex import Regex
    from penstock_steps.semantic_isolation import SemanticIsolation
    from penstock_steps.string_match import StringMatch
    from penstock_steps.strip_fences import StripFences
    from penstock_steps.structure import Structure
    from penstock_steps.to_dict import ToDict

__all__ = [
    "Boolean",
    "Choice",
    "ExtractValue",
    "JsonLoad",
    "JsonSchema",
    "Number",
    "Regex",
    "SemanticIsolation",
    "StringMatch",
    "StripFences",
    "Structure",
    "ToDict",
]

_PLACES = {
    "Boolean": "boolean",
    "Choice": "choice",
    "ExtractValue": "extract_value",
    "JsonLoad": "json_load",
    "JsonSchema": "json_schema",
    "Number": "number",
    "Regex": "regex",
    "SemanticIsolation": "semantic_isolation",
    "StringMatch": "string_match",
    "StripFences": "strip_fences",
    "Structure": "structure",
    "ToDict": "to_dict",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
