"""What OpenAI's APIs say of a body that they refuse."""

from typing import ClassVar

from penstock_sim.exchange import Failure, FailureKind, RefusedError
from penstock_sim.wire.fields import FieldChecks, Fields, refused


class OpenAIChecks(FieldChecks):
    """Checks in the words of recorded answers: a sentence, the field's path and a code."""

    json_names: ClassVar[dict[type, str]] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
    }

    def not_json(self) -> RefusedError:
        """Word the refusal of a body that is no JSON object."""
        return RefusedError(Failure(FailureKind.INVALID_JSON, "We could not parse the JSON body of your request."))

    def missing(self, path: str) -> RefusedError:
        """Word the refusal of a body without a field it needs."""
        return refused(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")

    def wrong_type(self, value: object, kind: type, path: str) -> RefusedError:
        """Word the refusal of a field that is of another type."""
        got = self.json_names.get(type(value), "null" if value is None else "a number")
        return refused(
            f"Invalid type for '{path}': expected {self.json_names[kind]}, but got {got}.", path, "invalid_type"
        )

    def wrong_value(self, value: object, path: str) -> RefusedError:  # noqa: ARG002  # never repeated to the client
        """Word the refusal of a field whose value is none of those there are."""
        return refused(f"Invalid value for '{path}'.", path, "invalid_value")

    def below(self, value: int, low: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too small."""
        message = f"Invalid '{path}': integer below minimum value. Expected a value >= {low}, but got {value} instead."
        return refused(message, path, "integer_below_min_value")

    def above(self, value: int, high: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too large."""
        message = f"Invalid '{path}': integer above maximum value. Expected a value <= {high}, but got {value} instead."
        return refused(message, path, "integer_above_max_value")

    def model(self, body: Fields) -> str:
        """Return the name of the model."""
        if not body.get("model"):
            raise refused("you must provide a model parameter")
        model: str = self.typed(body, "model", str)
        return model


checks = OpenAIChecks()
