"""Checking the fields of a JSON body: what is checked is the same for every API, the words of a refusal are its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final

import orjson

from penstock_sim.exchange import Failure, FailureKind, RefusedError

Fields = dict[str, Any]

MAX_DEPTH: Final = 200
"""How deeply a body may be nested: what is read is in part written again, and orjson writes 254 levels."""


class FieldChecks(ABC):
    """Checks fields by their JSON types; one subclass for each API, which has the words and the way to write a path.

    Every check raises RefusedError, worded by the subclass, for what the API would answer 400. A path is where a
    field is, such as `messages[0].content`.
    """

    # -- the words of an API -----------------------------------------------------------------

    @abstractmethod
    def not_json(self) -> RefusedError:
        """Word the refusal of a body that is no JSON object."""

    @abstractmethod
    def missing(self, path: str) -> RefusedError:
        """Word the refusal of a body without a field it needs."""

    @abstractmethod
    def wrong_type(self, value: object, kind: type, path: str) -> RefusedError:
        """Word the refusal of a field that is of another type."""

    @abstractmethod
    def wrong_value(self, value: object, path: str) -> RefusedError:
        """Word the refusal of a field whose value is none of those there are."""

    @abstractmethod
    def below(self, value: int, low: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too small."""

    @abstractmethod
    def above(self, value: int, high: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too large."""

    # -- the checks --------------------------------------------------------------------------

    def body(self, content: bytes) -> Fields:
        """Read the body, which is a JSON object."""
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise self.not_json()
        if content.count(b"[") + content.count(b"{") > MAX_DEPTH and _too_deep(body):
            raise self.not_json()
        return body

    def expect(self, value: object, kind: type, path: str) -> Any:
        """Return the value if it is of this JSON type; a boolean is no integer."""
        if type(value) is not kind:
            raise self.wrong_type(value, kind, path)
        return value

    def typed(self, fields: Fields, name: str, kind: type, path: str = "") -> Any:
        """Return an optional field, None if it is absent or null."""
        value = fields.get(name)
        if value is None or type(value) is kind:
            return value
        raise self.wrong_type(value, kind, path or name)

    def needed(self, fields: Fields, name: str, kind: type, path: str = "") -> Any:
        """Return a field that must be there."""
        if fields.get(name) is None:
            raise self.missing(path or name)
        return self.expect(fields[name], kind, path or name)

    def integer(
        self, fields: Fields, name: str, low: int | None = None, high: int | None = None, path: str = ""
    ) -> int | None:
        """Return an optional number from `low` to `high`."""
        value: int | None = self.typed(fields, name, int, path)
        if value is None:
            return None
        if low is not None and value < low:
            raise self.below(value, low, path or name)
        if high is not None and value > high:
            raise self.above(value, high, path or name)
        return value


def refused(message: str, param: str | None = None, code: str | None = None) -> RefusedError:
    """Word the refusal of an invalid request."""
    return RefusedError(Failure(FailureKind.INVALID_REQUEST, message, param, code))


def _too_deep(body: object) -> bool:
    """Say whether a body is nested too deeply; most have too few brackets to be asked."""
    level = [body]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()
