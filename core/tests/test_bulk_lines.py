"""Input lines: the forms that are taken, what is refused and how, and that nothing of a body is lost."""

import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.bulk.body import MESSAGE_KEYS, PART_READERS, READERS
from penstock.bulk.lines import BATCH_KEYS, OWN_KEYS, ModelRules, Row, RowError, RowFault, parse_line
from penstock.bulk.reading import RawLine
from penstock.bulk.seen import RowParser, SeenIds
from penstock.schema import (
    AudioPart,
    DocumentPart,
    GenerationRequest,
    ImagePart,
    Message,
    ResponseFormat,
    RetryPolicy,
    StepSpec,
    TextPart,
    ToolCall,
    ToolDefinition,
)

RULES = ModelRules()
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


def parsed(line, rules=RULES, number=7):
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    return parse_line(RawLine(number, text, len(text)), rules)


def request_of(line, rules=RULES):
    row = parsed(line, rules)
    assert isinstance(row, Row), row
    return row.request


# ---------------------------------------------------------------- the three forms


def test_a_batch_line_becomes_a_request():
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {**HELLO, "max_tokens": 9}}
    request = request_of(line)
    assert request == GenerationRequest(
        model="openai/gpt-4o-mini", messages=[Message("user", "hello")], max_tokens=9, custom_id="a"
    )


def test_a_bare_body_becomes_a_request_named_after_its_line():
    assert parsed(HELLO, number=12).custom_id == "line-12"


def test_a_bare_body_keeps_the_callers_metadata_from_the_provider():
    request = request_of({**HELLO, "metadata": {"row": 3}})
    assert request.metadata == {"row": 3}
    assert request.extra == {}


def test_the_metadata_inside_a_batch_body_is_the_providers():
    request = request_of({"custom_id": "a", "body": {**HELLO, "metadata": {"k": "v"}}, "label": "mine"})
    assert request.extra == {"metadata": {"k": "v"}}
    assert request.metadata == {"label": "mine"}


def test_a_line_of_request_fields_becomes_that_request():
    line = {"prompt": "hi", "model": "sim/echo", "timeout_s": 3, "operation": "greet", "extra": {"user": "u"}}
    assert request_of(line) == GenerationRequest(
        prompt="hi", model="sim/echo", timeout_s=3, operation="greet", extra={"user": "u"}, custom_id="line-7"
    )


def test_a_request_that_was_written_as_a_dict_comes_back_equal():
    request = GenerationRequest(
        model="sim/echo",
        messages=[
            Message("system", "be brief"),
            Message(
                "user",
                (
                    TextPart("look", extra={"cache_control": {"type": "ephemeral"}}),
                    ImagePart(url="https://example.invalid/a.png", detail="low", extra={"n": 1}),
                    ImagePart(data="QUJD", media_type="image/png"),
                    AudioPart(data="QUJD", media_type="audio/wav"),
                    DocumentPart(file_id="file-1", name="a.pdf"),
                ),
                extra={"n": 2},
            ),
            Message("assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{}", signature="s"),)),
            Message("tool", "4", tool_call_id="c"),
        ],
        tools=(ToolDefinition(name="f", parameters={"type": "object"}, extra={"n": 3}),),
        tool_choice="f",
        response_format=ResponseFormat(schema={"type": "object"}, strict=True),
        stop=("x",),
        seed=1,
        temperature=0.0,
        retry=RetryPolicy(max_retries=1),
        pipeline=(StepSpec(use="to_dict"),),
        custom_id="mine",
        extra={"n": 2},
    )
    assert request_of(request.to_dict()) == request


def test_a_line_of_an_error_file_is_taken_as_the_line_it_holds():
    line = {"custom_id": "line-3", "error": {"code": "x", "message": "y", "line": 3}, "input": HELLO}
    assert parsed(line).custom_id == "line-3"
    assert request_of(line).messages == (Message("user", "hello"),)
    assert request_of({**line, "input": json.dumps(HELLO)}).messages == (Message("user", "hello"),)


def test_a_line_that_asks_nothing_is_told_by_the_keys_it_has():
    asked = {"question": "Why?", "answer": "So.", **{f"k{n}": 1 for n in range(9)}}
    expected = "expected a prompt, messages or inputs; its keys are 'question', 'answer', 'k0', 'k1', 'k2'"
    assert parsed(asked).message == parsed({"body": asked}).message == expected
    assert parsed({}).message == "the line is an empty object"


def test_a_step_that_is_only_a_name_is_told_what_it_should_be():
    for steps in (["to_dict"], [{"name": "to_dict"}]):
        error = parsed({"prompt": "x", "pipeline": steps})
        assert error.message == 'pipeline[0]: expected an object with "use", the name of a step'


def test_a_byte_order_mark_is_no_part_of_the_line():
    assert isinstance(parsed(b"\xef\xbb\xbf" + json.dumps(HELLO).encode()), Row)


# ---------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("rules", "named", "expected"),
    [
        (ModelRules(), "gpt-4o", "openai/gpt-4o"),
        (ModelRules(), "anthropic/claude", "anthropic/claude"),
        (ModelRules(provider="azure"), "gpt-4o", "azure/gpt-4o"),
        (ModelRules(provider="azure"), "sim/echo", "sim/echo"),
        (ModelRules(model="sim/echo"), "gpt-4o", "sim/echo"),
        (ModelRules(model="echo", provider="sim"), "gpt-4o", "sim/echo"),
        (ModelRules(model="sim/echo"), None, "sim/echo"),
        (ModelRules(has_default=True), None, None),
    ],
)
def test_a_model_is_resolved_by_the_rules(rules, named, expected):
    assert request_of({"model": named, "prompt": "hi"}, rules).model == expected


def test_a_line_without_a_model_and_without_a_default_says_so():
    row = parsed({"prompt": "hi"})
    assert isinstance(row, RowError)
    assert row.fault is RowFault.NO_MODEL


# ---------------------------------------------------------------- chat bodies


def test_content_parts_become_parts():
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    request = request_of({**HELLO, "messages": [{"role": "user", "content": content}]})
    assert request.messages[0].content == (
        TextPart("look"),
        ImagePart(url="data:image/png;base64,QUJD", detail="low"),
        AudioPart(data="QUJD", media_type="audio/wav"),
        DocumentPart(data="QUJD", media_type="application/pdf", name="a.pdf"),
        DocumentPart(file_id="file-1"),
    )
    assert request.extra == {}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def test_a_call_as_penstock_writes_it_keeps_its_signature():
    call = {"id": "c", "name": "f", "arguments": "{}", "signature": "s"}
    request = request_of({**HELLO, "messages": [{"role": "assistant", "tool_calls": [call]}]})
    assert request.messages[0].tool_calls == (ToolCall(**call),)
    assert request.extra == {}


def test_tool_calls_and_their_answers_become_messages():
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    ]
    request = request_of({**HELLO, "messages": messages})
    assert request.messages == (
        Message("assistant", "", tool_calls=(ToolCall(id="c", name="f", arguments='{"x": 1}'),)),
        Message("tool", "4", tool_call_id="c"),
    )
    assert request.extra == {}


def test_tools_choice_and_format_become_fields():
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    request = request_of(
        {
            **HELLO,
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": False},
            },
            "stop": "END",
        }
    )
    assert request.tools == (ToolDefinition(name="f", description="d", parameters={"type": "object"}, strict=True),)
    assert request.tool_choice == "f"
    assert request.response_format == ResponseFormat(name="n", schema={"type": "object"}, strict=False)
    assert request.stop == ("END",)
    assert request.extra == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_completion_tokens": 5, "reasoning_effort": "low", "user": None},
        {"tools": [{"type": "custom", "custom": {"name": "c"}}]},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
        {"response_format": {"type": "grammar", "grammar": "x"}},
        {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "e"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "additional_properties": {}}]}]},
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": "because"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "index": 0}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "extra_content": {"google": {"x": "y"}}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:a/b;base64,QUJD"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://example.invalid"}]}]},
    ],
)
def test_what_a_field_cannot_hold_reaches_the_provider_unchanged(fields):
    assert request_of({"body": {**HELLO, **fields}}).extra == fields


def test_streaming_is_the_runs_own_business():
    assert request_of({**HELLO, "stream": True, "stream_options": {"include_usage": True}}).extra == {}


def test_a_batch_line_for_embeddings_is_a_request_with_inputs():
    body = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64"}
    request = request_of({"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": body})
    assert (request.inputs, request.dimensions) == (("a", "b"), 256)
    assert request.extra == {"encoding_format": "base64"}
    assert request_of({"url": "/v1/embeddings", "body": {**body, "input": "one text"}}).inputs == ("one text",)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a": 1', "not JSON: Expecting ',' delimiter at position 8"),
        (b"\xff\xfe{}", "not UTF-8: byte 0xff at position 1"),
        (b"[1, 2]", "expected a JSON object"),
        (b'{"prompt": "\\ud800"}', "without its other half"),
        (b'{"prompt": "x", "temperature": NaN}', "NaN is no JSON number"),
        (b'{"prompt": "x", "temperature": 1e999}', "temperature: expected a finite number"),
        (b"[" * 100_000, "nested too deeply"),
        ({"model": "m"}, "expected a prompt, messages or inputs; its keys are 'model'"),
        ({"model": "m", "messages": []}, "needs a prompt or messages"),
        ({**HELLO, "prompt": "x"}, "and not both"),
        ({"model": 4, "prompt": "x"}, "model: expected a string, got a number"),
        ({"prompt": ["x"]}, "prompt: expected a string, got a list"),
        ({"prompt": "x", "custom_id": 4}, "custom_id: expected a string"),
        ({**HELLO, "max_tokens": "9"}, "max_tokens: expected an integer, got a string"),
        ({**HELLO, "max_tokens": -1}, "max_tokens"),
        ({**HELLO, "messages": {}}, "messages: expected a list, got an object"),
        ({**HELLO, "messages": ["hi"]}, "messages[0]: expected an object, got a string"),
        ({**HELLO, "messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role: expected one of system"),
        ({**HELLO, "messages": [{"role": "user", "content": 4}]}, "messages[0].content: expected a string or a list"),
        ({**HELLO, "messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type: expected a string"),
        ({**HELLO, "tools": [{"type": "function"}]}, "tools[0].function: expected an object, got null"),
        ({"custom_id": "a", "body": "x"}, "body: expected an object"),
        ({"custom_id": "a", "body": HELLO, "url": "/v1/responses"}, "url: expected '/v1/chat/completions' or '/v1/emb"),
        ({"custom_id": "a", "body": HELLO, "url": "/v1/embeddings"}, "input: expected a list, got null"),
        (
            {"body": {"model": "m", "input": [[1, 2]]}, "url": "/v1/embeddings"},
            "input[0]: expected a string, got a list",
        ),
        ({"body": {"model": "m", "input": []}, "url": "/v1/embeddings"}, "needs a prompt or messages, and not both"),
        ({"custom_id": "a", "body": HELLO, "method": "GET"}, "method: expected 'POST'"),
        ({"prompt": "x", "retry": {"max_retrys": 1}}, "retry.max_retrys: unknown key"),
        ({"prompt": "x", "timeout_s": "soon"}, "timeout_s: a value of the wrong type"),
    ],
)
def test_b14_a_malformed_line_is_one_row_that_says_where(line, words):
    row = parsed(line)
    assert isinstance(row, RowError)
    assert row.fault is RowFault.INVALID_LINE
    assert words in row.message
    assert row.line == 7


def test_a_malformed_line_keeps_the_custom_id_that_can_be_read():
    assert parsed({"custom_id": "mine", "body": 3}).custom_id == "mine"


def test_a_line_beyond_the_limit_is_one_row():
    row = parse_line(RawLine(3, None, 40_000_000), RULES)
    assert isinstance(row, RowError)
    assert row.fault is RowFault.LINE_TOO_LONG
    assert "40,000,000 bytes" in row.message


def test_a_custom_id_that_came_before_is_refused_and_its_first_line_named():
    parser = RowParser(RULES)
    line = json.dumps({**HELLO, "custom_id": "a"}).encode()
    assert isinstance(parser.parse(RawLine(1, line, 0)), Row)
    row = parser.parse(RawLine(9, line, 0))
    assert isinstance(row, RowError)
    assert row.fault is RowFault.DUPLICATE_CUSTOM_ID
    assert "line 1" in row.message


# ---------------------------------------------------------------- properties

NESTED = {"type", "text", "function", "arguments", "json_schema", "schema", "input", "error", "use", "max_retries"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Every name that the parser looks at, so that it gets beyond the first refusal.
FIELDS = st.sampled_from(sorted({*READERS, *OWN_KEYS, *BATCH_KEYS, *MESSAGE_KEYS, *PART_READERS, *NESTED}))
LINE_LIKE = st.recursive(
    st.none() | st.integers(-2, 2) | st.sampled_from(["user", "text", "function", "json_schema", "image", "file", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=25,
)


@given(st.binary(max_size=200))
@example(b"")
@example(b"null")
@example(b'{"prompt":"x","seed":' + b"9" * 5000 + b"}")
def test_any_bytes_are_a_request_or_a_row_error(text):
    assert isinstance(parsed(text), Row | RowError)


@given(LINE_LIKE | JSON)
def test_any_json_is_a_request_or_a_row_error(value):
    assert isinstance(parsed(value), Row | RowError)


PLAIN = {
    "max_tokens": st.integers(1, 10**6),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "seed": st.integers(-(2**63), 2**63),
    "stop": st.lists(st.text(), min_size=1, max_size=4),
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
}


@given(
    st.fixed_dictionaries({}, optional=PLAIN),
    st.dictionaries(st.text(string.ascii_lowercase, min_size=4, max_size=9).map("x_{}".format), JSON, max_size=4),
)
def test_no_key_of_a_body_is_lost(known, unknown):
    text = json.dumps({"body": {**HELLO, **known, **unknown}})
    if any(word in text for word in ("NaN", "Infinity", "\\ud")):
        return
    request = request_of(text.encode())
    named = {key: getattr(request, key) for key in known}
    assert {**named, "stop": list(named.get("stop", ()))} == {"stop": [], **known}
    assert request.extra == json.loads(json.dumps(unknown))


@given(st.lists(st.text(max_size=2), max_size=3000))
def test_seen_ids_remembers_the_first_line_of_each_id(ids):
    seen, first = SeenIds(), dict[str, int]()
    for line, custom_id in enumerate(ids, start=1):
        assert seen.first_line(custom_id, line) == first.get(custom_id)
        first.setdefault(custom_id, line)


def test_seen_ids_grows():
    seen = SeenIds()
    assert {seen.first_line(f"id-{line}", line) for line in range(1, 5000)} == {None}
    assert [seen.first_line(f"id-{line}", 9999) for line in range(1, 5000)] == list(range(1, 5000))


# ---------------------------------------------------------------- recorded data


def test_every_recorded_chat_body_is_taken_and_nothing_of_it_lost(realdata):
    rows = 0
    for text in (realdata / "exchanges" / "openai-chat.jsonl").read_text().splitlines():
        body = json.loads(text)["request_body"]
        request = request_of({"custom_id": "a", "body": body})
        rows += 1
        for key, value in body.items():
            if key not in {"stream", "stream_options"} and value is not None:
                assert key in request.extra or getattr(request, key) not in (None, ()), key
    assert rows > 400


def test_every_line_of_real_batch_files_is_taken(realdata):
    for path in sorted((realdata / "bulk").glob("*_batch_input.jsonl")):
        parser = RowParser(RULES)
        lines = path.read_bytes().splitlines()
        rows = [parser.parse(RawLine(number, line, len(line))) for number, line in enumerate(lines, start=1)]
        assert all(isinstance(row, Row) and row.request.extra == {} for row in rows)
