"""Reading the body of a Chat Completions request, as strictly as the real API where clients notice."""

from typing import Any, Final, NoReturn

import orjson

from penstock_sim.exchange import Failure, FailureKind, HttpRequest, RefusedError, SimRequest, Tool

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_JSON_NAMES: Final = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
MAX_CHOICES: Final = 128


def parse(request: HttpRequest) -> SimRequest:
    """Read the body into a SimRequest. Raises RefusedError where the API would answer 400."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(Failure(FailureKind.INVALID_JSON, "We could not parse the JSON body of your request."))
    if not body.get("model"):
        raise RefusedError(Failure(FailureKind.INVALID_REQUEST, "you must provide a model parameter"))
    messages = _messages(body)
    last = messages[-1]
    wants_json, json_schema = _response_format(body)
    max_tokens = _integer(body, "max_completion_tokens", 1)
    return SimRequest(
        model=_typed(body, "model", str),
        prompt="\n".join([f"{message['role']}: {_text(message)}" for message in messages]),
        question=_text(last) if last["role"] == "user" else None,
        max_tokens=max_tokens if max_tokens is not None else _integer(body, "max_tokens", 1),
        stream=_typed(body, "stream", bool) or False,
        include_usage=(_typed(body, "stream_options", dict) or {}).get("include_usage") is True,
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=_typed(body, "parallel_tool_calls", bool) is not False,
        wants_json=wants_json,
        json_schema=json_schema,
        choices=_integer(body, "n", 1, MAX_CHOICES) or 1,
        seed=_integer(body, "seed") or 0,
    )


def _refuse(message: str, param: str, code: str) -> NoReturn:
    raise RefusedError(Failure(FailureKind.INVALID_REQUEST, message, param, code))


def _missing(param: str) -> NoReturn:
    _refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _expect(value: object, kind: type, param: str) -> Any:
    """Return the value if it is of this JSON type (a boolean is no integer), else refuse."""
    if type(value) is not kind:
        got = _JSON_NAMES.get(type(value), "null" if value is None else "a number")
        _refuse(f"Invalid type for '{param}': expected {_JSON_NAMES[kind]}, but got {got}.", param, "invalid_type")
    return value


def _typed(body: dict[str, Any], param: str, kind: type) -> Any:
    """Return an optional field (None if absent or null), or refuse its type."""
    value = body.get(param)
    return None if value is None else _expect(value, kind, param)


def _integer(body: dict[str, Any], param: str, low: int | None = None, high: int | None = None) -> int | None:
    value: int | None = _typed(body, param, int)
    if value is not None and low is not None and value < low:
        _refuse(f"Invalid '{param}': expected a value >= {low}, but got {value}.", param, "integer_below_min_value")
    if value is not None and high is not None and value > high:
        _refuse(f"Invalid '{param}': expected a value <= {high}, but got {value}.", param, "integer_above_max_value")
    return value


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    if body.get("messages") is None:
        _missing("messages")
    messages: list[dict[str, Any]] = _typed(body, "messages", list)
    if not messages:
        _refuse("Invalid 'messages': empty array.", "messages", "empty_array")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return messages


def _check_message(message: object, param: str) -> None:
    fields = _expect(message, dict, param)
    role = fields.get("role")
    if role is None:
        _missing(f"{param}.role")
    if not isinstance(role, str) or role not in _ROLES:
        _refuse(f"Invalid value for '{param}.role'.", f"{param}.role", "invalid_value")
    content = fields.get("content")
    if content is None and role != "assistant":
        _missing(f"{param}.content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            if _expect(part, dict, f"{param}.content[{index}]").get("type") is None:
                _missing(f"{param}.content[{index}].type")
    elif content is not None:
        _expect(content, str, f"{param}.content")


def _text(message: dict[str, Any]) -> str:
    """Flatten a message: its text, what stands in for other parts, and the calls it made."""
    content = message.get("content")
    pieces = [content] if isinstance(content, str) else [_part_text(part) for part in content or ()]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        pieces += [orjson.dumps(call).decode() for call in calls]
    return " ".join(pieces)


def _part_text(part: dict[str, Any]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else orjson.dumps(part).decode()


def _tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    tools = []
    for index, item in enumerate(_typed(body, "tools", list) or ()):
        param = f"tools[{index}]"
        if _expect(item, dict, param).get("type") != "function":
            continue  # built-in and custom tools are accepted and never called
        function = _expect(item.get("function"), dict, f"{param}.function")
        if not function.get("name"):
            _missing(f"{param}.function.name")
        name = _expect(function["name"], str, f"{param}.function.name")
        tools.append(Tool(name, function.get("parameters") or {"type": "object", "properties": {}}))
    return tuple(tools)


def _tool_choice(body: dict[str, Any]) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            _refuse("Invalid value for 'tool_choice'.", "tool_choice", "invalid_value")
        return choice
    function = _expect(choice, dict, "tool_choice").get("function")
    if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
        _missing("tool_choice.function")
    return name


def _response_format(body: dict[str, Any]) -> tuple[bool, object]:
    """Say whether JSON is wanted, and with which schema."""
    form = _typed(body, "response_format", dict) or {"type": "text"}
    match form.get("type"):
        case "text":
            return False, None
        case "json_object":
            return True, None
        case "json_schema":
            schema = _expect(form.get("json_schema"), dict, "response_format.json_schema")
            return True, schema.get("schema")
        case _:
            _refuse("Invalid value for 'response_format.type'.", "response_format.type", "invalid_value")
