"""Reading the body of a request to the Responses API, as strictly as the real API where clients notice."""

from typing import Any, Final

from penstock_sim.exchange import HttpRequest, SimRequest, Tool
from penstock_sim.wire.conversation import as_text, call_text, prompt_of, said, text_of
from penstock_sim.wire.fields import Fields, refused
from penstock_sim.wire.openai_fields import checks

_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_FORMATS: Final = frozenset({"text", "json_object", "json_schema"})
MIN_OUTPUT_TOKENS: Final = 16
"""The least that the API takes for `max_output_tokens`."""


def parse(request: HttpRequest) -> SimRequest:
    """Read the body into a SimRequest; its notes are the body, much of which the answer repeats."""
    body = checks.body(request.body)
    model = checks.model(body)
    turns, question = _conversation(body)
    form = _format(body)
    checks.typed(body, "metadata", dict)
    return SimRequest(
        model=model,
        prompt=prompt_of(turns),
        question=question,
        max_tokens=checks.integer(body, "max_output_tokens", MIN_OUTPUT_TOKENS),
        stream=checks.typed(body, "stream", bool) or False,
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=checks.typed(body, "parallel_tool_calls", bool) is not False,
        wants_json=form["type"] != "text",
        json_schema=form.get("schema"),
        notes=body,
    )


def _conversation(body: Fields) -> tuple[list[str], str | None]:
    """Read what was said, and what the user asks last; of an earlier response, which is not kept, the id alone."""
    turns = []
    if earlier := checks.typed(body, "previous_response_id", str):
        turns.append(said("assistant", earlier))
    if instructions := checks.typed(body, "instructions", str):
        turns.append(said("system", instructions))
    given = body.get("input")
    if given is None:
        raise checks.missing("input")
    if isinstance(given, str):
        return [*turns, said("user", given)], given
    items = checks.expect(given, list, "input")
    if not items:
        raise refused("Invalid 'input': empty array.", "input", "empty_array")
    question = None
    for index, item in enumerate(items):
        role, text = _item(item, f"input[{index}]")
        turns.append(said(role, text))
        question = text if role == "user" else None
    return turns, question


def _item(item: object, path: str) -> tuple[str, str]:
    """Read one item: who says it, and what."""
    fields = checks.expect(item, dict, path)
    match fields.get("type", "message"):
        case "message":
            role = checks.needed(fields, "role", str, f"{path}.role")
            if role not in _ROLES:
                raise checks.wrong_value(role, f"{path}.role")
            return role, _content(fields.get("content"), f"{path}.content")
        case "function_call":
            for name in ("call_id", "name", "arguments"):
                checks.needed(fields, name, str, f"{path}.{name}")
            return "assistant", call_text(fields["call_id"], fields["name"], fields["arguments"])
        case "function_call_output":
            checks.needed(fields, "call_id", str, f"{path}.call_id")
            return "tool", _content(fields.get("output"), f"{path}.output")
        case str():  # reasoning, calls of the API's own tools, and whatever is new
            return "assistant", as_text(fields)
        case other:
            raise checks.wrong_value(other, f"{path}.type")


def _content(content: object, path: str) -> str:
    """Flatten content: a text, or parts of which some are texts."""
    if content is None:
        raise checks.missing(path)
    if isinstance(content, str):
        return content
    pieces = []
    for index, part in enumerate(checks.expect(content, list, path)):
        fields = checks.expect(part, dict, f"{path}[{index}]")
        checks.needed(fields, "type", str, f"{path}[{index}].type")
        pieces.append(text_of(fields))
    return " ".join(pieces)


def _tools(body: Fields) -> tuple[Tool, ...]:
    tools = []
    for index, item in enumerate(checks.typed(body, "tools", list) or ()):
        path = f"tools[{index}]"
        if checks.expect(item, dict, path).get("type") != "function":
            continue  # the API's own tools and custom ones are accepted and never called
        name = checks.needed(item, "name", str, f"{path}.name")
        tools.append(Tool(name, item.get("parameters") or {"type": "object", "properties": {}}))
    return tuple(tools)


def _tool_choice(body: Fields) -> str:
    choice = body.get("tool_choice")
    match choice:
        case None:
            return "auto"
        case "auto" | "none" | "required":
            return str(choice)
        case str():
            raise checks.wrong_value(choice, "tool_choice")
        case {"type": "function"}:
            name: str = checks.needed(choice, "name", str, "tool_choice.name")
            return name
        case {"type": str()}:  # one of the API's own tools, which are never called
            return "auto"
    raise checks.missing("tool_choice.type")


def _format(body: Fields) -> dict[str, Any]:
    """Read the form that the answer is to have."""
    text = checks.typed(body, "text", dict) or {}
    form: dict[str, Any] = checks.typed(text, "format", dict, "text.format") or {"type": "text"}
    if form.get("type") not in _FORMATS:
        raise checks.wrong_value(form.get("type"), "text.format.type")
    if form["type"] == "json_schema":
        checks.needed(form, "name", str, "text.format.name")
        checks.needed(form, "schema", dict, "text.format.schema")
    return form
