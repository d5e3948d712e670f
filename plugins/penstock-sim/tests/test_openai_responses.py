"""OpenAI's Responses over HTTP, as a client sees it."""

import re

import pytest

PATH = "/v1/responses"


@pytest.fixture
def responses(apis):
    return apis["responses"]


def kinds_of(events):
    return [event["type"] for event in events]


def test_an_answer_has_the_shape_of_a_response_and_repeats_the_request(serve, client, responses):
    asked = {"instructions": "Be brief.", "metadata": {"run": "7"}, "temperature": 0.2}
    body = responses.whole(client(serve()), **asked).json()
    assert re.fullmatch(r"resp_\w{32}", body["id"])
    assert (body["object"], body["status"], body["error"]) == ("response", "completed", None)
    assert {name: body[name] for name in asked} == asked
    assert (body["tool_choice"], body["tools"], body["parallel_tool_calls"]) == ("auto", [], True)
    assert body["text"]["format"] == {"type": "text"}
    (item,) = body["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_a_stream_has_typed_events_that_are_numbered(serve, client, responses, events_of):
    answer = responses.stream(client(serve()))
    events = events_of(answer)
    kinds = kinds_of(events)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == kinds
    assert events[0]["response"]["output"] == []
    assert events[-1]["response"]["output"] == [events[-2]["item"]]
    assert len({event["response"]["id"] for event in (events[0], events[-1])}) == 1


def test_what_is_cut_short_is_incomplete(serve, client, responses, events_of):
    one = client(serve(natural_tokens=(50, 50)))
    body = responses.whole(one, most=16).json()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert kinds_of(events_of(responses.stream(one, most=16)))[-1] == "response.incomplete"


def test_the_arguments_of_a_call_come_in_pieces(serve, client, responses, events_of):
    events = events_of(responses.stream(client(serve()), question="get_weather, please", tools=True))
    kinds = kinds_of(events)
    assert kinds[2] == "response.output_item.added"
    assert kinds[-3:] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    item = events[-2]["item"]
    assert item["arguments"] == events[-3]["arguments"]
    assert item["call_id"].startswith("call_")
    assert item["id"] == events[3]["item_id"]


def test_after_the_result_of_a_call_the_model_speaks(serve, client, responses):
    one = client(serve())
    (call,) = responses.whole(one, question="Use get_weather.", tools=True).json()["output"]
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Use get_weather."}]},
        {key: call[key] for key in ("type", "call_id", "name", "arguments")},
        {"type": "function_call_output", "call_id": call["call_id"], "output": "3 degrees"},
    ]
    assert responses.text(responses.whole(one, tools=True, input=items).json())


@pytest.mark.parametrize(
    ("choice", "called"),
    [("required", True), ({"type": "function", "name": "get_weather"}, True), ("none", False), ("auto", False)],
)
def test_a_choice_of_tool_is_kept_to(serve, client, responses, choice, called):
    body = responses.whole(client(serve()), tools=True, tool_choice=choice).json()
    assert (body["output"][0]["type"] == "function_call") is called
    assert body["tool_choice"] == choice


def test_json_is_answered_where_a_schema_is_given(serve, client, responses):
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    body = responses.whole(client(serve()), text={"format": form}).json()
    assert re.fullmatch(r'\{"a":-?\d+\}', responses.text(body))
    assert body["text"]["format"] == form


def test_limits_are_told_as_durations(serve, client, responses):
    answer = responses.whole(client(serve(rpm=600, tpm=6000)), most=93)
    assert answer.headers["x-ratelimit-limit-requests"] == "600"
    assert answer.headers["x-ratelimit-reset-requests"] == "100ms"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "5900"  # the prompt's 7 and 93
    assert answer.headers["x-ratelimit-reset-tokens"] == "1s"


def test_an_error_in_mid_stream_is_an_event_with_the_next_number(serve, client, responses, events_of):
    *good, last = events_of(responses.stream(client(serve(script="error-event"))))
    assert (last["type"], last["code"], last["sequence_number"]) == ("error", "server_error", len(good))


def test_an_unknown_model_is_a_400(serve, client, responses):
    answer = responses.whole(client(serve(models=("other",))))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_not_found")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"input": None}, ("input", "missing_required_parameter")),
        ({"input": 5}, ("input", "invalid_type")),
        ({"input": []}, ("input", "empty_array")),
        ({"input": ["x"]}, ("input[0]", "invalid_type")),
        ({"input": [{"content": "x"}]}, ("input[0].role", "missing_required_parameter")),
        ({"input": [{"role": "tool", "content": "x"}]}, ("input[0].role", "invalid_value")),
        ({"input": [{"role": "user"}]}, ("input[0].content", "missing_required_parameter")),
        ({"input": [{"role": "user", "content": [{}]}]}, ("input[0].content[0].type", "missing_required_parameter")),
        ({"input": [{"type": 5}]}, ("input[0].type", "invalid_value")),
        ({"input": [{"type": "function_call"}]}, ("input[0].call_id", "missing_required_parameter")),
        ({"max_output_tokens": 15}, ("max_output_tokens", "integer_below_min_value")),
        ({"tools": [{"type": "function"}]}, ("tools[0].name", "missing_required_parameter")),
        ({"tool_choice": "maybe"}, ("tool_choice", "invalid_value")),
        ({"tool_choice": {}}, ("tool_choice.type", "missing_required_parameter")),
        ({"text": {"format": {"type": "xml"}}}, ("text.format.type", "invalid_value")),
        ({"text": {"format": {"type": "json_schema"}}}, ("text.format.name", "missing_required_parameter")),
        ({"metadata": []}, ("metadata", "invalid_type")),
    ],
)
def test_a_bad_field_is_a_400_that_says_which(serve, client, more, expected):
    answer = client(serve()).post(PATH, json={"model": "m", "input": "x", **more})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == expected
