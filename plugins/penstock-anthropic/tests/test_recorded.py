"""Every recorded exchange: bodies and streams against an independent reading, errors against a list, requests rebuilt.

The recordings are not part of the project; without them these tests are skipped.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from genai_prices import extract_usage

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Usage
from penstock.costs import price
from penstock.schema import (
    DocumentPart,
    ImagePart,
    Message,
    ReplyBuilder,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_anthropic import AnthropicProvider
from penstock_anthropic.errors import error_of
from penstock_anthropic.reply import StreamReader, reply_of
from penstock_http import END, EventParser, parse_limits

# By hand, from the API reference.
FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause_turn",
    "compaction": "compaction",
}

# ---------------------------------------------------------------- an independent reading of what was recorded


def tokens(usage):
    """Input, output, read from the cache, written to it, of that for an hour, thinking; all that was billed.

    Beside a compaction, the counts of an answer are those of its last part alone, and the list has all of them.
    """
    runs = [run for run in usage.get("iterations") or () if run["type"] in ("compaction", "message")]
    runs = runs if any(run["type"] == "compaction" for run in runs) else [usage]
    read, written, given, made = (
        sum(run.get(name) or 0 for run in runs)
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens", "output_tokens")
    )
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    hour = sum((run.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0) for run in runs)
    return given + read + written, made, read, written, hour, thinking


def seen(usage):
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_creation_1h_input_tokens,
        usage.reasoning_output_tokens,
    )


def assert_is(reply, message, where):
    """The reply says what the message says; a stream's message was put together by `message_of_stream`."""
    blocks = message["content"]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    assert (reply.content or "") == "".join(block["text"] for block in blocks if block["type"] == "text"), where
    assert (reply.reasoning or "") == "".join(b["thinking"] for b in blocks if b["type"] == "thinking"), where
    assert [(call.id, call.name) for call in reply.tool_calls] == [(call["id"], call["name"]) for call in calls], where
    assert [json.loads(call.arguments) for call in reply.tool_calls] == [call["input"] for call in calls], where
    thoughts = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    if calls:
        signed = [block for call in reply.tool_calls for block in json.loads(call.signature or "[]")]
        assert signed == [block for block in thoughts if blocks.index(block) < blocks.index(calls[-1])], where
    assert reply.finish_reason == FINISH_REASONS[message["stop_reason"]], where
    assert (reply.response_model, reply.response_id) == (message["model"], message["id"]), where
    assert seen(reply.usage) == tokens(message["usage"]), where


def message_of_stream(events):
    """The whole message that a stream's events add up to, by the rules of the API's page on streaming."""
    message: dict[str, Any] = {}
    pieces: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                for name in ("text", "thinking", "signature"):
                    if name in delta:
                        block[name] = block.get(name, "") + delta[name]
                if "partial_json" in delta:
                    pieces[event["index"]] = pieces.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                message["stop_reason"] = event["delta"]["stop_reason"]
                message["usage"].update(event["usage"])
    for index, text in pieces.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


def replay(body, step=7):
    """The reply in a recorded stream, and whether its end was seen; the bytes come in small pieces."""
    parser, builder, reader, ended = EventParser(), ReplyBuilder(), StreamReader(), False
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            chunk = reader.read(event)
            if chunk is END:
                ended = True
            elif chunk is not None:
                builder.add(chunk)
    return builder.build(), ended


# ---------------------------------------------------------------- answers


def test_every_recorded_answer_gives_the_right_reply(exchanges):
    bodies = [exchange for exchange in exchanges if exchange.status == 200 and not exchange.streaming]
    for exchange in bodies:
        message = json.loads(exchange.body)
        assert_is(reply_of(message), message, exchange.where)
    assert len(bodies) >= 319


def test_every_recorded_stream_adds_up_to_the_right_reply(exchanges):
    streams = [exchange for exchange in exchanges if exchange.status == 200 and exchange.streaming]
    for exchange in streams:
        lines = exchange.body.split("\n")
        message = message_of_stream([json.loads(line[5:]) for line in lines if line.startswith("data:")])
        reply, ended = replay(exchange.body.encode())
        assert ended, exchange.where
        assert_is(reply, message, exchange.where)
    assert len(streams) >= 143


def test_every_recorded_answer_costs_what_an_independent_reading_of_it_costs(exchanges):
    for exchange in exchanges:
        if exchange.status != 200 or exchange.streaming:
            continue
        message = json.loads(exchange.body)
        if message["usage"].get("iterations"):  # which genai-prices leaves out
            continue
        theirs = extract_usage(message, provider_id="anthropic", api_flavor="default").calc_price().total_price
        assert price("anthropic", message["model"], reply_of(message).usage or Usage()) == theirs, exchange.where


def test_every_recorded_limit_header_is_read(exchanges):
    read = 0
    for exchange in exchanges:
        for reading in parse_limits(exchange.headers, now_wall=0.0):
            name = f"anthropic-ratelimit-{reading.dimension.replace('_', '-')}"
            assert reading.limit == int(exchange.headers[f"{name}-limit"]), exchange.where
            assert reading.remaining == int(exchange.headers[f"{name}-remaining"]), exchange.where
            assert reading.reset_s is not None, exchange.where
            read += 1
    assert read >= 1100


# By hand, from reading each one: status and type.
WHAT_ERRORS_MEAN = {
    (401, "authentication_error"): ErrorType.AUTHENTICATION,
    (404, "not_found_error"): ErrorType.NOT_FOUND,
    # One of the two says in prose only that the prompt is too long, which decides nothing.
    (400, "invalid_request_error"): ErrorType.INVALID_REQUEST,
}


def test_every_recorded_error_has_the_right_type_and_a_message(exchanges):
    met: Counter[Any] = Counter()
    for exchange in exchanges:
        if exchange.status == 200 or not exchange.body.startswith("{"):  # one is of a proxy on the way
            continue
        data = json.loads(exchange.body)
        error = error_of(exchange.status, data)
        key = (exchange.status, data["error"]["type"])
        assert error.error_type is WHAT_ERRORS_MEAN[key], exchange.where
        assert data["error"]["message"] in str(error), exchange.where
        assert error.request_id == data.get("request_id"), exchange.where
        met[key] += 1
    assert len(met) >= 3


# ---------------------------------------------------------------- requests: a body as the request that penstock makes


class NotNamedError(Exception):
    """A value that penstock has no field for: it goes as `extra`."""


def only(data, *allowed):
    """The values of these fields; any other field that says something is not penstock's."""
    for name, value in data.items():
        if name not in (*allowed, "type") and value is not None and (name, value) != ("is_error", False):
            raise NotNamedError(name)
    return [data.get(name) for name in allowed]


def others(data, *named):
    """What a block or a tool says that penstock does not name."""
    return {name: value for name, value in data.items() if name not in ("type", *named) and value is not None}


def part_of(block):
    match block["type"]:
        case "text":
            return TextPart(block["text"], extra=others(block, "text"))
        case "image":
            url, data, media_type = only(block["source"], "url", "data", "media_type")
            return ImagePart(url=url, data=data, media_type=media_type, extra=others(block, "source"))
        case "document":
            source, title = block["source"], block.get("title")
            url, data, media_type, file_id = only(source, "url", "data", "media_type", "file_id")
            if source["type"] == "text":
                data = base64.b64encode(data.encode()).decode()
            extra = others(block, "source", "title")
            return DocumentPart(url=url, data=data, media_type=media_type, file_id=file_id, name=title, extra=extra)
    raise NotNamedError(block["type"])


def parts_of(content):
    return content if isinstance(content, str) else [part_of(block) for block in content]


def messages_of_user(content):
    if isinstance(content, str):
        return [Message("user", content)]
    results = [block for block in content if block["type"] == "tool_result"]
    if content[: len(results)] != results:
        raise NotNamedError("a tool_result after other blocks")
    messages = []
    for block in results:
        extra = others(block, "tool_use_id", "content")
        messages.append(Message("tool", parts_of(block["content"]), tool_call_id=block["tool_use_id"], extra=extra))
    rest = content[len(results) :]
    return [*messages, Message("user", parts_of(rest))] if rest else messages


def message_of_assistant(content):
    if isinstance(content, str):
        return Message("assistant", content)
    parts, calls, thinking = [], [], []
    for block in content:
        match block["type"]:
            case "thinking" | "redacted_thinking":
                if parts and not calls:
                    raise NotNamedError("thinking after text")
                thinking.append(block)
            case "tool_use":
                call_id, name, arguments = only(block, "id", "name", "input")
                signature = json.dumps(thinking) if thinking else None
                calls.append(ToolCall(id=call_id, name=name, arguments=json.dumps(arguments), signature=signature))
                thinking = []
            case _ if calls:
                raise NotNamedError("text after a call")
            case _:
                parts.append(part_of(block))
    if thinking:
        raise NotNamedError("thinking without a call")
    return Message("assistant", parts, tool_calls=calls)


def messages_of(turn):
    """A turn as messages; one that holds a block that is no part of penstock's is written out in `extra`."""
    role, content = turn["role"], turn["content"]
    try:
        if role == "user":
            return messages_of_user(content)
        return [message_of_assistant(content) if role == "assistant" else Message(role, parts_of(content))]
    except NotNamedError:
        return [Message(role, "as in extra", extra={"content": content})]


def conversation_of(body):
    system = body.get("system")
    messages = [] if system is None else [Message("system", parts_of(system))]
    for turn in body["messages"]:
        messages += messages_of(turn)
    return messages


def tool_of(tool):
    named = ("name", "description", "input_schema", "strict")
    name, description, schema, strict = (tool.get(field) for field in named)
    extra = {field: value for field, value in tool.items() if field not in named}
    return ToolDefinition(name=name, description=description, parameters=schema or {}, strict=strict, extra=extra)


def choice_of(choice):
    if choice["type"] == "tool":
        return only(choice, "name")[0]
    only(choice)
    return {"any": "required"}.get(choice["type"], choice["type"])


def format_of(config):
    (form,) = only(config, "format")
    return ResponseFormat(schema=form["schema"])


NAMED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "max_tokens": ("max_tokens", int),
    "temperature": ("temperature", float),
    "top_p": ("top_p", float),
    "stop_sequences": ("stop", tuple),
    "tools": ("tools", lambda tools: [tool_of(tool) for tool in tools]),
    "tool_choice": ("tool_choice", choice_of),
    "output_config": ("response_format", format_of),
}


def request_of(body):
    """The request for a recorded body; options that penstock cannot name are its `extra`."""
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("model", "messages", "system", "stream"):
            continue
        try:
            field, read = NAMED[name]
            fields[field] = read(value)
        except (KeyError, NotNamedError):
            extra[name] = value
    return GenerationRequest(**fields, messages=conversation_of(body), extra=extra)


def normal(body):
    """A body, recorded or rebuilt, with one of the ways to say the same for each thing that has several."""
    made = {name: value for name, value in body.items() if value != []}
    made["tools"] = [
        {name: value for name, value in tool.items() if (name, value) != ("type", "custom")}
        for tool in body.get("tools", ())
    ]
    made["messages"] = []
    for turn in body["messages"]:
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks = [{k: v for k, v in b.items() if v is not None and (k, v) != ("is_error", False)} for b in blocks]
        if made["messages"] and made["messages"][-1]["role"] == turn["role"]:  # the API combines them
            made["messages"][-1]["content"] += blocks
        else:
            made["messages"].append({"role": turn["role"], "content": blocks})
    return made


def written_out(request):
    return any("content" in message.extra for message in request.messages)


def with_extra(request):
    parts = [part for message in request.messages if not isinstance(message.content, str) for part in message.content]
    return any(thing.extra for thing in (*parts, *request.messages, *request.tools))


def test_every_recorded_request_is_rebuilt_field_for_field(exchanges):
    provider = AnthropicProvider(api_key="sk-test")
    counts: Counter[str] = Counter()
    for exchange in exchanges:
        body = exchange.request
        if not body or any(isinstance(turn, str) for turn in body["messages"]):  # lost, or refused by the API
            continue
        request = request_of(body)
        call = LLMCallRequest.of(request, model=body["model"], trace_id="", stream=bool(body.get("stream")))
        payload = json.loads(json.dumps(provider.convert_request(call)))
        if body.get("stream") is False:
            payload["stream"] = False
        assert normal(payload) == normal(body), exchange.where
        if written_out(request):
            counts["a message written out in its extra"] += 1
        elif with_extra(request):
            counts["a part, message or tool with extra fields"] += 1
        else:
            counts["by named fields, options as extra"] += 1
    assert counts.total() >= 477, counts
    assert counts["a message written out in its extra"] < 50, counts
