"""Reading the body of a request to the Messages API, as strictly as the real API where clients notice."""

import re
from typing import Any, ClassVar, Final

import orjson

from penstock_sim.exchange import Failure, FailureKind, HttpRequest, RefusedError, SimRequest, Tool
from penstock_sim.wire.conversation import as_text, call_text, prompt_of, said, text_of
from penstock_sim.wire.fields import FieldChecks, Fields, refused

VERSION: Final = re.compile(rb"20\d\d-\d\d-\d\d")
"""What `anthropic-version` may say: a date, of which there are more every few years."""

_ROLES: Final = frozenset({"user", "assistant", "system"})


class MessagesChecks(FieldChecks):
    """Checks in the words of the API: the field's path, then what is wrong with it."""

    json_names: ClassVar[dict[type, str]] = {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "integer",
    }

    def not_json(self) -> RefusedError:
        """Word the refusal of a body that is no JSON object."""
        return RefusedError(Failure(FailureKind.INVALID_JSON, "The request body is not valid JSON"))

    def missing(self, path: str) -> RefusedError:
        """Word the refusal of a body without a field it needs."""
        return refused(f"{path}: Field required")

    def wrong_type(self, value: object, kind: type, path: str) -> RefusedError:  # noqa: ARG002  # not told to the client
        """Word the refusal of a field that is of another type."""
        return refused(f"{path}: Input should be a valid {self.json_names[kind]}")

    def wrong_value(self, value: object, path: str) -> RefusedError:  # noqa: ARG002  # never repeated to the client
        """Word the refusal of a field whose value is none of those there are."""
        return refused(f"{path}: Input should be one of the values that are allowed")

    def below(self, value: int, low: int, path: str) -> RefusedError:  # noqa: ARG002  # not told to the client
        """Word the refusal of a number that is too small."""
        return refused(f"{path}: Input should be greater than or equal to {low}")

    def above(self, value: int, high: int, path: str) -> RefusedError:  # noqa: ARG002  # not told to the client
        """Word the refusal of a number that is too large."""
        return refused(f"{path}: Input should be less than or equal to {high}")


checks = MessagesChecks()


def parse(request: HttpRequest) -> SimRequest:
    """Read headers and body into a SimRequest. Raises RefusedError where the API would answer 400."""
    asked = parse_to_count(request)
    if asked.max_tokens is None:
        raise checks.missing("max_tokens")
    return asked


def parse_to_count(request: HttpRequest) -> SimRequest:
    """Read the same where `max_tokens` may be left out."""
    _check_version(request.headers.get(b"anthropic-version"))
    body = checks.body(request.body)
    model: str = checks.needed(body, "model", str)
    max_tokens = checks.integer(body, "max_tokens", 1)
    turns, question = _conversation(body)
    tools = _tools(body)
    choice, parallel = _tool_choice(body, tools)
    schema = _schema(body)
    return SimRequest(
        model=model,
        prompt=prompt_of(turns),
        question=question,
        max_tokens=max_tokens,
        stream=checks.typed(body, "stream", bool) or False,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        wants_json=schema is not None,
        json_schema=schema,
    )


def _check_version(version: bytes | None) -> None:
    if version is None:
        raise refused("anthropic-version: header is required")
    if VERSION.fullmatch(version) is None:
        raise refused(f'anthropic-version: "{version.decode("latin-1")[:40]}" is not a valid version')


def _conversation(body: Fields) -> tuple[list[str], str | None]:
    """Read what was said, and what the user asks last."""
    turns = []
    if (system := body.get("system")) is not None:
        turns.append(said("system", " ".join(_blocks(system, "system"))))
    messages = checks.needed(body, "messages", list)
    if not messages:
        raise refused("messages: at least one message is required")
    question = None
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        fields = checks.expect(message, dict, path)
        role = checks.needed(fields, "role", str, f"{path}.role")
        if role not in _ROLES:
            raise checks.wrong_value(role, f"{path}.role")
        if fields.get("content") is None:
            raise checks.missing(f"{path}.content")
        pieces = _blocks(fields["content"], f"{path}.content")
        turns.append(said(_speaker(fields), " ".join(pieces)))
        question = " ".join(pieces) if role == "user" and not _holds_results(fields) else None
    return turns, question


def _speaker(message: Fields) -> str:
    """Say who speaks: a user's turn that begins with results is the tools'."""
    return "tool" if _holds_results(message) else str(message["role"])


def _holds_results(message: Fields) -> bool:
    content = message["content"]
    return isinstance(content, list) and bool(content) and content[0]["type"] == "tool_result"


def _blocks(content: object, path: str) -> list[str]:
    """Flatten content: a text, or blocks of which some are texts."""
    if isinstance(content, str):
        return [content]
    pieces = []
    for index, block in enumerate(checks.expect(content, list, path)):
        place = f"{path}.{index}"
        fields = checks.expect(block, dict, place)
        pieces += _block(fields, checks.needed(fields, "type", str, f"{place}.type"), place)
    return pieces


def _block(fields: Fields, kind: str, place: str) -> list[str]:
    match kind:
        case "text":
            return [checks.needed(fields, "text", str, f"{place}.text")]
        case "tool_use":
            for name in ("id", "name"):
                checks.needed(fields, name, str, f"{place}.{name}")
            arguments = checks.needed(fields, "input", dict, f"{place}.input")
            return [call_text(fields["id"], fields["name"], orjson.dumps(arguments).decode())]
        case "tool_result":
            checks.needed(fields, "tool_use_id", str, f"{place}.tool_use_id")
            return [_result(fields.get("content"))]
    return [as_text(fields)]


def _result(content: object) -> str:
    """Flatten what a tool has returned."""
    if isinstance(content, list):
        return " ".join([text_of(block) for block in content])
    return content if isinstance(content, str) else ""


def _tools(body: Fields) -> tuple[Tool, ...]:
    tools = []
    for index, item in enumerate(checks.typed(body, "tools", list) or ()):
        path = f"tools.{index}"
        if checks.expect(item, dict, path).get("type", "custom") != "custom":
            continue  # the API's own tools are accepted and never called
        name = checks.needed(item, "name", str, f"{path}.name")
        schema = checks.needed(item, "input_schema", dict, f"{path}.input_schema")
        if schema.get("type") != "object":
            raise refused(f"{path}.custom.input_schema.type: Input should be 'object'")
        tools.append(Tool(name, schema))
    return tuple(tools)


def _tool_choice(body: Fields, tools: tuple[Tool, ...]) -> tuple[str, bool]:
    """Read which tool is to be called, and whether several may be at once."""
    choice = checks.typed(body, "tool_choice", dict) or {"type": "auto"}
    parallel = checks.typed(choice, "disable_parallel_tool_use", bool, "tool_choice.disable_parallel_tool_use")
    return _choice(choice, tools), parallel is not True


def _choice(choice: dict[str, Any], tools: tuple[Tool, ...]) -> str:
    match choice.get("type"):
        case "auto" | "none":
            return str(choice["type"])
        case "any":
            return "required"
        case "tool":
            name: str = checks.needed(choice, "name", str, "tool_choice.name")
            if all(tool.name != name for tool in tools):
                raise refused(f"Tool '{name[:100]}' not found in provided tools")
            return name
        case other:
            raise checks.wrong_value(other, "tool_choice.type")


def _schema(body: Fields) -> dict[str, Any] | None:
    """Return the schema that the answer is to fit."""
    config = checks.typed(body, "output_config", dict) or {}
    form = checks.typed(config, "format", dict, "output_config.format")
    if form is None:
        return None
    if form.get("type") != "json_schema":
        raise checks.wrong_value(form.get("type"), "output_config.format.type")
    schema: dict[str, Any] = checks.needed(form, "schema", dict, "output_config.format.schema")
    return schema
