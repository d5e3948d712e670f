"""What the entry point loads: the registrations alone. Each step, with the library under it, is imported when used."""

from penstock import Registration, hookimpl

penstock_api = 1

_STEPS = {
    "boolean": ("boolean:Boolean", "yes or no, as true or false"),
    "choice": ("choice:Choice", "one of a few answers"),
    "extract_value": ("extract_value:ExtractValue", "the value at a path of data"),
    "json_load": ("json_load:JsonLoad", "JSON by the letter"),
    "json_schema": ("json_schema:JsonSchema", "data checked against a JSON schema"),
    "number": ("number:Number", "the number in an answer"),
    "regex": ("regex:Regex", "what a pattern finds"),
    "semantic_isolation": ("semantic_isolation:SemanticIsolation", "one element, by a second call"),
    "string_match": ("string_match:StringMatch", "checks what an answer contains"),
    "strip_fences": ("strip_fences:StripFences", "text out of its Markdown fence"),
    "structure": ("structure:Structure", "data as an object of a class"),
    "to_dict": ("to_dict:ToDict", "the object in an answer, however written"),
}


@hookimpl
def penstock_steps() -> list[Registration]:
    """Offer the steps of this package; each class is an attrs class, and so its own settings."""
    return [
        Registration(name, "penstock_steps.base:ready", settings=f"penstock_steps.{place}", summary=summary)
        for name, (place, summary) in _STEPS.items()
    ]
