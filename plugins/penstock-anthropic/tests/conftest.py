"""What the tests of the Anthropic provider share."""

import json
from typing import Any

import pytest
from attrs import frozen


@frozen
class Exchange:
    """One recorded call of the Messages API: what was sent, and what came back."""

    where: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: str
    streaming: bool


@pytest.fixture(scope="session")
def exchanges(realdata) -> list[Exchange]:
    """Every recorded exchange with the Messages API."""
    # Split at line feeds only: the texts hold other characters that str.splitlines takes for the end of a line.
    lines = (realdata / "exchanges" / "anthropic.jsonl").read_text().rstrip("\n").split("\n")
    return [
        Exchange(
            where=f"anthropic:{number}",
            request=data["request_body"],
            status=data["status"],
            headers={key.lower(): value for key, value in data["response_headers"].items()},
            body=data["response_body"],
            streaming=data["streaming"],
        )
        for number, data in enumerate(map(json.loads, lines))
        if data["kind"] == "messages"
    ]
