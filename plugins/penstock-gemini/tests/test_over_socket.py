"""The provider over a real socket with every engine: the URL, the header of the key, an answer, a stream, a refusal."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import ReplyBuilder
from penstock_gemini import GeminiProvider
from penstock_http import ENGINES

RUNS = [(engine.name, backend) for engine in ENGINES.values() for backend in sorted(engine.backends)]

pytestmark = [
    pytest.mark.anyio,
    # httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning"),
]

USAGE = {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}
WHOLE = {
    "candidates": [{"content": {"parts": [{"text": "water"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": USAGE,
}
PIECES = [
    {"candidates": [{"content": {"parts": [{"text": "wa"}]}}], "usageMetadata": {"promptTokenCount": 4}},
    {"candidates": [{"content": {"parts": [{"text": "ter"}]}, "finishReason": "STOP"}], "usageMetadata": USAGE},
]
REFUSED = {
    "error": {
        "code": 429,
        "message": "later",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}],
    }
}


class Server(ThreadingHTTPServer):
    """Keeps the targets and the keys that came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Google)
        self.seen: list[tuple[str, str]] = []


class Google(BaseHTTPRequestHandler):
    """Answers as the API does."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["content-length"])
        self.rfile.read(length)
        self.server.seen.append((self.path, self.headers["x-goog-api-key"]))
        if "refuse" in self.path:
            self.answer(429, "application/json", json.dumps(REFUSED))
        elif self.path.endswith("?alt=sse"):
            self.answer(200, "text/event-stream", "".join(f"data: {json.dumps(piece)}\r\n\r\n" for piece in PIECES))
        else:
            self.answer(200, "application/json; charset=UTF-8", json.dumps(WHOLE))

    def answer(self, status, kind, text):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

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
def google():
    server = Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def provider(run, google):
    base_url = f"http://127.0.0.1:{google.server_address[1]}/v1beta"
    return GeminiProvider(api_key="test-key", base_url=base_url, engine=run[0])


def call(model="gemini-2.5-flash"):
    return LLMCallRequest(model=model, messages=(Message("user", "What does a penstock carry?"),))


async def streamed(provider, request):
    builder = ReplyBuilder()
    async for chunk in provider.stream(provider.convert_request(request)):
        builder.add(chunk)
    return builder.build()


async def test_a_stream_adds_up_to_the_whole_answer(provider, google):
    whole = await provider.invoke(provider.convert_request(call()))
    added_up = await streamed(provider, call())
    await provider.aclose()
    assert whole.content == "water"
    assert added_up == whole
    assert google.seen == [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "test-key"),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "test-key"),
    ]


async def test_a_name_that_needs_quoting_arrives_as_it_was_quoted(provider, google):
    await provider.invoke(provider.convert_request(call("odd name?key=1")))
    await provider.aclose()
    assert google.seen == [("/v1beta/models/odd%20name%3Fkey%3D1:generateContent", "test-key")]


@pytest.mark.parametrize("ask", [lambda provider, payload: provider.invoke(payload), None], ids=["whole", "stream"])
async def test_a_refusal_has_its_type_and_its_hint(provider, ask):
    with pytest.raises(ProviderError) as caught:
        await (ask(provider, provider.convert_request(call("refuse"))) if ask else streamed(provider, call("refuse")))
    await provider.aclose()
    assert (caught.value.error_type, caught.value.retry_after_s) == (ErrorType.HTTP_429, 2.0)
    assert "test-key" not in str(caught.value)
