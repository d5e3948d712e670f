"""Answers and events become replies and chunks; whatever else comes is an error of a known kind."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ErrorType, LLMCallRequest, Message, Usage
from penstock.errors import ProviderError
from penstock.schema import GenerationChunk, ImagePart, TextPart, ToolCall, ToolCallDelta
from penstock_http import END, Event
from penstock_http.status import UNEXPECTED_SHAPE
from penstock_openai.errors import error_of
from penstock_openai.reply import chunk_of, reply_of
from penstock_openai.usage import demand_of, usage_of


def answer(message=None, **others):
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"} | (message or {}), "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "model": "m-1", "choices": [choice], **others}


def event(delta=None, *, finish=None, index=0, **others):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return Event(json.dumps({"id": "chatcmpl-1", "model": "m-1", "choices": [choice], **others}))


def chunk(event):
    """The chunk in an event that has one."""
    made = chunk_of(event)
    assert isinstance(made, GenerationChunk)
    return made


# ---------------------------------------------------------------- whole answers


def test_a_plain_answer():
    reply = reply_of(answer(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}))
    assert (reply.content, reply.finish_reason, reply.response_model, reply.response_id) == (
        "hi",
        "stop",
        "m-1",
        "chatcmpl-1",
    )
    assert reply.usage == Usage(input_tokens=3, output_tokens=2)


def test_an_answer_of_tool_calls_has_no_content():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free text"}}
    parsed = {"function": {"name": "h", "arguments": {"a": 1}}}  # some servers parse the JSON and give no id
    reply = reply_of(answer({"content": None, "tool_calls": [call, custom, parsed]}))
    assert reply.content is None
    assert reply.tool_calls == (
        ToolCall(id="c1", name="f", arguments='{"a": 1}'),
        ToolCall(id="c2", name="g", arguments="free text"),
        ToolCall(id="", name="h", arguments='{"a":1}'),
    )


def test_the_form_before_tools_is_a_tool_call_without_an_id():
    reply = reply_of(answer({"content": None, "function_call": {"name": "f", "arguments": "{}"}}))
    assert reply.tool_calls == (ToolCall(id="", name="f", arguments="{}"),)


@pytest.mark.parametrize(
    ("message", "content", "reasoning"),
    [
        ({"reasoning_content": "hm"}, "hi", "hm"),
        ({"reasoning": "hm"}, "hi", "hm"),
        ({"reasoning": ""}, "hi", None),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "hi"},
                ]
            },
            "hi",
            "hm",
        ),
        ({"content": None, "audio": {"transcript": "spoken"}}, "spoken", None),
        ({"content": ""}, "", None),
    ],
)
def test_text_and_reasoning_are_found_where_servers_put_them(message, content, reasoning):
    reply = reply_of(answer(message))
    assert (reply.content, reply.reasoning) == (content, reasoning)


def test_a_refusal_is_kept():
    assert reply_of(answer({"content": None, "refusal": "I cannot"})).refusal == "I cannot"


def test_an_answer_that_a_filter_stopped_may_have_no_message():
    reply = reply_of({"choices": [{"index": 0, "finish_reason": "content_filter"}]})
    assert (reply.content, reply.finish_reason) == (None, "content_filter")


@pytest.mark.parametrize(
    ("data", "error_type"),
    [
        ({"error": {"message": "Over capacity", "code": 503}}, ErrorType.OVERLOADED),
        ({"error": {"message": "no", "type": "invalid_request_error"}, "choices": []}, ErrorType.INVALID_REQUEST),
        ({"error": {"message": "no", "code": "insufficient_quota"}}, ErrorType.INSUFFICIENT_QUOTA),
        ({"error": "broken"}, ErrorType.SERVER_ERROR),
        ({"choices": [{"error": {"code": 502, "message": "down"}, "finish_reason": "error"}]}, ErrorType.SERVER_ERROR),
    ],
)
def test_an_error_in_an_answer_of_status_200_is_an_error(data, error_type):
    with pytest.raises(ProviderError) as caught:
        reply_of(data)
    assert caught.value.error_type is error_type


# ---------------------------------------------------------------- events


def test_events_become_chunks_and_empty_ones_nothing():
    assert chunk_of(event({"role": "assistant", "content": ""})) is None
    assert chunk_of(event({"content": "a"})) == GenerationChunk("a", response_model="m-1", response_id="chatcmpl-1")
    assert chunk(event({"reasoning_content": "hm"})).reasoning == "hm"
    assert chunk(event({"refusal": "no"})).refusal == "no"
    assert chunk(event(finish="length")).finish_reason == "length"
    assert chunk_of(Event("[DONE]")) is END


def test_the_last_event_holds_usage_and_no_choice():
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = Event(json.dumps({"choices": [], "usage": usage}))
    assert chunk_of(last) == GenerationChunk(usage=Usage(input_tokens=3, output_tokens=2))
    assert chunk(event(x_groq={"usage": usage})).usage == Usage(input_tokens=3, output_tokens=2)
    assert chunk_of(Event('{"choices": [], "prompt_filter_results": []}')) is None


def test_tool_calls_come_in_pieces():
    start = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 1, "function": {"arguments": '{"a"'}}
    assert chunk(event({"tool_calls": [start]})).tool_calls == (ToolCallDelta(index=1, id="c1", name="f"),)
    assert chunk(event({"tool_calls": [more]})).tool_calls == (ToolCallDelta(index=1, arguments='{"a"'),)
    without_index = chunk(event({"tool_calls": [{"id": "a", "function": {"name": "f"}}, {"id": "b"}]}))
    assert [delta.index for delta in without_index.tool_calls] == [0, 1]


def test_only_the_first_of_several_choices_is_read():
    assert chunk_of(event({"content": "other"}, index=1)) is None


@pytest.mark.parametrize(
    ("name", "data", "error_type", "status"),
    [
        ("message", {"error": {"message": "no", "type": "server_error", "code": None}}, ErrorType.SERVER_ERROR, None),
        (
            "error",
            {"error": {"message": "no", "code": "tool_use_failed", "status_code": 400}},
            ErrorType.INVALID_REQUEST,
            400,
        ),
        ("error", {"message": "no"}, ErrorType.SERVER_ERROR, None),
        ("message", {"error": {"message": "no", "code": "rate_limit_exceeded"}}, ErrorType.HTTP_429, None),
        ("message", {"error": {"message": "no", "type": "overloaded_error"}}, ErrorType.OVERLOADED, None),
        ("message", {"error": {"message": "no", "code": "429"}}, ErrorType.HTTP_429, 429),
    ],
)
def test_an_error_in_mid_stream_is_an_error(name, data, error_type, status):
    with pytest.raises(ProviderError, match="no") as caught:
        chunk_of(Event(json.dumps(data), name))
    assert (caught.value.error_type, caught.value.status_code) == (error_type, status)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "code", "kind", "error_type"),
    [
        (429, "rate_limit_exceeded", "requests", ErrorType.HTTP_429),
        (429, None, "tokens", ErrorType.HTTP_429),
        (429, "insufficient_quota", "insufficient_quota", ErrorType.INSUFFICIENT_QUOTA),
        (429, None, "insufficient_quota", ErrorType.INSUFFICIENT_QUOTA),
        (400, "billing_hard_limit_reached", "invalid_request_error", ErrorType.INSUFFICIENT_QUOTA),
        (401, "invalid_api_key", "invalid_request_error", ErrorType.AUTHENTICATION),
        (401, None, "api_error", ErrorType.AUTHENTICATION),
        (403, "unsupported_country_region_territory", "request_forbidden", ErrorType.UNSUPPORTED_REGION),
        (403, None, None, ErrorType.PERMISSION),
        (404, "model_not_found", "invalid_request_error", ErrorType.NOT_FOUND),
        (400, "context_length_exceeded", "invalid_request_error", ErrorType.CONTEXT_LENGTH),
        (400, "string_above_max_length", "invalid_request_error", ErrorType.CONTEXT_LENGTH),
        (400, 400, "exceed_context_size_error", ErrorType.CONTEXT_LENGTH),
        (413, "rate_limit_exceeded", "tokens", ErrorType.CONTEXT_LENGTH),
        (413, None, None, ErrorType.INVALID_REQUEST),
        (400, "content_filter", None, ErrorType.CONTENT_FILTER),
        (400, "content_policy_violation", "invalid_request_error", ErrorType.CONTENT_FILTER),
        (422, None, "invalid_request_error", ErrorType.INVALID_REQUEST),
        (408, None, None, ErrorType.TIMEOUT),
        (409, None, None, ErrorType.SERVER_ERROR),
        (500, None, "server_error", ErrorType.SERVER_ERROR),
        (502, None, None, ErrorType.SERVER_ERROR),
        (503, None, "server_error", ErrorType.OVERLOADED),
        (503, "slow_down", "server_error", ErrorType.OVERLOADED),
        (529, None, None, ErrorType.OVERLOADED),
        (402, None, None, ErrorType.INSUFFICIENT_QUOTA),
    ],
)
def test_the_table_of_errors(status, code, kind, error_type):
    error = error_of(status, {"error": {"message": "quota limit region context", "code": code, "type": kind}})
    assert error.error_type is error_type
    assert error.status_code == status


@pytest.mark.parametrize(
    ("status", "data", "message"),
    [
        (502, "<html><body>Bad\n Gateway</body></html>", "<html><body>Bad Gateway</body></html>"),
        (500, "", "no message"),
        (400, {"error": "model is required"}, "model is required"),
        (400, {"error": "no", "code": "bad_thing"}, "no (bad_thing)"),
        (400, [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}], "no"),
        (422, {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, "Field required"),
        (500, None, "no message"),
        (500, 5, "no message"),
        (401, {"detail": "Invalid API Key"}, "Invalid API Key"),
    ],
)
def test_the_message_of_every_kind_of_body_is_kept(status, data, message):
    assert str(error_of(status, data)) == message


def test_a_hint_in_the_body_is_a_hint():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.5s"}]
    assert error_of(429, {"error": {"message": "x", "details": details}}).retry_after_s == 45.5
    assert error_of(429, {"error": {"message": "x", "details": "soon"}}).retry_after_s is None


# ---------------------------------------------------------------- usage and demand


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 5, "completion_tokens": None}, Usage(input_tokens=5)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(
                input_tokens=100,
                output_tokens=50,
                cache_read_input_tokens=60,
                cache_creation_input_tokens=30,
                reasoning_output_tokens=40,
            ),
        ),
        # DeepSeek and Mistral, without details
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(input_tokens=9, cache_read_input_tokens=4)),
        ({"prompt_tokens": 9, "num_cached_tokens": 4}, Usage(input_tokens=9, cache_read_input_tokens=4)),
        # more cached and written than there is: the cost must not become negative
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 7}},
            Usage(input_tokens=9, cache_read_input_tokens=7, cache_creation_input_tokens=2),
        ),
        # reasoning left out of the output (xAI), audio left out of the input (Mistral)
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 107,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(input_tokens=5, output_tokens=102, reasoning_output_tokens=100),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 201,
                "total_tokens": 585,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            Usage(input_tokens=384, output_tokens=201, input_audio_tokens=375),
        ),
        # OpenRouter's searches of the web
        (
            {"prompt_tokens": 9, "server_tool_use_details": {"web_search_requests": 3}},
            Usage(input_tokens=9, web_search_requests=3),
        ),
        # what is heard, seen, spoken and drawn
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 60,
                "prompt_tokens_details": {"audio_tokens": 50, "image_tokens": 20},
                "completion_tokens_details": {"audio_tokens": 40, "image_tokens": 70},
            },
            Usage(
                input_tokens=90,
                output_tokens=60,
                input_audio_tokens=50,
                input_image_tokens=20,
                output_audio_tokens=40,
                output_image_tokens=60,
            ),
        ),
    ],
)
def test_usage_is_what_was_billed(usage, expected):
    assert usage_of(usage) == expected


def demand(*messages, **fields):
    made = demand_of(LLMCallRequest(model="m", messages=messages, **fields), reserve_output=True)
    return made.input_tokens, made.output_tokens


def test_demand_counts_characters_messages_media_and_what_may_be_written():
    assert demand(Message("user", "x" * 400)) == (104, 16)
    assert demand(Message("system", "x" * 40), Message("user", "x" * 40), max_tokens=50) == (27, 50)
    assert demand(Message("user", "x"), max_tokens=50, extra={"n": 3}) == (4, 150)
    assert demand(Message("user", "x"), max_tokens=50, extra={"max_completion_tokens": 9}) == (4, 9)
    assert demand(Message("user", "x"), extra={"max_tokens": "many", "n": "some"}) == (4, 16)
    low, high = ImagePart(url="u", detail="low"), ImagePart(url="u")
    assert demand(Message("user", (TextPart("x" * 40), low, high))) == (1 + 10 + 3 + 85 + 765, 16)


def test_demand_without_a_reserve_is_the_input():
    request = LLMCallRequest(model="m", messages=(Message("user", "x"),), max_tokens=50)
    assert demand_of(request, reserve_output=False).output_tokens == 0


# ---------------------------------------------------------------- hostile data

NAMES = [
    *("choices", "message", "delta", "content", "usage", "error", "code", "type", "tool_calls", "function", "index"),
    *("prompt_tokens", "total_tokens", "finish_reason", "arguments", "id", "x_groq", "custom", "text", "details"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=30,
)
choices = st.fixed_dictionaries({"choices": st.lists(json_values, max_size=2), "usage": json_values})


@given(json_values | choices)
def test_whatever_a_server_says_is_a_reply_or_an_error_of_a_known_kind(data):
    with suppress(ProviderError, *UNEXPECTED_SHAPE):
        assert isinstance(reply_of(data).content, str | None)
    with suppress(ProviderError, *UNEXPECTED_SHAPE):
        assert isinstance(chunk_of(Event(json.dumps(data))), GenerationChunk | None)


@given(st.integers(200, 599), json_values)
def test_whatever_an_error_body_says_it_has_a_type_and_a_message(status, data):
    error = error_of(status, data)
    assert error.error_type is not ErrorType.UNKNOWN
    assert str(error)


# ---------------------------------------------------------------- spoken answers, and failures that were billed


def test_a_spoken_answer_in_pieces_is_its_transcript():
    pieces = [{"id": "audio_1"}, {"transcript": "Hel"}, {"data": "QUJD"}, {"transcript": "lo"}]
    events = [event({"content": None, "audio": piece}) for piece in pieces]
    assert [chunk_of(events[0]), chunk(events[1]).text, chunk_of(events[2]), chunk(events[3]).text] == [
        None,
        "Hel",
        None,
        "lo",
    ]


@pytest.mark.parametrize("read", [reply_of, lambda data: chunk_of(Event(json.dumps(data)))])
def test_an_answer_that_failed_half_way_says_what_it_used(read):
    used = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    choice = {"index": 0, "message": {"content": "Hal"}, "delta": {}, "error": {"message": "gone", "code": 502}}
    with pytest.raises(ProviderError) as caught:
        read({"choices": [choice], "usage": used})
    assert caught.value.usage == Usage(input_tokens=9, output_tokens=4)
