"""Answers, events and errors that were not recorded: what each becomes."""

import json

import pytest

from penstock import ErrorType, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand, ReplyBuilder, ToolCall
from penstock_anthropic.errors import error_of
from penstock_anthropic.reply import StreamReader, reply_of
from penstock_anthropic.usage import charged, usage_of
from penstock_http import END, Event

THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
CALL = {"type": "tool_use", "id": "t1", "name": "now", "input": {}}


def answer(*blocks, stop_reason="end_turn", **fields):
    usage = {"input_tokens": 3, "output_tokens": 2}
    named = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}
    return {**named, "content": list(blocks), "stop_reason": stop_reason, "usage": usage, **fields}


def read(*events):
    """What a stream of these events adds up to."""
    reader, builder = StreamReader(), ReplyBuilder()
    for data in events:
        chunk = reader.read(Event(json.dumps(data), data["type"]))
        if chunk is not None and chunk is not END:
            builder.add(chunk)
    return builder.build()


def start(index, block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(index):
    return {"type": "content_block_stop", "index": index}


@pytest.mark.parametrize(
    ("word", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("compaction", "compaction"),
        ("a word of next year", "a word of next year"),
        (None, None),
    ],
)
def test_stop_reasons_have_the_common_words_or_keep_their_own(word, finish_reason):
    assert reply_of(answer(stop_reason=word)).finish_reason == finish_reason


def test_a_refusal_says_why():
    details = {"type": "refusal", "category": "cyber", "explanation": "Not that."}
    reply = reply_of(answer(stop_reason="refusal", stop_details=details))
    assert (reply.content, reply.refusal, reply.finish_reason) == (None, "Not that.", "content_filter")
    ended = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": {}}
    assert read(ended).refusal == "Not that."


def test_an_answer_without_blocks_is_empty_text_and_one_of_calls_alone_has_none():
    assert reply_of(answer()).content == ""
    assert reply_of(answer(CALL)).content is None
    assert reply_of(answer(CALL)).tool_calls[0].arguments == "{}"


def test_a_call_carries_the_thinking_that_led_to_it():
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    reply = reply_of(answer(THINKING, redacted, CALL, CALL))
    assert [json.loads(call.signature or "[]") for call in reply.tool_calls] == [[THINKING, redacted], []]
    streamed = read(
        start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, type="thinking_delta", thinking="H"),
        delta(0, type="thinking_delta", thinking="m."),
        delta(0, type="signature_delta", signature="sig"),
        stop(0),
        start(1, redacted),
        stop(1),
        start(2, CALL),
        stop(2),
    )
    assert streamed.tool_calls == reply.tool_calls[:1]
    assert streamed.reasoning == reply.reasoning == "Hm."


def test_what_a_server_side_tool_was_asked_is_no_call():
    asked = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    streamed = read(
        start(0, asked),
        delta(0, type="input_json_delta", partial_json='{"query": "x"}'),
        stop(0),
        start(1, {"type": "text", "text": "Fou"}),
        delta(1, type="text_delta", text="nd."),
        stop(1),
    )
    assert (streamed.tool_calls, streamed.content) == ((), "Found.")
    assert reply_of(answer(asked)).tool_calls == ()


def test_a_call_may_come_whole_in_its_first_event():
    whole = {**CALL, "input": {"zone": "CET"}}
    assert read(start(0, whole), stop(0)).tool_calls[0].arguments == '{"zone":"CET"}'
    assert read(start(0, {"type": "thinking", "thinking": "Hm."}), stop(0)).reasoning == "Hm."


def test_a_stream_may_have_all_of_its_message_in_the_first_event():
    call = {
        "type": "tool_use",
        "id": "t1",
        "name": "f",
        "input": {"a": 1},
        "caller": {"type": "code_execution_20250825"},
    }
    message = answer(call, stop_reason="tool_use")
    whole = reply_of(message)
    assert read({"type": "message_start", "message": message}, {"type": "message_stop"}) == whole
    assert whole.tool_calls == (ToolCall(id="t1", name="f", arguments='{"a":1}'),)


def test_a_streams_counts_are_the_newest_of_each_kind():
    first = {"input_tokens": 9, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 1}
    begun = {"type": "message_start", "message": answer(usage=first)}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    assert read(begun, ended).usage == Usage(input_tokens=109, output_tokens=7, cache_read_input_tokens=100)
    more = {"output_tokens": 7, "input_tokens": 50, "cache_read_input_tokens": None}
    assert read(begun, {**ended, "usage": more}).usage.input_tokens == 150


def test_a_compaction_is_billed_and_an_advisor_is_another_models_bill():
    counts = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1}
    runs = [counts | {"type": "compaction"}, counts | {"type": "message"}, counts | {"type": "advisor_message"}]
    assert usage_of({"input_tokens": 10, "output_tokens": 5, "iterations": runs}) == Usage(
        input_tokens=23, output_tokens=10, cache_read_input_tokens=2, cache_creation_input_tokens=1
    )


def test_what_is_written_to_the_cache_for_an_hour_is_told_apart():
    hour = {"cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_1h_input_tokens": 60}}
    counts = {"input_tokens": 1, "output_tokens": 1} | hour
    assert usage_of(counts).cache_creation_1h_input_tokens == 60
    assert usage_of(counts | {"iterations": [counts | {"type": "compaction"}]}).cache_creation_1h_input_tokens == 120
    begun = {"type": "message_start", "message": answer(usage=counts)}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    usage = read(begun, ended).usage
    assert (usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens) == (100, 60)


def test_searches_of_the_servers_are_counted():
    counts = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}
    assert usage_of(counts).web_search_requests == 2
    assert usage_of(counts | {"server_tool_use": None}).web_search_requests == 0


def test_limits_count_no_cache_reads():
    usage = Usage(input_tokens=110, output_tokens=7, cache_read_input_tokens=100, cache_creation_input_tokens=6)
    assert charged(usage) == Demand(input_tokens=10, output_tokens=7)


@pytest.mark.parametrize("kind", ["ping", "an event of next year", "content_block_stop"])
def test_an_event_that_adds_nothing_is_passed_over(kind):
    assert StreamReader().read(Event(json.dumps({"type": kind, "index": 0}))) is None


# ---------------------------------------------------------------- errors

ERRORS = [
    (400, "invalid_request_error", None, ErrorType.INVALID_REQUEST),
    (400, "invalid_request_error", "organization_on_hold", ErrorType.PERMISSION),
    (400, "invalid_request_error", "tool_name_conflict", ErrorType.INVALID_REQUEST),
    (401, "authentication_error", None, ErrorType.AUTHENTICATION),
    (402, "billing_error", None, ErrorType.INSUFFICIENT_QUOTA),
    (402, "billing_error", "linked_organization_spend_limit_reached", ErrorType.INSUFFICIENT_QUOTA),
    (403, "permission_error", None, ErrorType.PERMISSION),
    (404, "not_found_error", None, ErrorType.NOT_FOUND),
    (409, "conflict_error", None, ErrorType.SERVER_ERROR),
    (413, "request_too_large", None, ErrorType.INVALID_REQUEST),
    (429, "rate_limit_error", None, ErrorType.HTTP_429),
    (429, "rate_limit_error", "ramp_limit_exceeded", ErrorType.HTTP_429),
    (429, "rate_limit_error", "enforced_spend_limit_reached", ErrorType.INSUFFICIENT_QUOTA),
    (429, "rate_limit_error", "contract_spend_limit_reached", ErrorType.INSUFFICIENT_QUOTA),
    (500, "api_error", None, ErrorType.SERVER_ERROR),
    (503, "api_error", "a code of next year", ErrorType.OVERLOADED),
    (504, "timeout_error", None, ErrorType.TIMEOUT),
    (529, "overloaded_error", None, ErrorType.OVERLOADED),
    (529, "overloaded_error", "compaction_unavailable", ErrorType.OVERLOADED),
    # In mid-stream, where the status is that of the answer that began well.
    (200, "overloaded_error", None, ErrorType.OVERLOADED),
    (200, "rate_limit_error", "enforced_spend_limit_reached", ErrorType.INSUFFICIENT_QUOTA),
    (200, "rate_limit_error", None, ErrorType.HTTP_429),
    (200, "invalid_request_error", None, ErrorType.INVALID_REQUEST),
    (200, "api_error", None, ErrorType.SERVER_ERROR),
    (200, "an error of next year", None, ErrorType.SERVER_ERROR),
]


@pytest.mark.parametrize(("status", "kind", "code", "error_type"), ERRORS)
def test_errors_are_told_by_code_type_and_status(status, kind, code, error_type):
    details = {"details": {"error_code": code}} if code else {}
    error = error_of(
        status, {"type": "error", "error": {"type": kind, "message": "M", **details}, "request_id": "req_1"}
    )
    assert error.error_type is error_type
    assert str(error) == f"M ({code or kind})"
    assert (error.request_id, error.status_code) == ("req_1", status if status >= 400 else None)


@pytest.mark.parametrize("data", ["<html>Bad gateway</html>", {}, {"error": "no"}, {"error": {"details": 1}}, [], None])
def test_an_error_of_another_shape_is_told_by_its_status(data):
    assert error_of(502, data).error_type is ErrorType.SERVER_ERROR
    assert error_of(429, data).error_type is ErrorType.HTTP_429


def test_an_error_in_a_stream_or_in_an_answer_is_raised():
    data = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    for act in (lambda: reply_of(data), lambda: read(data)):
        with pytest.raises(ProviderError, match="Overloaded") as caught:
            act()
        assert caught.value.error_type is ErrorType.OVERLOADED
