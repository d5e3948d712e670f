"""The step `json_schema`: data that keeps to a JSON schema, checked by the `jsonschema` library."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen, validators
from jsonschema import Draft202012Validator, FormatChecker, SchemaError
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from penstock import PipelineStep, StepContext, StepError
from penstock_steps.base import MOST_CHARS, data_of, text_of

__all__ = ["JsonSchema"]

MOST_PROBLEMS = 10
"""Problems that are told; a model does not mend more at once, and hostile data has any number."""


@frozen(eq=False)
class JsonSchema(PipelineStep):
    """Gives data back, checked against a schema: Draft 2020-12, unless its `$schema` names another.

    Takes a dict, a list, a number, or text, which is JSON (in a fence or not) and is given back parsed; a schema whose
    `type` is "string" takes text as the string it is, such as one that `extract_value` took out. What fails
    is told with its path, and told to the model. References lead inside the schema and nowhere else: nothing is
    fetched. On a dict or a list it fails only for what the schema says.

    Attributes:
        schema: the schema itself.
        file: a JSON file with the schema, instead; read when the step is made.
        formats: whether "format" is checked, as far as `jsonschema` can without further packages.
        max_chars: longer text is refused unread. Like those of `regex`, the schema's patterns meet hostile text.
    """

    name = "json_schema"

    schema: Mapping[str, Any] | None = None
    file: Path | None = field(default=None, kw_only=True)
    formats: bool = field(default=False, kw_only=True)
    max_chars: int = field(default=MOST_CHARS, kw_only=True, validator=validators.gt(0))
    _validator: Any = field(init=False, repr=False)

    @_validator.default
    def _make_validator(self) -> Any:
        schema = _schema_of(self.schema, self.file)
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"the schema is wrong at {error.json_path}: {error.message:.200}") from None
        nothing_is_fetched: Registry[Any] = EMPTY_REGISTRY
        return kind(schema, registry=nothing_is_fetched, format_checker=FormatChecker() if self.formats else None)

    @property
    def _takes_strings(self) -> bool:
        kinds = self._validator.schema.get("type")
        return kinds == "string" or (isinstance(kinds, list) and "string" in kinds)

    def process(self, content: Any, context: StepContext) -> Any:  # noqa: ARG002  # the data is enough
        """Return the data."""
        is_string = isinstance(content, str) and self._takes_strings
        data = (text_of if is_string else data_of)(self.name, content, self.max_chars)
        try:
            problems = [_problem(error) for error in itertools.islice(self._validator.iter_errors(data), MOST_PROBLEMS)]
        except Unresolvable as error:
            raise StepError(f"the schema refers to {error.ref!r}, which is not in it") from None
        except RecursionError:
            raise StepError("the schema or the answer nests too deeply to be checked") from None
        if problems:
            raise StepError(
                f"the answer does not fit the schema: {'; '.join(sorted(problems))}",
                feedback="The answer does not fit the schema:\n" + "\n".join(f"- {each}" for each in sorted(problems)),
            )
        return data


def _schema_of(schema: Mapping[str, Any] | None, file: Path | None) -> dict[str, Any]:
    if (schema is None) == (file is None):
        raise ValueError("json_schema takes exactly one of schema and file")
    if file is None:
        inline: dict[str, Any] = json.loads(json.dumps(schema))  # plain and its own, whatever mapping it came as
        return inline
    try:
        read = json.loads(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"the schema cannot be read from {file}: {error}") from None
    if not isinstance(read, dict):
        raise ValueError(f"{file} holds a {type(read).__name__}, and a schema is an object")  # noqa: TRY004  # the file's content, not an argument
    return read


def _problem(error: ValidationError) -> str:
    """Return a problem as "/items/0/price: 'x' is not of type 'number'", of alternatives the one that nearly fits."""
    nearest = best_match([error]) or error
    pointer = "".join(f"/{part}" for part in nearest.absolute_path) or "/"
    return f"{pointer}: {nearest.message:.300}"
