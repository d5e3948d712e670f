"""What the tests of the OpenAI provider share."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

CHAT_FILES = (
    "openai-chat",
    "azure",
    "cerebras",
    "deepseek",
    "groq",
    "local",
    "mistral",
    "openrouter",
    "perplexity",
    "together",
    "xai",
)

RESPONSES_FILES = ("openai-responses", "azure", "deepseek", "local", "openrouter", "xai")

EMBEDDING_FILES = ("openai-other", "azure", "mistral", "openrouter")


@frozen
class Exchange:
    """One recorded call: what was sent, and what came back."""

    where: str
    endpoint: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: str
    streaming: bool
    trimmed: bool


def _read(folder: Path, names: tuple[str, ...], kind: str) -> Iterator[Exchange]:
    for name in names:
        # Split at line feeds only: the texts hold other characters that str.splitlines takes for the end of a line.
        for number, line in enumerate((folder / "exchanges" / f"{name}.jsonl").read_text().rstrip("\n").split("\n")):
            data = json.loads(line)
            if data["kind"] == kind:
                yield Exchange(
                    where=f"{name}:{number}",
                    endpoint=data["endpoint"],
                    request=data["request_body"] or {},
                    status=data["status"],
                    headers={key.lower(): value for key, value in data["response_headers"].items()},
                    body=data["response_body"],
                    streaming=data["streaming"],
                    trimmed=data["trimmed"],
                )


@pytest.fixture(scope="session")
def exchanges(realdata) -> list[Exchange]:
    """Every recorded exchange with a chat completions API."""
    return list(_read(realdata, CHAT_FILES, "chat_completions"))


@pytest.fixture(scope="session")
def response_exchanges(realdata) -> list[Exchange]:
    """Every recorded exchange with the Responses API."""
    return list(_read(realdata, RESPONSES_FILES, "responses"))


@pytest.fixture(scope="session")
def embedding_exchanges(realdata) -> list[Exchange]:
    """Every recorded exchange with an embeddings API of OpenAI's shape."""
    return list(_read(realdata, EMBEDDING_FILES, "embeddings"))
