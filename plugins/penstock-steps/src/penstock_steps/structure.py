"""The step `structure`: data as an object of a class, through cattrs or pydantic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any, get_args, get_origin

import attrs
from attrs import field, frozen, validators
from cattrs import BaseValidationError, StructureHandlerNotFoundError, transform_error
from cattrs.preconf.json import make_converter
from cattrs.v import format_exception

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, data_of, excerpt

__all__ = ["Structure"]

MOST_PROBLEMS = 10
"""Problems that are told."""


@frozen(eq=False)
class Structure(PipelineStep):
    """Makes an object of a class out of a dict, a list, or JSON text (in a fence or not).

    An attrs class or dataclass is made by cattrs, and types are taken at their word: "5" is no number. A pydantic
    model is made by pydantic, as it is configured. What fails is told with its path, and told to the model. An object
    that is one of the class already is given back as it is: on that it cannot fail.

    Attributes:
        target: the class, or "module:Class" to import it when the step is made; list[Class] works too.
        coerce: whether "5" may become 5, and 5 the text "5"; of attrs classes and dataclasses.
        extra: what keys are that the class does not have: "ignore" or "forbid"; of attrs classes and dataclasses.
        max_chars: longer text is refused unread.
    """

    name = "structure"

    target: Any = field()
    coerce: bool = field(default=False, kw_only=True)
    extra: str = field(default="ignore", kw_only=True, validator=validators.in_(("ignore", "forbid")))
    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))
    _class: Any = field(init=False, repr=False)
    _make: Callable[[Any], Any] = field(init=False, repr=False)

    @_class.default
    def _find_class(self) -> Any:
        return _imported(self.target) if isinstance(self.target, str) else self.target

    @_make.default
    def _find_way(self) -> Callable[[Any], Any]:
        if isinstance(self._class, type) and hasattr(self._class, "model_validate"):
            way: Callable[[Any], Any] = self._class.model_validate
            return way
        _check_class(self._class)
        return _through_cattrs(self._class, coerce=self.coerce, forbid_extra=self.extra == "forbid")

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # the data is enough
        """Return the object."""
        if isinstance(self._class, type) and get_origin(self._class) is None and isinstance(content, self._class):
            return content
        data = data_of(self.name, content, self.max_chars)
        try:
            return self._make(data)
        except Exception as error:  # noqa: BLE001  # a class may refuse its values with any exception
            problems = _problems(error)[:MOST_PROBLEMS]
        kind = getattr(self._class, "__name__", str(self._class))
        raise StepError(
            f"the answer does not make a {kind}: {'; '.join(problems)}",
            feedback="The answer does not have the right shape:\n" + "\n".join(f"- {each}" for each in problems),
        )


def _imported(target: str) -> Any:
    module, colon, name = target.partition(":")
    if not colon or not name:
        raise ValueError(f"target is {target!r}, and must be a class or 'module:Class'")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"target {target!r} cannot be imported: {error}") from error
    return found


def _check_class(kind: Any) -> None:
    known = attrs.has(kind) or dataclasses.is_dataclass(kind) if isinstance(kind, type) else False
    if not (known or get_args(kind)):
        raise ValueError(f"target is {excerpt(kind)}, and must be an attrs class, a dataclass or a pydantic model")


# ---------------------------------------------------------------- cattrs


def _through_cattrs(kind: Any, *, coerce: bool, forbid_extra: bool) -> Callable[[Any], Any]:
    converter = make_converter(forbid_extra_keys=forbid_extra, detailed_validation=True)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(str(_checked(value, (int, float, str)))))
    if not coerce:
        converter.register_structure_hook(str, lambda value, _: _checked(value, (str,)))
        converter.register_structure_hook(bool, lambda value, _: _checked(value, (bool,)))
        converter.register_structure_hook(int, lambda value, _: _checked(value, (int,)))
        converter.register_structure_hook(float, lambda value, _: float(_checked(value, (int, float))))
    try:
        converter.get_structure_hook(kind)  # finds what cannot be made now, not at the first answer
    except (StructureHandlerNotFoundError, TypeError, NameError) as error:
        raise ValueError(f"target {excerpt(kind)} cannot be made from data: {error}") from error
    return lambda data: converter.structure(data, kind)


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def _checked(value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise _WrongTypeError(f"expected {_WORDS[kinds[-1]] if len(kinds) < 3 else 'a number'}, got {excerpt(value)}")
    return value


class _WrongTypeError(ValueError):
    """A value of another type; the message is for people and models."""


# ---------------------------------------------------------------- problems


def _problems(error: Exception) -> list[str]:
    """Return the problems, each "path: what is wrong"."""
    if isinstance(error, BaseValidationError):
        return [_path_first(line) for line in transform_error(error, path="", format_exception=_words)]
    if hasattr(error, "errors"):  # a pydantic ValidationError; pydantic itself need not be there
        return [f"/{'/'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    return [f"/: {_words(error, None)}"]


def _words(error: BaseException, kind: type[Any] | None) -> str:
    if isinstance(error, KeyError):
        return "it is missing"
    if isinstance(error, _WrongTypeError) or not isinstance(error, TypeError | ValueError):
        return str(error) or type(error).__name__
    return str(error) or format_exception(error, kind)


def _path_first(line: str) -> str:
    r"""Return cattrs' "what is wrong @ .items[0].price" as "/items/0/price: what is wrong"."""
    words, _, path = line.rpartition(" @ ")
    pointer = "/".join(part for part in path.replace("[", ".").replace("]", "").split(".") if part)
    return f"/{pointer}: {words}"
