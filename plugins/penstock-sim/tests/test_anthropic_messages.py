"""Anthropic's Messages over HTTP, as a client sees it."""

import re
from datetime import datetime

import pytest

from penstock_sim import SimConfig, SimServer

PATH = "/v1/messages"
VERSION = {"anthropic-version": "2023-06-01"}
NOW = 1_800_000_000.0
ALLOWED = "Input should be one of the values that are allowed"


@pytest.fixture
def messages(apis):
    return apis["messages"]


def limits_of(answer):
    prefix = "anthropic-ratelimit-"
    return {name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)}


def test_an_answer_has_the_shape_of_a_message(serve, client, messages):
    body = messages.whole(client(serve())).json()
    assert re.fullmatch(r"msg_\w{24}", body["id"])
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "sim-1")
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    (block,) = body["content"]
    assert block["type"] == "text"
    usage = body["usage"]
    assert (usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]) == (0, 0)
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert usage["output_tokens"] > 1


def test_a_stream_has_the_events_in_their_order(serve, client, messages, events_of):
    one = client(serve())
    answer = messages.stream(one)
    events = events_of(answer)
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == kinds
    begun, ended = events[0]["message"], events[-2]
    assert (begun["content"], begun["stop_reason"], begun["usage"]["output_tokens"]) == ([], None, 1)
    assert ended["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert ended["usage"]["output_tokens"] == messages.whole(one).json()["usage"]["output_tokens"]


def test_a_text_that_is_cut_says_so(serve, client, messages):
    assert messages.whole(client(serve()), most=3).json()["stop_reason"] == "max_tokens"


def test_a_call_is_a_block_whose_input_comes_in_pieces(serve, client, messages, events_of):
    one = client(serve())
    body = messages.whole(one, question="get_weather, please", tools=True).json()
    (block,) = body["content"]
    assert (block["type"], body["stop_reason"]) == ("tool_use", "tool_use")
    assert re.fullmatch(r"toolu_\w{16}", block["id"])
    events = events_of(messages.stream(one, question="get_weather, please", tools=True))
    assert events[1]["content_block"] == {**block, "input": {}}
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert deltas[0] == {"type": "input_json_delta", "partial_json": ""}


def test_after_the_result_of_a_call_the_model_speaks(serve, client, messages):
    one = client(serve())
    body = messages.whole(one, question="Use get_weather.", tools=True).json()
    (call,) = body["content"]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "3 degrees"}]}
    turns = [
        {"role": "user", "content": "Use get_weather."},
        {"role": "assistant", "content": body["content"]},
        {"role": "user", "content": [result]},
    ]
    assert messages.whole(one, tools=True, messages=turns).json()["content"][0]["type"] == "text"


@pytest.mark.parametrize(
    ("choice", "called"),
    [({"type": "any"}, 1), ({"type": "tool", "name": "get_weather"}, 1), ({"type": "none"}, 0), ({"type": "auto"}, 0)],
)
def test_a_choice_of_tool_is_kept_to(serve, client, messages, choice, called):
    body = messages.whole(client(serve()), tools=True, tool_choice=choice).json()
    assert [block["type"] for block in body["content"]].count("tool_use") == called


@pytest.mark.parametrize(("disabled", "calls"), [(False, 2), (True, 1)])
def test_calls_come_together_unless_that_is_not_wanted(serve, client, messages, disabled, calls):
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("one_tool", "other_tool")]
    choice = {"type": "auto", "disable_parallel_tool_use": disabled}
    question = "one_tool and other_tool"
    answer = client(serve()).post(
        PATH, json=messages.ask(question, tool_choice=choice) | {"tools": tools}, headers=VERSION
    )
    assert len(answer.json()["content"]) == calls


def test_json_is_answered_where_a_schema_is_given(serve, client, messages):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    config = {"format": {"type": "json_schema", "schema": schema}}
    body = messages.whole(client(serve()), output_config=config).json()
    assert re.fullmatch(r'\{"a":-?\d+\}', messages.text(body))


# ---------------------------------------------------------------- limits


def test_limits_are_told_with_the_time_of_their_reset(client, messages):
    config = SimConfig(rpm=600, tpm=6000, input_tpm=4200, output_tpm=600)
    with SimServer.in_thread(config, clock=lambda: NOW) as server:
        limits = limits_of(messages.whole(client(server)))
    assert {name for name in limits if name.endswith("limit")} == {
        "requests-limit",
        "tokens-limit",
        "input-tokens-limit",
        "output-tokens-limit",
    }
    assert (limits["requests-limit"], limits["requests-remaining"]) == ("600", "599")
    assert (limits["input-tokens-limit"], limits["input-tokens-remaining"]) == ("4200", "4193")
    # 0.1 s after the second NOW: rounded up, so that whoever waits has waited long enough
    assert limits["requests-reset"] == "2027-01-15T08:00:01Z"
    assert datetime.fromisoformat(limits["requests-reset"]).timestamp() == NOW + 1


def test_output_counts_when_it_is_generated_and_max_tokens_does_not(serve, client, messages):
    one = client(serve(output_tpm=100, limiter="sliding", natural_tokens=(60, 60)))
    answers = [messages.whole(one, most=100_000) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    remaining = [limits_of(answer)["output-tokens-remaining"] for answer in answers]
    assert (remaining[0], remaining[-1]) == ("100", "0")
    assert "output tokens" in answers[-1].json()["error"]["message"]
    assert one.get("/sim/stats").json()["refused"]["output_tokens"] == 1


def test_a_refusal_tells_whole_seconds_and_to_try_again(serve, client, messages):
    one = client(serve(rpm=1, limiter="sliding"))
    messages.whole(one)
    refused = messages.whole(one)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 55 <= int(refused.headers["retry-after"]) <= 60
    assert "retry-after-ms" not in refused.headers
    assert refused.headers["x-should-retry"] == "true"


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429", (429, "rate_limit_error", "true")),
        ("quota", (402, "billing_error", "false")),
        ("401", (401, "authentication_error", "false")),
        ("403", (403, "permission_error", "false")),
        ("404", (404, "not_found_error", "false")),
        ("context", (400, "invalid_request_error", "false")),
        ("500", (500, "api_error", "true")),
        ("503", (529, "overloaded_error", "true")),
    ],
)
def test_an_error_has_its_status_and_type_and_the_request_id(serve, client, messages, fault, expected):
    answer = messages.whole(client(serve(script=fault)))
    body = answer.json()
    assert (answer.status_code, body["error"]["type"], answer.headers["x-should-retry"]) == expected
    assert body["type"] == "error"
    assert body["request_id"] == answer.headers["request-id"]
    assert re.fullmatch(r"req_\w{24}", body["request_id"])


def test_an_error_in_mid_stream_is_an_event(serve, client, messages, events_of):
    *_, last = events_of(messages.stream(client(serve(script="error-event"))))
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")


def test_a_bearer_token_is_a_key_too(serve, client, messages):
    one = client(serve(api_key="key-right-0123456789"))
    assert messages.whole(one, headers={"Authorization": "Bearer key-right-0123456789"}).status_code == 200
    assert messages.whole(one).json()["error"]["message"] == "x-api-key header is required"
    wrong = messages.whole(one, headers={"x-api-key": "no"})
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (401, "invalid x-api-key")


@pytest.mark.parametrize("version", [None, "", "latest", "2023"])
def test_the_version_of_the_api_must_be_named(serve, client, messages, version):
    headers = {} if version is None else {"anthropic-version": version}
    answer = client(serve()).post(PATH, json=messages.ask(), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("anthropic-version: ")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": None}, "model: Field required"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": ["x"]}, "messages.0: Input should be a valid object"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content.0: Input should be a valid object"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages.0.content.0.type: Field required"),
        ({"messages": [{"role": "boss", "content": "x"}]}, f"messages.0.role: {ALLOWED}"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"tool_choice": {"type": "tool", "name": "f"}}, "Tool 'f' not found in provided tools"),
        ({"output_config": {"format": {"type": "xml"}}}, f"output_config.format.type: {ALLOWED}"),
    ],
)
def test_a_bad_field_is_a_400_that_says_which(serve, client, messages, more, message):
    answer = client(serve()).post(PATH, json={**messages.ask(), **more}, headers=VERSION)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"] == message


def test_a_body_that_is_no_json_is_a_400(serve, client):
    answer = client(serve()).post(PATH, content=b"{", headers=VERSION)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
