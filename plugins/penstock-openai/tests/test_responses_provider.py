"""Which API the provider calls, and whole calls over a real socket to a server that speaks Responses."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from penstock import ErrorType, GenerationRequest, Message, RetryPolicy, Service
from penstock.schema import GenerationChunk, LLMCallRequest, ReplyBuilder, ToolDefinition
from penstock_http import ENGINES, Event
from penstock_openai import OpenAIProvider
from penstock_openai.responses_request import RESPONSES_ONLY

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
MADE = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "It is warm."}],
}
WEATHER = ToolDefinition(name="weather")


def response(*output, **fields):
    made = {"id": "resp_1", "object": "response", "model": "gpt-5-2025-08-07", "status": "completed", "store": True}
    usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    return {**made, "output": list(output), "usage": usage, **fields}


def events_of(whole):
    """The events of a stream that adds up to a response."""
    yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    for index, item in enumerate(whole["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        for part in item.get("content", ()):
            for letter in part["text"]:
                yield {"type": "response.output_text.delta", "output_index": index, "delta": letter}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole}


class Handler(BaseHTTPRequestHandler):
    """Answers with a call of a tool, and with a text once the tool's result is there."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, body))
        has_result = any(item.get("type") == "function_call_output" for item in body["input"])
        whole = response(SAID) if has_result else response(THOUGHT, MADE)
        kind, answer = "application/json", json.dumps(whole).encode()
        if body.get("stream"):
            kind = "text/event-stream"
            events = list(events_of(whole))[: self.server.cut]
            answer = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.send_header("x-request-id", "req_1")
        self.send_header("x-ratelimit-limit-requests", "500")
        self.send_header("x-ratelimit-remaining-requests", "499")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    cut: int | None = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Any] = []


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(params=[name for name, engine in ENGINES.items() if engine.installed])
def provider(request, server):
    base_url = f"http://127.0.0.1:{server.server_port}/v1"
    return OpenAIProvider(api_key="k", base_url=base_url, api="responses", engine=request.param)


@pytest.fixture
def anyio_backend():
    return "asyncio"  # what each engine does on each backend is penstock-http's to test


# ---------------------------------------------------------------- which API


@pytest.mark.parametrize(
    ("settings", "model", "path"),
    [
        ({}, "gpt-4o", "chat/completions"),
        ({"api": "responses"}, "gpt-4o", "responses"),
        ({}, "gpt-5-pro", "responses"),
        ({}, "o3-pro-2025-06-10", "responses"),
        ({}, "gpt-5", "chat/completions"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "gpt-5-pro", "chat/completions"),
        ({"base_url": "http://127.0.0.1:9/v1", "api": "responses"}, "any", "responses"),
    ],
)
def test_the_setting_chooses_the_api_and_at_openai_the_model(settings, model, path):
    provider = OpenAIProvider(api_key="k", **settings)
    payload = provider.convert_request(LLMCallRequest(model=model, messages=(Message("user", "hi"),)))
    assert provider.http_request(payload, stream=False).url == f"{provider.base_url}/{path}"
    assert ("input" in payload) == (path == "responses")


def test_answers_of_a_model_that_has_no_other_api_are_read_as_what_they_are():
    provider = OpenAIProvider(api_key="k")
    assert provider.parse_reply(response(SAID)).content == "It is warm."
    read, builder = provider.event_reader(), ReplyBuilder()
    for event in events_of(response(SAID)):
        chunk = read(Event(json.dumps(event), event["type"]))
        if isinstance(chunk, GenerationChunk):
            builder.add(chunk)
    assert builder.build() == provider.parse_reply(response(SAID))


def test_the_table_names_models_by_their_beginnings_once():
    assert len(set(RESPONSES_ONLY)) == len(RESPONSES_ONLY)
    assert not any(one != other and one.startswith(other) for one in RESPONSES_ONLY for other in RESPONSES_ONLY)


def test_what_extra_calls_the_most_output_is_reserved():
    provider = OpenAIProvider(api_key="k", api="responses")
    call = LLMCallRequest(model="m", messages=(Message("user", "hi"),), extra={"max_output_tokens": 70})
    assert provider.estimate(call).output_tokens == 70


# ---------------------------------------------------------------- over a socket


@pytest.mark.anyio
async def test_a_tool_is_called_and_its_result_goes_back_with_what_led_to_the_call(provider, server):
    asked = Message("user", "How warm is it?")
    async with Service(providers=[provider], default_model="openai/gpt-5") as service:
        first = await service.generate_output_async(GenerationRequest(messages=[asked], tools=[WEATHER]))
        turns = [asked, Message("assistant", tool_calls=first.tool_calls), Message("tool", "21", tool_call_id="call_1")]
        second = await service.generate_output_async(GenerationRequest(messages=turns, tools=[WEATHER]))
    assert (first.content, first.finish_reason) == (None, "tool_calls")
    assert (second.content, second.finish_reason, second.usage.total_tokens) == ("It is warm.", "stop", 13)
    assert [path for path, _ in server.seen] == ["/v1/responses"] * 2
    assert server.seen[1][1]["input"][1:] == [
        THOUGHT,
        MADE,
        {"type": "function_call_output", "call_id": "call_1", "output": "21"},
    ]


@pytest.mark.anyio
async def test_a_stream_adds_up_to_the_answer_that_is_not_streamed(provider):
    result = Message("tool", "21", tool_call_id="call_1")
    for messages in ((Message("user", "How warm is it?"),), (Message("user", "?"), result)):
        call = LLMCallRequest(model="gpt-5", messages=messages)
        whole = await provider.invoke(provider.convert_request(call))
        builder = ReplyBuilder()
        async for chunk in provider.stream(provider.convert_request(call.replace(stream=True))):
            builder.add(chunk)
        assert builder.build() == whole
        assert whole.request_id == "req_1"
        assert whole.limits[0].limit == 500
    await provider.aclose()


@pytest.mark.anyio
async def test_a_stream_that_ends_before_its_last_event_is_a_lost_connection(provider, server):
    server.cut = -1
    request = GenerationRequest(model="openai/gpt-5", prompt="?", retry=RetryPolicy(max_retries=0))
    async with Service(providers=[provider]) as service, service.stream(request) as stream:
        async for _ in stream:
            pass
    assert stream.result.error_type is ErrorType.CONNECTION
