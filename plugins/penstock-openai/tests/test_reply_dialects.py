"""What servers write differently in an answer of chat completions, as recorded ones do, and what it is read as."""

import json

import pytest

from penstock import ErrorType, Usage
from penstock.errors import ProviderError
from penstock.schema import GenerationChunk, ReplyBuilder, ToolCall
from penstock_http import Event
from penstock_openai.embeddings import reply_of_embeddings
from penstock_openai.errors import error_of
from penstock_openai.reply import chunk_of, reply_of


def whole(message, finish="stop"):
    return reply_of({"id": "c-1", "model": "m-1", "choices": [{"message": message, "finish_reason": finish}]})


def in_pieces(*choices):
    builder = ReplyBuilder()
    for choice in choices:
        chunk = chunk_of(Event(json.dumps({"id": "c-1", "model": "m-1", "choices": [{"index": 0, **choice}]})))
        if isinstance(chunk, GenerationChunk):
            builder.add(chunk)
    return builder.build()


EMPTY = {"function": {"name": "", "arguments": ""}, "custom": {"name": "", "input": ""}}
"""The two forms of a call as a server has them that writes out every field."""


def test_of_the_forms_of_a_call_that_are_all_written_out_the_filled_one_is_the_call():
    function = {"id": "c1", **EMPTY, "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "c2", **EMPTY, "custom": {"name": "g", "input": "text"}}
    calls = (ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="g", arguments="text"))
    message = {"content": "", "function_call": EMPTY["function"], "tool_calls": [function, custom]}
    assert whole(message).tool_calls == calls
    deltas = [{"index": place, **call} for place, call in enumerate([function, custom])]
    assert in_pieces({"delta": {"tool_calls": deltas}}).tool_calls == calls


def test_a_call_of_nothing_beside_a_text_is_no_call():
    reply = whole({"content": "hi", "function_call": EMPTY["function"], "tool_calls": None})
    assert (reply.content, reply.tool_calls) == ("hi", ())


@pytest.mark.parametrize("word", ["", None])
def test_an_empty_finish_reason_is_none(word):
    assert whole({"content": "hi"}, word).finish_reason is None
    assert in_pieces({"delta": {"content": "hi"}, "finish_reason": word}).finish_reason is None


def test_content_that_the_server_parsed_is_its_json():
    assert whole({"content": {"a": [1, None]}}).content == '{"a":[1,null]}'


@pytest.mark.parametrize(
    ("said", "reasoning"),
    [
        ({"reasoning_details": [{"type": "reasoning.text", "text": "h"}, {"summary": "m"}]}, "hm"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "QUJD"}]}, None),
        # A server that has both says the same twice, and says when it shows nothing.
        ({"reasoning": "hm", "reasoning_details": [{"text": "hm"}]}, "hm"),
        ({"reasoning": None, "reasoning_details": [{"summary": "hm"}]}, None),
        ({"reasoning_content": "hm", "reasoning_details": [{"text": "hm"}]}, "hm"),
    ],
)
def test_details_are_the_reasoning_where_nothing_else_is(said, reasoning):
    assert whole({"content": "hi", **said}).reasoning == reasoning
    assert in_pieces({"delta": {"content": "hi", **said}}).reasoning == reasoning


def test_an_error_event_says_what_the_stream_used_until_then():
    used = {"prompt_tokens": 43, "completion_tokens": 10, "total_tokens": 53}
    with pytest.raises(ProviderError) as caught:
        chunk_of(Event(json.dumps({"error": {"code": 400, "message": "no more"}, "choices": [], "usage": used})))
    error = caught.value
    assert (error.error_type, error.usage) == (ErrorType.INVALID_REQUEST, Usage(input_tokens=43, output_tokens=10))


def test_an_input_too_long_for_perplexity():
    error = error_of(400, {"error": {"message": "no", "type": "too_many_prompt_tokens", "code": 400}})
    assert error.error_type is ErrorType.CONTEXT_LENGTH


def test_embeddings_whose_usage_is_a_total_alone():
    data = [{"index": 0, "embedding": [1.0]}]
    assert reply_of_embeddings({"data": data, "usage": {"total_tokens": 7}}).usage == Usage(input_tokens=7)
    assert reply_of_embeddings({"data": data, "usage": {}}).usage is None
