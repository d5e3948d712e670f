"""A request as the body of `POST /v1/messages`. Pure: field by field as Anthropic's API reference names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.schema import LLMCallRequest, Message, ResponseFormat, ToolDefinition
from penstock_anthropic.blocks import blocks_of, refuse, result_of, texts_of
from penstock_http import copied

__all__ = ["most_output", "payload_of"]


def payload_of(request: LLMCallRequest, *, unstated_max_tokens: int) -> dict[str, Any]:
    """Return the body for `request`; what `extra` holds goes in as it is and wins over the field of its name.

    Of `output_config`, penstock names the format alone; the rest of it may stand in `extra`.
    Raises `ProviderError` of `INVALID_REQUEST` for what the API cannot do, with the path of the field.
    """
    extra = request.extra
    payload: dict[str, Any] = {"model": request.model, "max_tokens": most_output(request, unstated=unstated_max_tokens)}
    if "messages" not in extra:
        _add_conversation(payload, request.messages)
    _add_options(payload, request)
    if request.stream:
        payload["stream"] = True
    if not extra:
        return payload
    config = extra.get("output_config")
    if isinstance(config, dict) and "output_config" in payload:
        return {**payload, **extra, "output_config": {**payload["output_config"], **config}}
    return {**payload, **extra}


def most_output(request: LLMCallRequest, *, unstated: int) -> int:
    """Return the request's `max_tokens`, or `unstated` with the budget for thinking, which must be less, on top."""
    stated = request.extra.get("max_tokens", request.max_tokens)
    if isinstance(stated, int):
        return stated
    thinking = request.extra.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return unstated + budget if isinstance(budget, int) else unstated


def _add_options(payload: dict[str, Any], request: LLMCallRequest) -> None:
    """Add what the request says of sampling, tools and the shape of the answer; what it leaves open stays out."""
    if request.seed is not None and "seed" not in request.extra:
        refuse("seed", "Messages has no seed")
    if request.temperature is not None and "temperature" not in request.extra:
        if request.temperature > 1:
            refuse("temperature", f"Messages takes 0 to 1, not {request.temperature:g}")
        payload["temperature"] = request.temperature
    if request.top_p is not None:
        payload["top_p"] = request.top_p
    if request.stop:
        payload["stop_sequences"] = list(request.stop)
    if request.tools:
        payload["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        payload["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_format is not None:
        _add_format(payload, request.response_format)


def _add_conversation(payload: dict[str, Any], messages: tuple[Message, ...]) -> None:
    """Add `system`, from the system messages that come first, and `messages`, from the rest.

    A system message further down stays in its place, which models since Claude Opus 4.8 take.
    """
    start = next((place for place, message in enumerate(messages) if not _is_system(message)), len(messages))
    if start == len(messages):
        refuse("messages", "Messages needs a message that is not the system's")
    system = [texts_of(message, index) for index, message in enumerate(messages[:start])]
    if system:
        payload["system"] = system[0] if start == 1 else [block for said in system for block in _as_blocks(said)]
    for index, message in enumerate(messages[:start]):
        if message.extra:
            refuse(f"messages[{index}].extra", "Messages has no object for the system's message; give it to a part")
    payload["messages"] = list(_turns(messages, start))


def _is_system(message: Message) -> bool:
    return message.role in ("system", "developer")


def _as_blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _turns(messages: tuple[Message, ...], start: int) -> Iterator[dict[str, Any]]:
    """Yield the turns; the results of all tools that one turn called stand in one user turn, before what is said."""
    results: list[dict[str, Any]] = []
    for index in range(start, len(messages)):
        message = messages[index]
        if message.role == "tool":
            results.append(result_of(message, index))
            continue
        turn = _turn(message, index)
        if results and message.role == "user" and not message.extra:
            turn["content"] = [*results, *_as_blocks(turn["content"])]
        elif results:
            yield {"role": "user", "content": results}
        results = []
        yield turn
    if results:
        yield {"role": "user", "content": results}


def _turn(message: Message, index: int) -> dict[str, Any]:
    system = _is_system(message)
    content = texts_of(message, index) if system else blocks_of(message, index)
    return {"role": "system" if system else message.role, "content": content, **message.extra}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        made["description"] = tool.description
    if tool.parameters or "type" not in tool.extra:  # a tool of the server's has a type, and no schema
        made["input_schema"] = copied(tool.parameters) or {"type": "object", "properties": {}}
    if tool.strict is not None:
        made["strict"] = tool.strict
    return {**made, **tool.extra}


def _tool_choice(choice: str) -> dict[str, Any]:
    """Return a choice; any word but the three common ones, and the API's own "any", is the name of a tool."""
    match choice:
        case "auto" | "none" | "any":
            return {"type": choice}
        case "required":
            return {"type": "any"}
    return {"type": "tool", "name": choice}


def _add_format(payload: dict[str, Any], form: ResponseFormat) -> None:
    """Add the schema of the answer. The API keeps to it strictly, whatever `strict` says, and has no name for it."""
    if form.type == "json_object":
        refuse("response_format", "Messages has no json_object; give a json_schema, or ask for JSON in the prompt")
    if form.schema is not None:
        payload["output_config"] = {"format": {"type": "json_schema", "schema": copied(form.schema)}}
