"""Every recorded exchange: bodies and streams against an independent reading, errors against a list, requests rebuilt.

The recordings are not part of the project; without them these tests are skipped.
"""

import json
from collections import Counter
from typing import Any

from penstock import ErrorType, GenerationRequest, LLMCallRequest
from penstock.bulk.body import body_fields
from penstock.errors import ProviderError
from penstock.schema import ReplyBuilder
from penstock_http import END, EventParser, parse_limits
from penstock_openai import OpenAIProvider
from penstock_openai.errors import error_of
from penstock_openai.reply import chunk_of, reply_of

# ---------------------------------------------------------------- an independent reading of what was recorded


def texts_of(parts):
    """The text and the thinking of Mistral's content parts."""
    text = "".join(part.get("text", "") for part in parts if part["type"] == "text")
    thinking = "".join(piece["text"] for part in parts if part["type"] == "thinking" for piece in part["thinking"])
    return text, thinking


def said(message):
    content = message.get("content")
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    if not reasoning and "reasoning" not in message:
        reasoning = "".join(detail.get("text") or "" for detail in message.get("reasoning_details") or ())
    if isinstance(content, dict):  # Cloudflare parses what it was asked for
        content = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    if isinstance(content, list):
        content, thinking = texts_of(content)
        reasoning = reasoning or thinking
    if content is None and message.get("audio"):
        content = message["audio"]["transcript"]
    return content, reasoning


def tokens(usage):
    """Input, output, read from cache, reasoning: as billed."""
    given, made = usage["prompt_tokens"], usage["completion_tokens"] or 0
    left_out = max(0, (usage.get("total_tokens") or 0) - given - made)
    details = usage.get("prompt_tokens_details") or {}
    if left_out and left_out == details.get("audio_tokens"):
        given, left_out = given + left_out, 0
    cached = details.get("cached_tokens") or usage.get("num_cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    # One server reports 190 of 23 input tokens as cached, some more reasoning than output.
    return given, made + left_out, min(cached, given), min(reasoning, made + left_out)


def calls_of(message):
    """The calls of a message: id, name, arguments. A server may write out forms that are empty."""
    made = []
    for call in message.get("tool_calls") or ():
        custom, function = call.get("custom") or {}, call.get("function") or {}
        name, arguments = function.get("name"), function.get("arguments")
        made.append((call["id"], name or custom.get("name"), arguments or custom.get("input") or ""))
    old = message.get("function_call") or {}
    return made or ([("", old["name"], old["arguments"])] if old.get("name") else [])


def seen(usage):
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.reasoning_output_tokens,
    )


def events_of(body):
    for line in body.split("\n"):
        if line.startswith("data:") and "[DONE]" not in line:
            yield json.loads(line.removeprefix("data:"))


# ---------------------------------------------------------------- answers


def test_every_recorded_answer_gives_the_right_reply(exchanges):
    counts: Counter[Any] = Counter()
    for exchange in exchanges:
        if exchange.streaming or exchange.status != 200:
            continue
        if not exchange.body:  # three recordings lost their bodies
            counts["without a body"] += 1
            continue
        data = json.loads(exchange.body)
        if data.get("error"):
            counts["an error"] += 1
            continue
        choice = data["choices"][0]
        message = choice.get("message", {})  # Azure leaves it out when its filter has stopped the answer
        reply = reply_of(data)
        content, reasoning = said(message)
        assert (reply.content, reply.reasoning or "") == (content, reasoning), exchange.where
        assert [(c.id, c.name, c.arguments) for c in reply.tool_calls] == calls_of(message), exchange.where
        assert reply.finish_reason == (choice.get("finish_reason") or None), exchange.where
        assert (reply.refusal or None) == (message.get("refusal") or None), exchange.where
        assert (reply.response_model, reply.response_id) == (data.get("model"), data["id"]), exchange.where
        usage = data.get("usage")
        assert (reply.usage and seen(reply.usage)) == (usage and tokens(usage)), exchange.where
        counts["read"] += 1
    assert counts["read"] > 550, counts


def test_every_recorded_stream_adds_up_to_the_right_reply(exchanges):
    counts: Counter[Any] = Counter()
    for exchange in exchanges:
        if not exchange.streaming or exchange.status != 200:
            continue
        events = list(events_of(exchange.body))
        if any("error" in event for event in events):
            counts["with an error"] += 1
            continue
        firsts = [c for event in events for c in event["choices"] if c["index"] == 0]
        pieces = [said(choice.get("delta") or {}) for choice in firsts]
        calls: dict[int, list[str]] = {}
        for choice in firsts:
            for call in (choice.get("delta") or {}).get("tool_calls") or ():
                made = calls.setdefault(call.get("index", 0), ["", "", ""])
                made[0] = call.get("id") or made[0]
                made[1] = call["function"].get("name") or made[1]
                made[2] += call["function"].get("arguments") or ""
        usages = [event.get("usage") or (event.get("x_groq") or {}).get("usage") for event in events]
        usage = next((usage for usage in reversed(usages) if usage), None)

        reply, ended = replay(exchange.body.encode())
        assert ended or reply.finish_reason, exchange.where  # some servers end without a mark
        assert (reply.content or "") == "".join(text or "" for text, _ in pieces), exchange.where
        assert (reply.reasoning or "") == "".join(thought for _, thought in pieces), exchange.where
        assert [[c.id, c.name, c.arguments] for c in reply.tool_calls] == list(calls.values()), exchange.where
        reasons = [choice["finish_reason"] for choice in firsts if choice.get("finish_reason")]
        assert reply.finish_reason == (reasons[-1] if reasons else None), exchange.where  # two streams give none
        last = events[-1]
        assert (reply.response_model, reply.response_id or "") == (last.get("model"), last["id"]), exchange.where
        assert (reply.usage and seen(reply.usage)) == (usage and tokens(usage)), exchange.where
        counts["read"] += 1
    assert counts["read"] > 150, counts


def replay(body, step=7):
    """The reply in a recorded stream, and whether its end was seen; the bytes come in small pieces."""
    parser, builder, ended = EventParser(), ReplyBuilder(), False
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            chunk = chunk_of(event)
            if chunk is END:
                ended = True
            elif chunk is not None:
                builder.add(chunk)
    return builder.build(), ended


def test_every_recorded_limit_header_is_read(exchanges):
    read = 0
    for exchange in exchanges:
        headers = exchange.headers
        if "x-ratelimit-limit-requests" not in headers or not headers["x-ratelimit-limit-requests"].isdecimal():
            continue
        for reading in parse_limits(headers, now_wall=0.0):
            name = reading.dimension
            if f"x-ratelimit-limit-{name}" in headers:
                assert reading.limit == int(headers[f"x-ratelimit-limit-{name}"]), exchange.where
                assert reading.remaining == int(headers[f"x-ratelimit-remaining-{name}"]), exchange.where
                read += 1
    assert read > 700


# ---------------------------------------------------------------- errors

# By hand, from reading each one: provider, status and code or type.
WHAT_ERRORS_MEAN = {
    ("openai-chat", 401, "invalid_api_key"): ErrorType.AUTHENTICATION,
    ("openai-chat", 404, "model_not_found"): ErrorType.NOT_FOUND,
    ("openai-chat", 400, "invalid_value"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "unsupported_value"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "unsupported_parameter"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "missing_required_parameter"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "invalid_function_parameters"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "invalid_image_format"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "invalid_image_url"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, "empty_array"): ErrorType.INVALID_REQUEST,
    ("openai-chat", 400, None): ErrorType.INVALID_REQUEST,
    ("openai-chat", 404, None): ErrorType.NOT_FOUND,  # a wrong address
    ("azure", 200, "content_filter"): ErrorType.CONTENT_FILTER,
    ("azure", 401, "401"): ErrorType.AUTHENTICATION,
    ("azure", 404, "404"): ErrorType.NOT_FOUND,
    ("azure", 404, "DeploymentNotFound"): ErrorType.NOT_FOUND,
    # DeepSeek and OpenRouter say in prose only that the input is too long, which decides nothing.
    ("deepseek", 400, "invalid_request_error"): ErrorType.INVALID_REQUEST,
    ("deepseek", 401, "invalid_request_error"): ErrorType.AUTHENTICATION,
    ("openrouter", 400, 400): ErrorType.INVALID_REQUEST,
    ("openrouter", 401, 401): ErrorType.AUTHENTICATION,
    ("openrouter", 200, 400): ErrorType.INVALID_REQUEST,  # an event in mid-stream
    ("perplexity", 400, 400): ErrorType.CONTEXT_LENGTH,
    ("together", 401, "invalid_api_key"): ErrorType.AUTHENTICATION,
    ("local", 404, None): ErrorType.NOT_FOUND,
    ("azure", 429, "RateLimitReached"): ErrorType.HTTP_429,
    ("groq", 404, "model_not_found"): ErrorType.NOT_FOUND,
    ("groq", 400, "tool_use_failed"): ErrorType.INVALID_REQUEST,
    ("groq", 200, "tool_use_failed"): ErrorType.INVALID_REQUEST,  # an event in mid-stream
    ("mistral", 401, None): ErrorType.AUTHENTICATION,
    ("openrouter", 429, 429): ErrorType.HTTP_429,
    ("perplexity", 401, 401): ErrorType.AUTHENTICATION,
    ("local", 401, None): ErrorType.AUTHENTICATION,
    # Ollama says "prompt too long" in prose only, which decides nothing.
    ("local", 400, None): ErrorType.INVALID_REQUEST,
}


def test_every_recorded_error_has_the_right_type_and_a_message(exchanges):
    met: Counter[Any] = Counter()
    for exchange in exchanges:
        inner = what_went_wrong(exchange)
        if inner is None:
            continue
        error = the_error(exchange)
        key = (exchange.where.partition(":")[0], exchange.status, inner.get("code"))
        assert error.error_type is WHAT_ERRORS_MEAN[key], exchange.where
        message = inner.get("message") or inner.get("detail")
        assert " ".join(message.split())[:100] in str(error), exchange.where
        met[key] += 1
    assert len(met) >= 13


def what_went_wrong(exchange):
    """The error of an exchange, in its body or in an event; None where there is none."""
    if exchange.status != 200:
        data = json.loads(exchange.body)
        return data.get("error", data)
    if '"error"' not in exchange.body:
        return None
    bodies = events_of(exchange.body) if exchange.streaming else [json.loads(exchange.body)]
    return next((body["error"] for body in bodies if body.get("error")), None)


def the_error(exchange):
    try:
        if exchange.status != 200:
            return error_of(exchange.status, json.loads(exchange.body))
        if exchange.streaming:
            replay(exchange.body.encode())
        else:
            reply_of(json.loads(exchange.body))
    except ProviderError as error:
        return error
    raise AssertionError(f"no error in {exchange.where}")


# ---------------------------------------------------------------- requests

# A bulk run reads whole answers, so these two are the call's and not the request's.
LEFT_OUT = {"stream", "stream_options"}


def normal(body):
    """A body, recorded or rebuilt, with one of the ways to say the same for each thing that has several."""
    made = {key: value for key, value in body.items() if key not in LEFT_OUT and value is not None}
    made = {key: value for key, value in made.items() if (key, value) not in (("tools", []), ("stop", []))}
    if isinstance(made.get("stop"), str):
        made["stop"] = [made["stop"]]
    if (made.get("response_format") or {}).get("type") == "json_schema":  # one has no name, which OpenAI requires
        made["response_format"]["json_schema"].setdefault("name", "answer")
    made["messages"] = [normal_message(message) for message in body["messages"]]
    return made


def said_in(part):
    return {key: value for key, value in part.items() if value is not None}


def normal_message(message):
    made = {key: value for key, value in message.items() if key == "content" or value not in (None, [])}
    if isinstance(made.get("content"), list):
        made["content"] = [said_in(part) if isinstance(part, dict) else part for part in made["content"]]
    if made.get("tool_calls") and not made.get("content"):  # recorded as null, as "", as [] and not at all
        made["content"] = None
    return made


def test_every_recorded_request_is_rebuilt_field_for_field(exchanges):
    counts: Counter[Any] = Counter()
    for exchange in exchanges:
        body = exchange.request
        if not body or body.get("model", "") is None or not body.get("messages"):
            counts["without a body, or without a message"] += 1
            continue
        body = {"model": "in the address", **body}  # at Azure
        fields = body_fields(body)
        call = LLMCallRequest.of(GenerationRequest(**fields), model=body["model"], trace_id="", stream=False)
        provider = OpenAIProvider(
            api_key="sk-test",
            base_url=exchange.endpoint.removesuffix("/chat/completions"),
            # Old clients say max_tokens to OpenAI too; penstock does so when it is told to.
            max_tokens_field="max_tokens" if body.get("max_tokens") is not None else None,
        )
        payload = json.loads(json.dumps(provider.convert_request(call)))
        assert normal(payload) == normal(body), exchange.where
        overridden = set(fields["extra"]) & set(fields)
        counts["with one field or more as extra alone" if overridden else "by named fields, unnamed ones as extra"] += 1
    assert sum(counts.values()) - counts["without a body, or without a message"] > 800, counts
