"""The step `extract_value`: one value out of data."""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs
from attrs import field, frozen, validators

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, data_of
from penstock_steps.paths import NotThereError, Path, path_from

__all__ = ["ExtractValue"]


class _NoDefault(Enum):
    """Stands for a default that was not given; None is one."""

    NO_DEFAULT = "no default"


NO_DEFAULT = _NoDefault.NO_DEFAULT


@frozen(eq=False)
class ExtractValue(PipelineStep):
    """Takes the value at a path out of a dict, a list, or JSON text (in a fence or not).

    With a `default` it cannot fail on a dict or a list.

    Attributes:
        path: keys with dots between them, `[0]` or `[-1]` for an item, `[*]` for the list of what each item has:
            "price", "order.items[0].price", "items[*].price". `["a.b"]` is a key with a dot in it.
        default: what to give where the path leads nowhere; without one that is a failure.
        max_chars: longer text is refused unread.
    """

    name = "extract_value"

    path: str = field()
    default: Any = field(default=NO_DEFAULT, kw_only=True)
    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))
    _path: Path = field(init=False, repr=False)

    @path.validator
    def _is_a_path(self, _: attrs.Attribute[Any], path: str) -> None:
        path_from(path)

    @_path.default
    def _read_path(self) -> Path:
        return path_from(self.path)

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # the data is enough
        """Return the value."""
        data = data_of(self.name, content, self.max_chars)
        try:
            return self._path.follow(data)
        except NotThereError as error:
            if self.default is not NO_DEFAULT:
                return self.default
            raise StepError(
                f"the answer has no {self.path}: {error}",
                feedback=f"The answer must have a value at {self.path}: {error}.",
            ) from None
