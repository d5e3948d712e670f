"""From a line of a bulk file to what OpenAI is sent: recorded bodies of other people's programs arrive as they were."""

import json

import pytest

from penstock.bulk.lines import ModelRules, Row, parse_line
from penstock.bulk.reading import RawLine
from penstock.schema import LLMCallRequest
from penstock_openai.request import Dialect, payload_of

# Said about streaming, which a bulk run does not do.
STREAMING = {"stream", "stream_options"}


def sent_for(body):
    text = json.dumps({"custom_id": "a", "body": body}).encode()
    row = parse_line(RawLine(1, text, len(text)), ModelRules())
    assert isinstance(row, Row), row
    model = (row.request.model or "").removeprefix("openai/")
    call = LLMCallRequest.of(row.request, model=model, trace_id="t", stream=False)
    return json.loads(json.dumps(payload_of(call, Dialect())))


def plain(value):
    """`value` without what says nothing: nulls, empty lists, and a stop that stands alone in its list."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items() if item not in (None, [], "")}
        case list():
            return [plain(item) for item in value]
    return value


@pytest.fixture(scope="module")
def bodies(realdata):
    lines = (realdata / "exchanges" / "openai-chat.jsonl").read_text().splitlines()
    return [json.loads(line)["request_body"] for line in lines]


def test_every_recorded_body_reaches_openai_as_it_was(bodies):
    for body in bodies:
        asked = {key: value for key, value in body.items() if key not in STREAMING}
        if isinstance(asked.get("stop"), str):
            asked["stop"] = [asked["stop"]]
        assert plain(sent_for(body)) == plain(asked)


def test_a_choice_among_tools_of_the_providers_own_kind_stays_as_it_was():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "custom", "custom": {"name": "c"}}, {"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }
    assert sent_for(body) == body
