"""The simulated model: a request in, a reply out, and nothing else involved."""

from penstock_sim.exchange import Choice, SimReply, SimRequest, Tool, ToolCall
from penstock_sim.samples import json_text
from penstock_sim.text import NATURAL_TOKENS, clip, count_tokens, fingerprint, reply_text


def answer(request: SimRequest, *, seed: int = 0, natural_tokens: tuple[int, int] = NATURAL_TOKENS) -> SimReply:
    """Answer a request: calls of the tools it names, JSON if it wants JSON, else a sentence.

    The reply depends on the seeds (the server's and the request's), the model and the
    conversation, and on what is asked for; on nothing else. Tokens are those of the text;
    those of a call are its name's and its arguments'.
    """
    key = f"{request.model}\n{request.prompt}"
    choices = tuple(
        _choice(request, key, fingerprint(seed, request.seed, index), natural_tokens)
        for index in range(request.choices)
    )
    return SimReply(choices, count_tokens(request.prompt), sum(map(_tokens_of, choices)))


def _choice(request: SimRequest, key: str, seed: int, natural_tokens: tuple[int, int]) -> Choice:
    if tools := _called(request):
        return Choice(None, tuple(_call(tool, fingerprint(seed, key)) for tool in tools), "tool_calls")
    if request.wants_json:
        document = json_text(request.json_schema, fingerprint(seed, key))
        text, finish_reason = clip(document, request.max_tokens)
    else:
        text, finish_reason = reply_text(key, request.max_tokens, seed, natural_tokens=natural_tokens)
    return Choice(text, (), finish_reason)


def _called(request: SimRequest) -> tuple[Tool, ...]:
    """Choose the tools to call: those the user's question names, or the ones it must."""
    match request.tool_choice:
        case "none":
            return ()
        case "auto" | "required":
            question = request.question or ""
            named = tuple(tool for tool in request.tools if tool.name in question)
            if not named and request.tool_choice == "required":
                named = request.tools[:1]
        case name:
            return tuple(tool for tool in request.tools if tool.name == name)
    return named if request.parallel_tool_calls else named[:1]


def _call(tool: Tool, seed: int) -> ToolCall:
    call_id = f"call_{fingerprint(seed, tool.name):016x}"
    return ToolCall(call_id, tool.name, json_text(tool.parameters, seed))


def _tokens_of(choice: Choice) -> int:
    if choice.text is not None:
        return count_tokens(choice.text)
    return sum(count_tokens(call.name) + count_tokens(call.arguments) for call in choice.tool_calls)
