"""What the tests of the simulated server share: servers in threads, and clients that see raw bytes."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from attrs import field, frozen

from penstock_sim import SimConfig, SimServer

CHAT = "/v1/chat/completions"


class RawClient:
    """A socket that speaks bytes and tells how the server left it."""

    def __init__(self, server: SimServer) -> None:
        address = urlsplit(server.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=5)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: dict[str, Any], path: str = CHAT, headers: str = "") -> None:
        text = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {len(text)}\r\n\r\n"
        self.send((head + text).encode())

    def read_all(self) -> bytes:
        """Everything until the server closes. Raises ConnectionResetError if it resets instead."""
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        return data

    def read_until_silent(self, seconds: float = 0.1) -> bytes:
        """Everything until nothing has come for a while on the open connection."""
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                return data
            assert piece, "the server closed the connection"
            data += piece
            self.socket.settimeout(seconds)


@pytest.fixture
def serve() -> Iterator[Callable[..., SimServer]]:
    """Start a server in a thread with these settings; it stops at the end of the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(SimServer.in_thread(SimConfig(**settings)))


@pytest.fixture
def client() -> Iterator[Callable[[SimServer], httpx.Client]]:
    """An HTTP client for a server."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=5))


@pytest.fixture
def raw() -> Iterator[Callable[[SimServer], RawClient]]:
    """A bare connection to a server."""
    opened: list[RawClient] = []

    def connect(server: SimServer) -> RawClient:
        opened.append(RawClient(server))
        return opened[-1]

    yield connect
    for one in opened:
        one.socket.close()


@pytest.fixture
def chat() -> Callable[..., dict[str, Any]]:
    """The body of a request that asks this."""

    def body(question: str = "How deep is the lake?", **more: Any) -> dict[str, Any]:
        return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}], **more}

    return body


# ---------------------------------------------------------------- one question, in the words of each API

TOOL = "get_weather"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


@frozen
class Api:
    """How to ask one of the APIs, and how to read what it answers.

    `ask` writes a body, `text` and `calls` read a whole answer, `said` and `asked` the
    events of a stream: the text, and the calls as pairs of a name and its arguments.
    """

    name: str
    path: str
    ask: Callable[..., dict[str, Any]]
    text: Callable[[Any], str]
    calls: Callable[[Any], list[tuple[str, Any]]]
    said: Callable[[list[Any]], str]
    asked: Callable[[list[Any]], list[tuple[str, Any]]]
    tokens: Callable[[Any], tuple[int, int]]
    key: Callable[[str], dict[str, str]]
    stream_path: str = ""
    headers: dict[str, str] = field(factory=dict)
    refused: int = 401

    def whole(self, client: httpx.Client, *, headers: dict[str, str] | None = None, **asked: Any) -> httpx.Response:
        """The answer in one body."""
        return client.post(self.path, json=self.ask(**asked), headers={**self.headers, **(headers or {})})

    def stream(self, client: httpx.Client, **asked: Any) -> httpx.Response:
        """The answer as events, all of them read."""
        return client.post(self.stream_path or self.path, json=self.ask(stream=True, **asked), headers=self.headers)

    def raw(self, one: RawClient, *, stream: bool) -> None:
        """The same over bare bytes, of which the answer is still to be read."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        path = self.stream_path if stream and self.stream_path else self.path
        one.post(self.ask(stream=stream), path, lines)


def events_in(text: str) -> list[Any]:
    """The data of a stream's events, without the mark at the end of some."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _ask_chat(question="How deep is the lake?", *, stream=False, tools=False, most=None, **more):
    body = {"model": "sim-1", "messages": [{"role": "user", "content": question}], **more}
    if stream:
        body["stream"] = True
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
    return body if most is None else {**body, "max_tokens": most}


def _chat_asked(events):
    deltas = [piece for event in events for piece in event["choices"][0]["delta"].get("tool_calls", ())]
    return _joined(
        [(piece["index"], piece["function"].get("name"), piece["function"]["arguments"]) for piece in deltas]
    )


def _joined(deltas):
    calls: dict[int, list[str]] = {}
    for index, name, arguments in deltas:
        one = calls.setdefault(index, ["", ""])
        one[0] += name or ""
        one[1] += arguments or ""
    return [(name, json.loads(arguments)) for name, arguments in calls.values()]


def _bearer(key):
    return {"Authorization": f"Bearer {key}"}


CHAT_API = Api(
    name="chat",
    path=CHAT,
    ask=_ask_chat,
    text=lambda body: body["choices"][0]["message"]["content"],
    calls=lambda body: [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in body["choices"][0]["message"]["tool_calls"]
    ],
    said=lambda events: "".join([event["choices"][0]["delta"].get("content") or "" for event in events]),
    asked=_chat_asked,
    tokens=lambda body: (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]),
    key=_bearer,
)


def _ask_responses(question="How deep is the lake?", *, stream=False, tools=False, most=None, **more):
    body = {"model": "sim-1", "input": question, **more}
    if stream:
        body["stream"] = True
    if tools:
        body["tools"] = [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}]
    return body if most is None else {**body, "max_output_tokens": most}


RESPONSES_API = Api(
    name="responses",
    path="/v1/responses",
    ask=_ask_responses,
    text=lambda body: body["output"][0]["content"][0]["text"],
    calls=lambda body: [(item["name"], json.loads(item["arguments"])) for item in body["output"]],
    said=lambda events: "".join([event["delta"] for event in events if event["type"] == "response.output_text.delta"]),
    asked=lambda events: _joined(
        [
            (event["output_index"], event.get("item", {}).get("name"), event.get("delta"))
            for event in events
            if event["type"] in ("response.output_item.added", "response.function_call_arguments.delta")
        ]
    ),
    tokens=lambda body: (body["usage"]["input_tokens"], body["usage"]["output_tokens"]),
    key=_bearer,
)


def _ask_messages(question="How deep is the lake?", *, stream=False, tools=False, most=1000, **more):
    body = {"model": "sim-1", "max_tokens": most, "messages": [{"role": "user", "content": question}], **more}
    if stream:
        body["stream"] = True
    return {**body, "tools": [{"name": TOOL, "input_schema": SCHEMA}]} if tools else body


MESSAGES_API = Api(
    name="messages",
    path="/v1/messages",
    ask=_ask_messages,
    text=lambda body: body["content"][0]["text"],
    calls=lambda body: [(block["name"], block["input"]) for block in body["content"]],
    said=lambda events: "".join([event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]),
    asked=lambda events: _joined(
        [
            (event["index"], event.get("content_block", {}).get("name"), event.get("delta", {}).get("partial_json"))
            for event in events
            if event["type"] in ("content_block_start", "content_block_delta")
        ]
    ),
    tokens=lambda body: (body["usage"]["input_tokens"], body["usage"]["output_tokens"]),
    key=lambda key: {"x-api-key": key},
    headers={"anthropic-version": "2023-06-01"},
)


def _ask_gemini(question="How deep is the lake?", *, stream=False, tools=False, most=None, **more):
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": question}]}], **more}
    if tools:
        body["tools"] = [{"functionDeclarations": [{"name": TOOL, "parametersJsonSchema": SCHEMA}]}]
    return body if most is None else {**body, "generationConfig": {"maxOutputTokens": most}}


def _gemini_parts(answers):
    return [part for answer in answers for part in answer["candidates"][0]["content"]["parts"]]


def _gemini_said(answers):
    return "".join([part["text"] for part in _gemini_parts(answers)])


def _gemini_asked(answers):
    return [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in _gemini_parts(answers)]


GEMINI_API = Api(
    name="gemini",
    path="/v1beta/models/sim-1:generateContent",
    stream_path="/v1beta/models/sim-1:streamGenerateContent?alt=sse",
    ask=_ask_gemini,
    text=lambda body: _gemini_said([body]),
    calls=lambda body: _gemini_asked([body]),
    said=_gemini_said,
    asked=_gemini_asked,
    tokens=lambda body: (body["usageMetadata"]["promptTokenCount"], body["usageMetadata"]["candidatesTokenCount"]),
    key=lambda key: {"x-goog-api-key": key},
    refused=400,
)


@pytest.fixture(params=[CHAT_API, RESPONSES_API, MESSAGES_API, GEMINI_API], ids=lambda api: api.name)
def api(request: pytest.FixtureRequest) -> Api:
    """Each of the APIs that generate text."""
    one: Api = request.param
    return one


@pytest.fixture
def apis() -> dict[str, Api]:
    """All of them, by name."""
    return {one.name: one for one in (CHAT_API, RESPONSES_API, MESSAGES_API, GEMINI_API)}


@pytest.fixture
def events_of() -> Callable[[httpx.Response], list[Any]]:
    """The data of the events in an answer."""
    return lambda answer: events_in(answer.text)
