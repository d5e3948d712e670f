"""Between penstock's words and the simulation's: a call as a `SimRequest`, a `SimReply` as a reply or as chunks."""

import orjson

from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
    GenerationChunk,
    LimitReading,
    LLMCallRequest,
    Message,
    ProviderReply,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_sim.exchange import SimReply, SimRequest, Tool
from penstock_sim.limiters import Admission
from penstock_sim.text import pieces
from penstock_sim.vectors import counted_together, dimensions_of, unit_vector

_NO_PARAMETERS = {"type": "object", "properties": {}}


def request_of(call: LLMCallRequest) -> SimRequest:
    """Read a call as the server reads the same call in its wire format, so that both get the same answer.

    Only messages with images, recordings or documents differ: those are put into words here and there. Of `extra`,
    `parallel_tool_calls` counts. Raises `ProviderError` of `INVALID_REQUEST` for a choice of no tool there is.
    """
    if call.inputs:
        return _embedding_request(call)
    last = call.messages[-1]
    form = call.response_format
    return SimRequest(
        model=call.model,
        prompt=prompt_of(call),
        question=_text(last) if last.role == "user" else None,
        max_tokens=call.max_tokens,
        stream=call.stream,
        tools=tuple([Tool(tool.name, tool.parameters or _NO_PARAMETERS) for tool in call.tools]),
        tool_choice=_tool_choice(call),
        parallel_tool_calls=call.extra.get("parallel_tool_calls") is not False,
        wants_json=form is not None and form.type != "text",
        json_schema=None if form is None else form.schema,
        seed=call.seed or 0,
    )


def _embedding_request(call: LLMCallRequest) -> SimRequest:
    dimensions = call.dimensions or dimensions_of(call.model)
    return SimRequest(
        model=call.model,
        prompt=prompt_of(call),
        question=None,
        choices=0,
        notes={"texts": call.inputs, "dimensions": dimensions},
    )


def prompt_of(call: LLMCallRequest) -> str:
    """Write the whole conversation as one text, or all texts to embed; its tokens are those of the prompt."""
    if call.inputs:
        return counted_together(call.inputs)
    return "\n".join([f"{message.role}: {_text(message)}" for message in call.messages])


def _text(message: Message) -> str:
    """Flatten a message as the server does: its text, what stands in for other parts, and the calls it made."""
    content = message.content
    if isinstance(content, str):
        if not message.tool_calls:
            return content
        parts = [content] if content else []
    else:
        parts = [part.text if isinstance(part, TextPart) else _json(part.to_dict()) for part in content]
    return " ".join(parts + [_json(_wire_call(call)) for call in message.tool_calls])


def _wire_call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _tool_choice(call: LLMCallRequest) -> str:
    choice = call.tool_choice or "auto"
    if choice not in ("auto", "none", "required") and all(tool.name != choice for tool in call.tools):
        raise ProviderError(f"tool_choice: no tool is named {choice!r}", ErrorType.INVALID_REQUEST)
    return choice


def reply_of(request: SimRequest, reply: SimReply, response_id: str, limits: tuple[LimitReading, ...]) -> ProviderReply:
    """Write a reply as a provider's."""
    if not reply.choices:
        return ProviderReply(
            None,
            _usage(reply),
            response_model=request.model,
            response_id=response_id,
            limits=limits,
            embeddings=tuple(
                [
                    tuple(unit_vector(request.model, text, request.notes["dimensions"]))
                    for text in request.notes["texts"]
                ]
            ),
        )
    choice = reply.choices[0]
    return ProviderReply(
        choice.text,
        _usage(reply),
        choice.finish_reason,
        tool_calls=tuple([ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in choice.tool_calls])
        if choice.tool_calls
        else (),
        response_model=request.model,
        response_id=response_id,
        limits=limits,
    )


def chunks_of(
    request: SimRequest, reply: SimReply, response_id: str, limits: tuple[LimitReading, ...]
) -> list[GenerationChunk]:
    """Write the same reply as chunks: text by words, a call as its name and then its arguments, usage at the end."""
    choice = reply.choices[0]
    chunks = [GenerationChunk(piece) for piece in pieces(choice.text or "")]
    for index, call in enumerate(choice.tool_calls):
        deltas = [ToolCallDelta(index=index, id=call.id, name=call.name)]
        deltas += [ToolCallDelta(index=index, arguments=piece) for piece in pieces(call.arguments)]
        chunks += [GenerationChunk(tool_calls=(delta,)) for delta in deltas]
    chunks.append(GenerationChunk(finish_reason=choice.finish_reason, usage=_usage(reply)))
    chunks[0] = chunks[0].replace(response_model=request.model, response_id=response_id, limits=limits)
    return chunks


def _usage(reply: SimReply) -> Usage:
    return Usage(input_tokens=reply.prompt_tokens, output_tokens=reply.completion_tokens)


def readings_of(admission: Admission) -> tuple[LimitReading, ...]:
    """Write the state of the limits as a client reads it from an answer's headers."""
    states = (("requests", admission.requests), ("tokens", admission.tokens))
    return tuple(
        LimitReading(dimension=what, limit=state.limit, remaining=state.remaining, reset_s=state.reset_s)
        for what, state in states
        if state is not None
    )
