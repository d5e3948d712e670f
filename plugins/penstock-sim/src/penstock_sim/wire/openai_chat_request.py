"""Reading the body of a Chat Completions request, as strictly as the real API where clients notice."""

from typing import Final

from penstock_sim.exchange import HttpRequest, SimRequest, Tool
from penstock_sim.wire.conversation import as_text, prompt_of, said, text_of
from penstock_sim.wire.fields import Fields, refused
from penstock_sim.wire.openai_fields import checks

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_CHOICES: Final = 128


def parse(request: HttpRequest) -> SimRequest:
    """Read the body into a SimRequest. Raises RefusedError where the API would answer 400."""
    body = checks.body(request.body)
    model = checks.model(body)
    messages = _messages(body)
    texts = [_text(message) for message in messages]
    wants_json, json_schema = _response_format(body)
    max_tokens = checks.integer(body, "max_completion_tokens", 1)
    options = checks.typed(body, "stream_options", dict) or {}
    return SimRequest(
        model=model,
        prompt=prompt_of([said(message["role"], text) for message, text in zip(messages, texts, strict=True)]),
        question=texts[-1] if messages[-1]["role"] == "user" else None,
        max_tokens=max_tokens if max_tokens is not None else checks.integer(body, "max_tokens", 1),
        stream=checks.typed(body, "stream", bool) or False,
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=checks.typed(body, "parallel_tool_calls", bool) is not False,
        wants_json=wants_json,
        json_schema=json_schema,
        choices=checks.integer(body, "n", 1, MAX_CHOICES) or 1,
        seed=checks.integer(body, "seed") or 0,
        notes=options,
    )


def _messages(body: Fields) -> list[Fields]:
    messages: list[Fields] = checks.needed(body, "messages", list)
    if not messages:
        raise refused("Invalid 'messages': empty array.", "messages", "empty_array")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return messages


def _check_message(message: object, path: str) -> None:
    fields = checks.expect(message, dict, path)
    role = fields.get("role")
    if role is None:
        raise checks.missing(f"{path}.role")
    if not isinstance(role, str) or role not in _ROLES:
        raise checks.wrong_value(role, f"{path}.role")
    content = fields.get("content")
    if content is None and role != "assistant":
        raise checks.missing(f"{path}.content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            if checks.expect(part, dict, f"{path}.content[{index}]").get("type") is None:
                raise checks.missing(f"{path}.content[{index}].type")
    elif content is not None:
        checks.expect(content, str, f"{path}.content")


def _text(message: Fields) -> str:
    """Flatten a message: its text, what stands in for other parts, and the calls it made."""
    content = message.get("content")
    pieces = [content] if isinstance(content, str) else [text_of(part) for part in content or ()]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        pieces += [as_text(call) for call in calls]
    return " ".join(pieces)


def _tools(body: Fields) -> tuple[Tool, ...]:
    tools = []
    for index, item in enumerate(checks.typed(body, "tools", list) or ()):
        path = f"tools[{index}]"
        if checks.expect(item, dict, path).get("type") != "function":
            continue  # built-in and custom tools are accepted and never called
        function = checks.expect(item.get("function"), dict, f"{path}.function")
        if not function.get("name"):
            raise checks.missing(f"{path}.function.name")
        name = checks.expect(function["name"], str, f"{path}.function.name")
        tools.append(Tool(name, function.get("parameters") or {"type": "object", "properties": {}}))
    return tuple(tools)


def _tool_choice(body: Fields) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise checks.wrong_value(choice, "tool_choice")
        return choice
    function = checks.expect(choice, dict, "tool_choice").get("function")
    if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
        raise checks.missing("tool_choice.function")
    return name


def _response_format(body: Fields) -> tuple[bool, object]:
    """Say whether JSON is wanted, and with which schema."""
    form = checks.typed(body, "response_format", dict) or {"type": "text"}
    match form.get("type"):
        case "text":
            return False, None
        case "json_object":
            return True, None
        case "json_schema":
            schema = checks.expect(form.get("json_schema"), dict, "response_format.json_schema")
            return True, schema.get("schema")
        case other:
            raise checks.wrong_value(other, "response_format.type")
