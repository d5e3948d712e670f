"""The likelihood of tokens, of both APIs, whole and in streams."""

import json

import pytest

from penstock.schema import GenerationChunk, ReplyBuilder, TokenLogprob
from penstock_http import END, Event, EventParser
from penstock_openai.reply import chunk_of, reply_of
from penstock_openai.responses_reply import ResponseReader, reply_of_response

TOLD = {
    "token": "Hi",
    "logprob": -0.5,
    "bytes": [72, 105],
    "top_logprobs": [
        {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]},
        {"token": "Yo", "logprob": -1, "bytes": None},
    ],
}
READ = TokenLogprob(
    "Hi", -0.5, bytes=(72, 105), top=(TokenLogprob("Hi", -0.5, bytes=(72, 105)), TokenLogprob("Yo", -1.0))
)
BARE = {"token": "!", "logprob": -9999.0}
PLAIN = TokenLogprob("!", -9999.0)


def in_chunk(read, data):
    """The logprobs of an event that `read` makes a chunk of."""
    chunk = read(Event(json.dumps(data)))
    assert isinstance(chunk, GenerationChunk)
    return chunk.logprobs


def choice(logprobs, **fields):
    return {"choices": [{"index": 0, "finish_reason": "stop", "logprobs": logprobs, **fields}]}


@pytest.mark.parametrize(
    ("logprobs", "read"),
    [
        ({"content": [TOLD, BARE], "refusal": None}, (READ, PLAIN)),
        ({"content": None, "refusal": [TOLD]}, (READ,)),
        ({"content": []}, ()),
        (None, ()),
        # Together, in the shape of the completions before chat
        ({"tokens": ["Hi"], "token_logprobs": [-0.5]}, ()),
    ],
)
def test_chat_completions_tells_them_of_the_content_or_of_the_refusal(logprobs, read):
    assert reply_of(choice(logprobs, message={"content": "Hi!"})).logprobs == read
    assert in_chunk(chunk_of, choice(logprobs, delta={"content": "Hi!"})) == read


def test_a_chunk_with_nothing_else_is_still_a_chunk():
    data = {"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [TOLD]}}]}
    assert in_chunk(chunk_of, data) == (READ,)


def test_responses_tells_them_of_each_part_of_the_text():
    part = {"type": "output_text", "text": "Hi!", "logprobs": [TOLD, BARE]}
    item = {"type": "message", "content": [part, {**part, "logprobs": []}, {**part, "logprobs": [BARE]}]}
    reply = reply_of_response({"id": "r", "model": "m", "status": "completed", "output": [item]})
    assert reply.logprobs == (READ, PLAIN, PLAIN)


def test_a_stream_of_responses_tells_them_with_each_piece():
    event = {"type": "response.output_text.delta", "delta": "Hi", "logprobs": [TOLD]}
    assert in_chunk(ResponseReader().read, event) == (READ,)


def test_recorded_ones_spell_the_answer(response_exchanges):
    seen = 0
    for exchange in response_exchanges:
        if exchange.status != 200 or '"logprob"' not in exchange.body:
            continue
        if exchange.streaming:
            reader, builder = ResponseReader(), ReplyBuilder()
            for event in EventParser().feed(exchange.body.encode()):
                chunk = reader.read(event)
                if chunk is not None and chunk is not END:
                    builder.add(chunk)
            reply = builder.build()
        else:
            reply = reply_of_response(json.loads(exchange.body))
        assert b"".join(bytes(token.bytes or ()) for token in reply.logprobs).decode() == reply.content, exchange.where
        assert all(token.logprob <= 0 for token in reply.logprobs)
        seen += 1
    assert seen >= 2
