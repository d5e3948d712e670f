"""What the tests of the Gemini provider share."""

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from penstock_gemini import GeminiProvider
from penstock_http import HttpRequest, HttpResponse, HttpStream, Options, Transport

KINDS = {"generate_content", "stream_generate_content"}


@frozen
class Exchange:
    """One recorded call of generateContent: what was sent, and what came back."""

    where: str
    model: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: str
    streaming: bool


def _read(folder: Path) -> Iterator[Exchange]:
    # Split at line feeds only: the texts hold other characters that str.splitlines takes for the end of a line.
    for number, line in enumerate((folder / "exchanges" / "gemini.jsonl").read_text().rstrip("\n").split("\n")):
        data = json.loads(line)
        if data["kind"] in KINDS:
            yield Exchange(
                where=f"gemini:{number}",
                model=data["endpoint"].partition("/models/")[2].partition(":")[0],
                request=data["request_body"],
                status=data["status"],
                headers={key.lower(): value for key, value in data["response_headers"].items()},
                body=data["response_body"],
                streaming=data["streaming"],
            )


@pytest.fixture(scope="session")
def exchanges(realdata) -> list[Exchange]:
    """Every recorded exchange with generateContent and streamGenerateContent."""
    return list(_read(realdata))


class FakeTransport(Transport):
    """Gives one answer to every request, a stream's body in pieces of a few bytes, and keeps the requests."""

    name = "fake"

    def __init__(self, status, headers, body, piece=7):
        super().__init__(Options())
        self.answer = HttpResponse(status, headers, body)
        self.piece = piece
        self.requests: list[HttpRequest] = []

    async def send(self, request, *, total_s=None):
        self.requests.append(request)
        return self.answer

    @asynccontextmanager
    async def stream(self, request, *, total_s=None):
        self.requests.append(request)

        async def pieces():
            for start in range(0, len(self.answer.body), self.piece):
                yield self.answer.body[start : start + self.piece]

        yield HttpStream(self.answer.status, self.answer.headers, pieces())

    async def aclose(self):
        pass


@pytest.fixture
def answering():
    """Make a provider whose every call gets this answer; its transport keeps what was sent."""

    def make(body, *, status=200, headers=None, piece=7, **settings):
        provider = GeminiProvider(**{"api_key": "test-key"} | settings)
        data = body.encode() if isinstance(body, str) else body
        provider._transport = FakeTransport(status, headers or {}, data, piece)
        return provider

    return make
