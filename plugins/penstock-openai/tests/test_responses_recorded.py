"""Every recorded exchange with the Responses API: answers and streams against an independent reading, errors against a
list, requests rebuilt.

The recordings are not part of the project; without them these tests are skipped.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from penstock import ErrorType, GenerationRequest, LLMCallRequest
from penstock.schema import (
    DocumentPart,
    GenerationChunk,
    ImagePart,
    Message,
    ReplyBuilder,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_http import EventParser
from penstock_openai import OpenAIProvider
from penstock_openai.errors import error_of
from penstock_openai.responses_reply import ResponseReader, reply_of_response

MARK = "data: [DONE]"  # of the end, at OpenRouter
CALLS = ("function_call", "custom_tool_call")

# ---------------------------------------------------------------- an independent reading of what was recorded


def tokens(usage):
    """Input, output, read from the cache, written to it, reasoning: as billed."""
    details = usage["input_tokens_details"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    written = details.get("cache_write_tokens") or 0
    return usage["input_tokens"], usage["output_tokens"], details["cached_tokens"], written, reasoning


def seen(usage):
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.reasoning_output_tokens,
    )


def finish_reason_of(response):
    if response["status"] == "completed":
        return "tool_calls" if any(item["type"] in CALLS for item in response["output"]) else "stop"
    if response["status"] != "incomplete":
        return response["status"]  # such as those of an answer in the background
    reason = response["incomplete_details"]["reason"]
    return "length" if reason == "max_output_tokens" else reason


def assert_is(reply, response, where):
    """The reply says what the response says; at the end of a stream, the vendor sends the whole response once more."""
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item for item in output if item["type"] in CALLS]
    thoughts = [item for item in output if item["type"] == "reasoning"]
    reasoning = [part["text"] for item in thoughts for part in (item["summary"] or item.get("content") or [])]
    assert (reply.content or "") == "".join(part["text"] for part in parts if part["type"] == "output_text"), where
    assert (reply.refusal or "") == "".join(part["refusal"] for part in parts if part["type"] == "refusal"), where
    assert (reply.reasoning or "") == "\n\n".join(reasoning), where
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        (item["call_id"], item["name"], item.get("arguments", item.get("input"))) for item in calls
    ], where
    assert (reply.response_model, reply.response_id) == (response["model"], response["id"]), where
    assert (reply.usage and seen(reply.usage)) == (response["usage"] and tokens(response["usage"])), where
    assert reply.finish_reason == finish_reason_of(response), where
    if calls:
        assert what_goes_back(reply, response) == up_to_the_last_call(response), where


def what_goes_back(reply, response):
    """The items that the next request has for a reply."""
    said = Message("assistant", reply.content or "", tool_calls=reply.tool_calls)
    call = LLMCallRequest(model=response["model"], messages=(said,))
    return [plain(item) for item in OpenAIProvider(api_key="sk-test", api="responses").convert_request(call)["input"]]


def up_to_the_last_call(response):
    output = response["output"]
    last = max(place for place, item in enumerate(output) if item["type"] in CALLS)
    return [plain(item) for item in output[: last + 1] if response.get("store", True) or can_be_known_again(item)]


def can_be_known_again(item):
    """One model reasoned in an answer that was not stored, and nobody had asked for the encrypted content."""
    return item["type"] != "reasoning" or "encrypted_content" in item


def plain(item):
    """An item, without what is left empty in some answers and in others not at all."""
    made = json.loads(json.dumps(item))
    for part in made.get("content") or ():
        for name in ("annotations", "logprobs"):
            if part.get(name) == []:
                del part[name]
    return made


def last_response(body):
    """The whole response in the last event of a stream, where its items are as they were when each was done.

    The reasoning is encrypted once more for the last event, and the API's reference says which one is to go back.
    """
    events = [json.loads(line[5:]) for line in body.split("\n") if line.startswith("data:") and line != MARK]
    done = {event["item"]["id"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    response = [event["response"] for event in events if "response" in event][-1]
    return response | {"output": [done.get(item["id"], item) for item in response["output"]]}


def replay(body, step=7):
    """The reply in a recorded stream; the bytes come in small pieces."""
    parser, builder, reader = EventParser(), ReplyBuilder(), ResponseReader()
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            chunk = reader.read(event)
            if isinstance(chunk, GenerationChunk):
                builder.add(chunk)
    return builder.build()


# ---------------------------------------------------------------- answers


def test_every_recorded_answer_gives_the_right_reply(response_exchanges):
    counts: Counter[Any] = Counter()
    for exchange in response_exchanges:
        if exchange.status == 200 and not exchange.streaming:
            response = json.loads(exchange.body)
            if response["object"] == "response":
                assert_is(reply_of_response(response), response, exchange.where)
            counts[response["object"]] += 1  # compaction is an API of its own, which penstock does not call
    assert counts["response"] >= 431, counts
    assert set(counts) <= {"response", "response.compaction"}


def test_every_recorded_stream_adds_up_to_the_right_reply(response_exchanges):
    streams = [exchange for exchange in response_exchanges if exchange.status == 200 and exchange.streaming]
    for exchange in streams:
        assert_is(replay(exchange.body.encode()), last_response(exchange.body), exchange.where)
    assert len(streams) >= 186


# By hand, from reading each one: status and code.
WHAT_ERRORS_MEAN = {
    (401, "invalid_api_key"): ErrorType.AUTHENTICATION,
    (400, "model_not_found"): ErrorType.NOT_FOUND,
    (400, "invalid_function_parameters"): ErrorType.INVALID_REQUEST,
    (400, "invalid_value"): ErrorType.INVALID_REQUEST,
    (400, "unsupported_file"): ErrorType.INVALID_REQUEST,
    (400, "unsupported_value"): ErrorType.INVALID_REQUEST,
    (400, "integer_below_min_value"): ErrorType.INVALID_REQUEST,
    (400, "decimal_below_min_value"): ErrorType.INVALID_REQUEST,
    (400, "context_length_exceeded"): ErrorType.CONTEXT_LENGTH,
    (400, None): ErrorType.INVALID_REQUEST,
    (400, "invalid_request_error"): ErrorType.INVALID_REQUEST,  # DeepSeek
    (400, "invalid-argument"): ErrorType.INVALID_REQUEST,  # xAI, of a wrong key, which it says in prose only
}


def test_every_recorded_error_has_the_right_type_and_a_message(response_exchanges):
    met: Counter[Any] = Counter()
    for exchange in response_exchanges:
        if exchange.status == 200:
            continue
        data = json.loads(exchange.body)
        inner = data["error"] if isinstance(data["error"], dict) else {**data, "message": data["error"]}  # xAI
        error = error_of(exchange.status, data)
        key = (exchange.status, inner["code"])
        assert error.error_type is WHAT_ERRORS_MEAN[key], exchange.where
        assert " ".join(inner["message"].split())[:100] in str(error), exchange.where
        met[key] += 1
    assert len(met) >= 8


# ---------------------------------------------------------------- requests: a body as the request that penstock makes


class NotNamedError(Exception):
    """A value that penstock has no field for: it goes as `extra`."""


def others(data, *named):
    """What an item, a part or a tool says that penstock does not name."""
    return {name: value for name, value in data.items() if name not in ("type", *named) and value is not None}


def part_of(part):
    match part["type"]:
        case "input_text" | "output_text":
            return TextPart(part["text"], extra=others(part, "text"))
        case "input_image" if part.get("image_url"):
            extra = others(part, "image_url", "detail")
            return ImagePart(url=part["image_url"], detail=part.get("detail"), extra=extra)
        case "input_file":
            head, _, data = (part.get("file_data") or "").partition(";base64,")
            return DocumentPart(
                data=data or None,
                media_type=head.removeprefix("data:") or None,
                url=part.get("file_url"),
                file_id=part.get("file_id"),
                name=part.get("filename"),
                extra=others(part, "file_data", "file_url", "file_id", "filename"),
            )
    raise NotNamedError(f"{part['type']} by {', '.join(others(part))}")


def parts_of(content):
    return content if isinstance(content, str) else [part_of(part) for part in content]


class Turn:
    """An assistant's message as it is put together from items."""

    def __init__(self):
        self.content, self.extra, self.calls, self.before = None, {}, [], []

    def say(self, item):
        self.content = parts_of(item["content"])
        if self.before:  # its place is after reasoning, so that its id and phase belong to a signature
            self.before.append({"type": "message", **others(item, "content")})
        else:
            self.extra = others(item, "role", "content")

    def call(self, item):
        rest = {"type": item["type"], **others(item, "call_id", "name", "arguments")}
        signed = json.dumps({"items": [*self.before, rest]}) if self.before or len(rest) > 1 else None
        fields = {"id": item["call_id"], "name": item["name"], "arguments": item["arguments"]}
        self.calls.append(ToolCall(**fields, signature=signed))
        self.before = []

    def message(self):
        if self.before:
            raise NotNamedError(f"{self.before[0]['type']} that leads to no call")
        return Message("assistant", self.content, tool_calls=self.calls, extra=self.extra)


def messages_of(items):
    """The items as messages."""
    messages, turn = [], None
    for item in items:
        kind, role = item.get("type", "message"), item.get("role")
        if kind in ("function_call_output", "additional_tools") or role in ("user", "system", "developer"):
            messages += [turn.message()] if turn else []
            turn = None
            messages.append(message_of(item, kind))
            continue
        if turn is None or (kind == "message" and (turn.content is not None or turn.calls)):
            messages += [turn.message()] if turn else []
            turn = Turn()
        if kind == "message":
            turn.say(item)
        elif kind == "function_call":
            turn.call(item)
        else:
            turn.before.append(item)
    return [*messages, turn.message()] if turn else messages


def message_of(item, kind):
    match kind:
        case "message":
            return Message(item["role"], parts_of(item["content"]), extra=others(item, "role", "content"))
        case "function_call_output":
            extra = others(item, "call_id", "output")
            return Message("tool", parts_of(item["output"]), tool_call_id=item["call_id"], extra=extra)
    raise NotNamedError(kind)


def tool_of(tool):
    if tool["type"] != "function":
        return ToolDefinition(name=tool["type"], extra=tool)
    named = ("name", "description", "parameters", "strict")
    name, description, parameters, strict = (tool.get(field) for field in named)
    extra = others(tool, *named)
    return ToolDefinition(name=name, description=description, parameters=parameters or {}, strict=strict, extra=extra)


def choice_of(choice):
    if isinstance(choice, str):
        return choice
    if choice["type"] == "function":
        return choice["name"]
    raise NotNamedError(choice["type"])


def format_of(text):
    if set(text) != {"format"} or set(text["format"]) > {"type", "name", "schema", "strict"}:
        raise NotNamedError("a format with more fields")
    return ResponseFormat(**text["format"])


NAMED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "max_output_tokens": ("max_tokens", int),
    "temperature": ("temperature", float),
    "top_p": ("top_p", float),
    "tools": ("tools", lambda tools: [tool_of(tool) for tool in tools]),
    "tool_choice": ("tool_choice", choice_of),
    "text": ("response_format", format_of),
}


def request_of(body, counts):
    """The request for a recorded body; what penstock cannot name is its `extra`."""
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("model", "input", "stream") or value is None:
            continue
        try:
            field, read = NAMED[name]
            fields[field] = read(value)
        except (KeyError, NotNamedError):
            extra[name] = value
    try:
        messages = messages_of(as_items(body["input"]))
    except NotNamedError as reason:
        counts["input as extra"] += 1
        counts[f"  {reason}"] += 1
        return GenerationRequest(**fields, prompt="in extra", extra=extra | {"input": body["input"]})
    if not messages:
        counts["no input"] += 1
        return GenerationRequest(**fields, prompt="in extra", extra=extra | {"input": body["input"]})
    counts["by named fields, options as extra"] += 1
    return GenerationRequest(**fields, messages=messages, extra=extra)


def as_items(said):
    return [{"role": "user", "content": said}] if isinstance(said, str) else said


def normal(body):
    """A body, recorded or rebuilt, with one of the ways to say the same for each thing that has several."""
    made = {name: value for name, value in body.items() if value not in (None, [])}
    made["tools"] = [others(tool) | {"type": tool["type"]} for tool in body.get("tools") or ()]
    items = [normal_item(item) for item in as_items(body["input"])]
    # Beside a call, some clients send a message that says nothing.
    made["input"] = [item for item in items if item != {"type": "message", "role": "assistant", "content": []}]
    return made


def normal_item(item):
    made = {"type": "message"} | {name: value for name, value in item.items() if value is not None}
    name = "output" if "output" in made else "content"
    if isinstance(made.get(name), list) and (made["type"] == "message" or name == "output"):
        made[name] = [normal_part(part) for part in made[name]]
        if made.get("role") == "assistant":
            made[name] = [part for part in made[name] if part.get("text") != ""]
    if made.get("role") == "assistant" and isinstance(made[name], str):
        made[name] = [{"type": "output_text", "text": made[name]}] if made[name] else []
    return made


def normal_part(part):
    made = {name: value for name, value in part.items() if value not in (None, [])}
    return {"detail": "auto"} | made if made["type"] == "input_image" else made


def test_every_recorded_request_is_rebuilt_field_for_field(response_exchanges):
    provider = OpenAIProvider(api_key="sk-test", api="responses")
    counts: Counter[str] = Counter()
    for exchange in response_exchanges:
        body = exchange.request
        if not exchange.endpoint.partition("?")[0].endswith("/responses") or body.get("model") is None:
            counts["another endpoint, or a stored prompt in the place of a model"] += 1
            continue
        request = request_of(body, counts)
        call = LLMCallRequest.of(request, model=body["model"], trace_id="", stream=bool(body.get("stream")))
        payload = json.loads(json.dumps(provider.convert_request(call)))
        if body.get("stream") is False:
            payload["stream"] = False
        assert normal(payload) == normal(body), exchange.where
    assert counts["by named fields, options as extra"] >= 579, counts
    assert counts["input as extra"] <= 46, counts
