"""An answer of the Responses API, whole and in events; what the recordings lack is written by hand here."""

import json

import pytest

from penstock import ErrorType
from penstock.errors import ProviderError
from penstock.schema import ReplyBuilder, Usage
from penstock_http import END, Event
from penstock_openai.responses_reply import ResponseReader, reply_of_response

RESPONSE = {"id": "resp_1", "object": "response", "model": "m-1", "status": "completed", "error": None, "output": []}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"a":1}'}


def answer(*output, **fields):
    return reply_of_response({**RESPONSE, "output": list(output), **fields})


def message(*parts, **fields):
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts), **fields}


def text(value):
    return {"type": "output_text", "text": value}


def read(*events):
    reader, builder = ResponseReader(), ReplyBuilder()
    for event in events:
        chunk = reader.read(Event(json.dumps(event)))
        if chunk is not None:
            assert chunk is not END
            builder.add(chunk)
    return builder.build()


def delta(kind, value, index=0, **fields):
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": value, **fields}


def item(moment, value, index=0):
    return {"type": f"response.output_item.{moment}", "output_index": index, "item": value}


def last(kind="completed", **fields):
    return {"type": f"response.{kind}", "response": {**RESPONSE, "status": kind, **fields}}


def test_the_texts_of_all_messages_are_the_content():
    reply = answer(message(text("I look."), phase="commentary"), message(text("It "), text("is.")))
    assert (reply.content, reply.finish_reason) == ("I look.It is.", "stop")
    assert (reply.response_model, reply.response_id) == ("m-1", "resp_1")


def test_a_refusal_is_no_content():
    reply = answer(message({"type": "refusal", "refusal": "No."}))
    assert (reply.content, reply.refusal, reply.finish_reason) == (None, "No.", "stop")


def test_an_answer_that_says_nothing_is_the_empty_text():
    assert answer().content == ""
    assert read(last()).content == ""


def test_usage_counts_the_cache_within_the_input():
    details = {"cached_tokens": 60, "cache_write_tokens": 30}
    usage = {"input_tokens": 100, "input_tokens_details": details, "output_tokens": 9, "total_tokens": 109}
    assert answer(usage=usage).usage == Usage(
        input_tokens=100, output_tokens=9, cache_read_input_tokens=60, cache_creation_input_tokens=30
    )
    assert answer(usage=None).usage is None


@pytest.mark.parametrize(
    ("status", "reason", "finish_reason"),
    [
        ("completed", None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "new_reason", "new_reason"),
        ("incomplete", None, "incomplete"),
    ],
)
def test_the_finish_reason_is_read_from_status_and_details(status, reason, finish_reason):
    details = reason and {"reason": reason}
    assert answer(status=status, incomplete_details=details).finish_reason == finish_reason
    assert read(last(status, incomplete_details=details)).finish_reason == finish_reason


def test_an_answer_in_the_background_has_the_apis_own_word():
    assert answer(status="queued").finish_reason == "queued"
    assert read({"type": "response.created", "response": {**RESPONSE, "status": "queued"}}).finish_reason is None


def test_parts_of_reasoning_stand_apart_whole_and_in_events():
    parts = {"summary": [text("One"), text("Two")], "content": [text("Three")]}
    reply = answer({**THOUGHT, **parts})
    added_up = read(
        delta("reasoning_summary_text", "O", summary_index=0),
        delta("reasoning_summary_text", "ne", summary_index=0),
        delta("reasoning_summary_text", "Two", summary_index=1),
        delta("reasoning_text", "Three", content_index=0),
    )
    assert reply.reasoning == added_up.reasoning == "One\n\nTwo\n\nThree"


def test_calls_carry_what_led_to_them_whole_and_in_events():
    said = message(text("Hm."), phase="commentary")
    second = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": "{}", "namespace": "n"}
    whole = answer(THOUGHT, said, CALL, second)
    added_up = read(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
        item("done", THOUGHT),
        delta("output_text", "Hm.", 1),
        item("done", said, 1),
        item("added", {**CALL, "arguments": ""}, 2),
        delta("function_call_arguments", '{"a"', 2),
        delta("function_call_arguments", ":1}", 2),
        item("done", CALL, 2),
        item("added", {**second, "arguments": ""}, 3),
        item("done", second, 3),  # no piece of its arguments came
        last(output=[THOUGHT, said, CALL, second]),
    )
    assert added_up == whole
    assert whole.finish_reason == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in whole.tool_calls] == [
        ("call_1", "weather", '{"a":1}'),
        ("call_2", "weather", "{}"),
    ]
    head = {"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary"}
    assert [json.loads(call.signature)["items"] for call in whole.tool_calls] == [
        [THOUGHT, head, {"type": "function_call", "id": "fc_1"}],
        [{"type": "function_call", "id": "fc_2", "namespace": "n"}],
    ]


def test_the_events_of_llama_cpp_which_count_no_items_are_put_together():
    calls = [{"type": "function_call", "call_id": f"fc_{n}", "name": "weather", "arguments": f"[{n}]"} for n in (1, 2)]
    pieces = [
        event
        for call in calls
        for event in (
            {"type": "response.output_item.added", "item": {**call, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", "item_id": call["call_id"], "delta": call["arguments"]},
        )
    ]
    dones = [{"type": "response.output_item.done", "item": call} for call in calls]
    created = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
    assert read(created, *pieces, *dones, last()) == answer(*calls)


@pytest.mark.parametrize(("stored", "kept"), [(True, 2), (False, 1)])
def test_reasoning_that_the_api_will_not_know_again_does_not_go_back(stored, kept):
    thought = {**THOUGHT, "encrypted_content": None}
    whole = answer(thought, CALL, store=stored)
    created = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "store": stored}}
    added_up = read(created, item("done", thought), item("added", CALL, 1), item("done", CALL, 1), last(store=stored))
    assert whole.tool_calls == added_up.tool_calls
    assert len(json.loads(whole.tool_calls[0].signature)["items"]) == kept


def test_the_input_of_a_custom_tool_stands_for_its_arguments():
    made = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "shell", "input": "ls"}
    added_up = read(
        item("added", {**made, "input": ""}), delta("custom_tool_call_input", "ls"), item("done", made), last()
    )
    assert answer(made).tool_calls == added_up.tool_calls
    assert added_up.tool_calls[0].arguments == "ls"


def test_a_refusal_comes_in_pieces_too():
    assert read(delta("refusal", "N"), delta("refusal", "o."), last()).refusal == "No."


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("server_error", ErrorType.SERVER_ERROR),
        ("vector_store_timeout", ErrorType.SERVER_ERROR),
        ("rate_limit_exceeded", ErrorType.HTTP_429),
        ("invalid_prompt", ErrorType.CONTENT_FILTER),
        ("bio_policy", ErrorType.CONTENT_FILTER),
        ("image_content_policy_violation", ErrorType.CONTENT_FILTER),
        ("image_too_large", ErrorType.INVALID_REQUEST),
        ("failed_to_download_image", ErrorType.INVALID_REQUEST),
        ("context_length_exceeded", ErrorType.CONTEXT_LENGTH),
        ("insufficient_quota", ErrorType.INSUFFICIENT_QUOTA),
    ],
)
def test_a_failed_response_is_an_error_by_its_code_wherever_it_stands(code, error_type):
    error = {"code": code, "message": "It went wrong."}
    for failing in (
        lambda: answer(status="failed", error=error),
        lambda: read(last("failed", error=error)),
        lambda: read({"type": "error", "param": None, **error}),
        lambda: read({"type": "error", "error": error}),
    ):
        with pytest.raises(ProviderError, match=r"It went wrong\.") as caught:
            failing()
        assert caught.value.error_type is error_type


def test_a_failure_without_a_reason_is_the_servers():
    with pytest.raises(ProviderError) as caught:
        answer(status="failed")
    assert caught.value.error_type is ErrorType.SERVER_ERROR


def test_events_that_are_not_the_answer_are_passed_over():
    reader = ResponseReader()
    for kind in ("response.in_progress", "response.web_search_call.searching", "response.of_tomorrow"):
        assert reader.read(Event(json.dumps({"type": kind}))) is None
    assert reader.read(Event(json.dumps(item("added", THOUGHT)))) is None
    assert reader.read(Event("[DONE]")) is END


@pytest.mark.parametrize("streamed", [False, True])
def test_a_failed_response_says_what_it_used(streamed):
    said = {"error": {"code": "server_error", "message": "gone"}, "usage": {"input_tokens": 9, "output_tokens": 4}}
    with pytest.raises(ProviderError) as caught:
        read(last("failed", **said)) if streamed else answer(status="failed", **said)
    assert caught.value.usage == Usage(input_tokens=9, output_tokens=4)


@pytest.mark.parametrize(
    ("told", "searches"),
    [
        ({}, 2),
        ({"tool_usage": {"web_search": {"num_requests": 5}}}, 5),
        ({"tool_usage": {"web_search": {"num_requests": 0}}}, 0),
        ({"tool_usage": {"image_gen": {"total_tokens": 0}}}, 2),
    ],
)
def test_searches_of_the_web_are_counted_and_pages_that_were_opened_are_not(told, searches):
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    output = (search, {**search, "action": {"type": "search"}}, {**search, "action": {"type": "open_page"}})
    used = {"input_tokens": 9, "output_tokens": 4}
    expected = Usage(input_tokens=9, output_tokens=4, web_search_requests=searches)
    assert answer(*output, usage=used, **told).usage == expected
    assert read(last("completed", output=list(output), usage=used, **told)).usage == expected
