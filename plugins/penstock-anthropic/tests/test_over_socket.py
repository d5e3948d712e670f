"""The provider over a real socket with every engine: path, headers, an answer, a stream, refusals, a cut."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, RetryPolicy, Service
from penstock.errors import ProviderError
from penstock.schema import ReplyBuilder
from penstock_anthropic import AnthropicProvider
from penstock_http import ENGINES

RUNS = [(engine.name, backend) for engine in ENGINES.values() for backend in sorted(engine.backends)]

pytestmark = [
    pytest.mark.anyio,
    # httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning"),
]

WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Wäter."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 4, "output_tokens": 2},
}
EVENTS = [
    {"type": "message_start", "message": {**WHOLE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Wä"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ter."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": "later"}, "request_id": "req_2"}


class Server(ThreadingHTTPServer):
    """Keeps what came: the path, the headers that the API asks for, and the body."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Anthropic)
        self.seen: list[tuple[str, str, str, dict[str, Any]]] = []


class Anthropic(BaseHTTPRequestHandler):
    """Answers as the API does; the model of a request says what happens."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, self.headers["x-api-key"], self.headers["anthropic-version"], body))
        match body["model"]:
            case "limited":
                self.answer(429, json.dumps(LIMITED), {"retry-after": "3"})
            case "busy":
                self.stream([*EVENTS[:4], OVERLOADED])
            case "cut":
                self.stream(EVENTS[:4])
            case _ if body.get("stream"):
                self.stream(EVENTS)
            case _:
                self.answer(200, json.dumps(WHOLE), {"request-id": "req_1"})

    def answer(self, status, text, headers):
        data = text.encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events):
        """Send the events in chunks that end within characters."""
        data = "".join(f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", "req_1")
        self.end_headers()
        raw = data.encode()
        for start in range(0, len(raw), 101):
            piece = raw[start : start + 101]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(params=RUNS, ids="-".join)
def run(request):
    if not ENGINES[request.param[0]].installed:
        pytest.skip(f"{request.param[0]} is not installed")
    return request.param


@pytest.fixture
def anyio_backend(run):
    return run[1]


@pytest.fixture
def server():
    server = Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def provider(run, server):
    return AnthropicProvider(api_key="test-key", base_url=f"http://127.0.0.1:{server.server_address[1]}", engine=run[0])


def call(model="claude-sonnet-4-5", *, stream=False):
    return LLMCallRequest(model=model, messages=(Message("user", "What does it carry?"),), max_tokens=9, stream=stream)


async def streamed(provider, request):
    builder = ReplyBuilder()
    async for chunk in provider.stream(provider.convert_request(request)):
        builder.add(chunk)
    return builder.build()


async def test_a_stream_adds_up_to_the_whole_answer(provider, server):
    whole = await provider.invoke(provider.convert_request(call()))
    added_up = await streamed(provider, call(stream=True))
    await provider.aclose()
    assert (whole.content, whole.request_id) == ("Wäter.", "req_1")
    assert added_up == whole
    sent = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "What does it carry?"}],
    }
    assert server.seen == [
        ("/v1/messages", "test-key", "2023-06-01", sent),
        ("/v1/messages", "test-key", "2023-06-01", sent | {"stream": True}),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refusal_has_its_type_its_hint_and_its_id(provider, stream):
    request = call("limited", stream=stream)
    with pytest.raises(ProviderError) as caught:
        await (streamed(provider, request) if stream else provider.invoke(provider.convert_request(request)))
    await provider.aclose()
    assert (caught.value.error_type, caught.value.retry_after_s) == (ErrorType.HTTP_429, 3.0)
    assert (caught.value.status_code, caught.value.request_id) == (429, "req_2")
    assert "test-key" not in str(caught.value)


@pytest.mark.parametrize(("model", "error_type"), [("busy", ErrorType.OVERLOADED), ("cut", ErrorType.CONNECTION)])
async def test_a_stream_that_breaks_off_keeps_what_came(provider, model, error_type):
    request = GenerationRequest(model=f"anthropic/{model}", prompt="?", retry=RetryPolicy(max_retries=0))
    async with Service(providers=[provider]) as service, service.stream(request) as stream:
        assert "".join([chunk.text async for chunk in stream]) == "Wä"
    assert stream.result.error_type is error_type
    assert stream.result.usage.input_tokens == 4
