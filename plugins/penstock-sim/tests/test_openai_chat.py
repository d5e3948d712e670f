"""OpenAI's Chat Completions over HTTP, as a client sees it."""

import json
import re
from typing import Any

import httpx
import pytest

CHAT = "/v1/chat/completions"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chunks_of(answer):
    *events, done = [event.removeprefix("data: ") for event in answer.text.split("\n\n") if event]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def test_an_answer_has_the_shape_of_a_chat_completion(serve, client, chat):
    answer = client(serve()).post(CHAT, json=chat())
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert body["object"] == "chat.completion"
    assert re.fullmatch(r"chatcmpl-\w{29}", body["id"])
    assert body["model"] == "gpt-4o-mini"
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_headers_carry_an_id_and_a_time_and_no_limits_where_there_are_none(serve, client, chat):
    answer = client(serve(latency_s=0.02)).post(CHAT, json=chat())
    assert re.fullmatch(r"req_\w{32}", answer.headers["x-request-id"])
    assert answer.headers["openai-processing-ms"] == "20"
    assert "date" in answer.headers
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_the_same_request_gets_the_same_text_from_another_server(serve, client, chat):
    def text(body, seed=0):
        return client(serve(seed=seed)).post(CHAT, json=body).json()["choices"][0]["message"]["content"]

    assert text(chat()) == text(chat()) == text(chat(temperature=0.5))
    different = [text(chat("Another?")), text(chat(seed=5)), text(chat(model="gpt-4o")), text(chat(), seed=1)]
    assert len({*different, text(chat())}) == 5


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_length_is_kept_to(serve, client, chat, name):
    body = client(serve()).post(CHAT, json=chat(**{name: 7})).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 7
    assert len(body["choices"][0]["message"]["content"]) == 28


def test_a_stream_says_the_same_as_a_body(serve, client, chat):
    one = client(serve())
    whole = one.post(CHAT, json=chat()).json()
    answer = one.post(CHAT, json=chat(stream=True, stream_options={"include_usage": True}))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, last = chunks_of(answer)
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert said == whole["choices"][0]["message"]["content"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert (last["choices"], last["usage"]) == ([], whole["usage"])


def test_a_stream_tells_no_usage_unless_asked(serve, client, chat):
    assert all("usage" not in chunk for chunk in chunks_of(client(serve()).post(CHAT, json=chat(stream=True))))


def test_a_stream_may_take_its_time_between_events(serve, client, chat):
    answer = client(serve(chunk_gap_s=0.001)).post(CHAT, json=chat(stream=True, max_tokens=20))
    assert len(chunks_of(answer)) > 5


def test_a_tool_that_the_user_names_is_called_streamed_and_not(serve, client, chat):
    one = client(serve())
    body = one.post(CHAT, json=chat("Use get_weather.", tools=[TOOL])).json()
    (choice,) = body["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert set(json.loads(call["function"]["arguments"])) == {"city"}

    chunks = chunks_of(one.post(CHAT, json=chat("Use get_weather.", tools=[TOOL], stream=True)))
    deltas = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert (deltas[0]["id"], deltas[0]["function"]["name"]) == (call["id"], "get_weather")
    assert "".join(piece["function"]["arguments"] for piece in deltas) == call["function"]["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_after_the_result_of_a_tool_the_model_speaks(serve, client, chat):
    body = chat("Use get_weather.", tools=[TOOL])
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    body["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3 degrees"},
    ]
    assert client(serve()).post(CHAT, json=body).json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("response_format", "keys"),
    [
        ({"type": "json_object"}, {"answer"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL["function"]["parameters"]}},
            {"city"},
        ),
    ],
)
def test_json_is_answered_where_json_is_wanted(serve, client, chat, response_format, keys):
    body = client(serve()).post(CHAT, json=chat(response_format=response_format)).json()
    assert set(json.loads(body["choices"][0]["message"]["content"])) == keys


def test_several_choices_are_given(serve, client, chat):
    body = client(serve()).post(CHAT, json=chat(n=3)).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]


def test_parts_of_a_message_are_read_as_text(serve, client, chat):
    body = chat()
    body["messages"][0]["content"] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert client(serve()).post(CHAT, json=body).status_code == 200


# ---------------------------------------------------------------- limits


def test_limits_are_told_in_headers_and_kept(serve, client, chat):
    one = client(serve(rpm=2, tpm=10_000, limiter="sliding"))
    first = one.post(CHAT, json=chat(max_tokens=100))
    charged = first.json()["usage"]["prompt_tokens"] + 100
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-limit-tokens"] == "10000"
    assert first.headers["x-ratelimit-remaining-tokens"] == str(10_000 - charged)
    assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
    one.post(CHAT, json=chat())
    refused = one.post(CHAT, json=chat())
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "requests"
    assert "Limit 2, Used 2, Requested 1" in refused.json()["error"]["message"]
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert 55 <= int(refused.headers["retry-after"]) <= 60
    assert 55_000 < int(refused.headers["retry-after-ms"]) <= 60_000
    assert one.get("/sim/stats").json()["refused"] == {"requests": 1, "tokens": 0}


def test_tokens_are_charged_in_advance_for_each_choice(serve, client, chat):
    one = client(serve(tpm=1000))
    assert one.post(CHAT, json=chat(max_tokens=400, n=2)).status_code == 200
    refused = one.post(CHAT, json=chat(max_tokens=400))
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "tokens")
    one.post("/sim/reset")
    assert one.post(CHAT, json=chat(max_tokens=400)).status_code == 200


def test_a_body_that_cannot_be_read_costs_nothing(serve, client):
    one = client(serve(rpm=1))
    statuses = [one.post(CHAT, content=b"{").status_code for _ in range(3)]
    assert statuses == [400, 400, 400]


@pytest.mark.anyio
async def test_clients_on_trio_and_asyncio_are_served_from_a_thread(serve, chat, anyio_backend_name):
    server = serve()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as one:
        answer = await one.post(CHAT, json=chat(anyio_backend_name))
    assert answer.json()["choices"][0]["message"]["content"]
