"""JSON that a schema accepts: the arguments of simulated tool calls, and JSON-mode replies."""

import math
from typing import Any, Final

import orjson

from penstock_sim.text import fingerprint, reply_text

_MAX_DEPTH: Final = 16
_MAX_VALUES: Final = 2_000
_MAX_ITEMS: Final = 16
_MAX_CHARACTERS: Final = 1_024
_NO_MAXIMUM: Final = 2.0**53

_FORMATS: Final = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "miller@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def json_text(schema: object, seed: int) -> str:
    """Write a JSON document that fits the schema; without one, an object with an `answer`.

    The same arguments give the same text. Understands types, properties, items, enum,
    const, local references, anyOf/oneOf/allOf, the common formats and the bounds of
    numbers, strings and arrays, which is more than structured outputs allow; `pattern`
    is not. Hostile schemas are cut short: depth, values and lengths are bounded.
    """
    if not isinstance(schema, dict) or not schema:
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return orjson.dumps(_Sampler(schema, seed).value(schema, 0)).decode()


class _Sampler:
    """One walk through one schema, with what is left of its budget."""

    def __init__(self, root: dict[str, Any], seed: int) -> None:
        self._root = root
        self._seed = seed
        self._values = 0

    def value(self, schema: object, depth: int) -> object:
        self._values += 1
        if not isinstance(schema, dict) or depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            return None
        if "const" in schema:
            return schema["const"]
        if options := _list(schema.get("enum")):
            return options[self._draw(len(options))]
        if isinstance(reference := schema.get("$ref"), str):
            return self.value(self._resolve(reference), depth + 1)
        if parts := _list(schema.get("allOf")):
            return self.value(_merged(schema, parts), depth + 1)
        if branches := _list(schema.get("anyOf")) or _list(schema.get("oneOf")):
            return self.value(_shallowest(branches) if depth > 3 else branches[0], depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> object:
        match _first_type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                wanted = max(_number(schema, "minItems", 0), min(2, _number(schema, "maxItems", 2)) if depth < 4 else 0)
                items = schema.get("items", {"type": "string"})
                return [self.value(items, depth + 1) for _ in range(int(min(wanted, _MAX_ITEMS)))]
            case "integer":
                return int(self._number(schema, step=1))
            case "number":
                return self._number(schema, step=0.5)
            case "boolean":
                return bool(self._draw(2))
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, object]:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        required = _list(schema.get("required"))
        names = [name for name in properties if depth < 6 or name in required]
        return {name: self.value(properties[name], depth + 1) for name in names if self._values <= _MAX_VALUES}

    def _number(self, schema: dict[str, Any], *, step: float) -> float:
        multiple = _number(schema, "multipleOf", step)
        step = multiple if 1e-6 <= multiple <= 1e6 else step
        high = _number(schema, "maximum", _number(schema, "exclusiveMaximum", _NO_MAXIMUM) - step)
        low = _number(schema, "minimum", _number(schema, "exclusiveMinimum", min(0, high) - step) + step)
        first = math.ceil(low / step) * step
        return first + self._draw(int(min(max(0, high - first) // step, 100)) + 1) * step

    def _string(self, schema: dict[str, Any]) -> str:
        if (known := _FORMATS.get(str(schema.get("format")))) is not None:
            return known
        shortest = int(min(_number(schema, "minLength", 0), _MAX_CHARACTERS))
        longest = int(_number(schema, "maxLength", _MAX_CHARACTERS))
        text, _ = reply_text(str(self._values), None, self._seed, natural_tokens=(4, 12))
        return text.ljust(shortest, ".")[:longest]

    def _draw(self, bound: int) -> int:
        return fingerprint(self._seed, self._values) % bound

    def _resolve(self, reference: str) -> object:
        """Follow a JSON pointer within the document ("#/$defs/Name"); None where it leads nowhere."""
        node: object = self._root
        for key in reference.removeprefix("#").split("/")[1:]:
            if not isinstance(node, dict):
                return None
            node = node.get(key.replace("~1", "/").replace("~0", "~"))
        return node


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(schema: dict[str, Any], key: str, default: float) -> float:
    value = schema.get(key)
    return value if isinstance(value, int | float) and abs(value) < 1e15 else default


def _first_type(schema: dict[str, Any]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return kind


def _merged(schema: dict[str, Any], parts: list[Any]) -> dict[str, Any]:
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    for part in parts:
        for key, value in part.items() if isinstance(part, dict) else ():
            known = merged.get(key)
            if isinstance(known, dict) and isinstance(value, dict):
                merged[key] = known | value
            else:
                merged[key] = known + value if isinstance(known, list) and isinstance(value, list) else value
    return merged


def _shallowest(branches: list[Any]) -> object:
    """Prefer the branch that ends a recursion: null, then any other than a reference or an object."""

    def depth(branch: object) -> int:
        kind = _first_type(branch) if isinstance(branch, dict) else None
        return 0 if kind == "null" else 1 if kind not in (None, "object", "array") else 2

    return min(branches, key=depth)
