"""Chunks of a stream add up to the reply that came whole."""

import pytest

from penstock.schema import GenerationChunk, ProviderReply, ReplyBuilder, TokenLogprob, ToolCall, ToolCallDelta

CALLS = (ToolCall(id="c1", name="f", arguments='{"a":1}', signature="opaque"), ToolCall(id="", name="g", arguments=""))
LOGPROBS = (
    TokenLogprob("te", -0.25, bytes=(116, 101), top=(TokenLogprob("te", -0.25), TokenLogprob("be", -1.5))),
    TokenLogprob("xt", -0.0),
)


def test_a_reply_as_one_chunk_adds_up_to_itself():
    reply = ProviderReply(
        "text", finish_reason="tool_calls", reasoning="hm", tool_calls=CALLS, response_id="r", logprobs=LOGPROBS
    )
    builder = ReplyBuilder()
    builder.add(GenerationChunk.of(reply))
    assert builder.build() == reply


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_logprobs_in_pieces_are_in_their_order(cut):
    builder = ReplyBuilder()
    for piece in (LOGPROBS[:cut], LOGPROBS[cut:]):
        builder.add(GenerationChunk("text", logprobs=piece))
    assert builder.build().logprobs == LOGPROBS


def test_logprobs_survive_plain_data():
    assert TokenLogprob.from_dict(LOGPROBS[0].to_dict()) == LOGPROBS[0]


def test_a_call_in_pieces_keeps_what_came_once():
    builder = ReplyBuilder()
    for delta in (
        ToolCallDelta(index=1, name="g"),
        ToolCallDelta(index=0, id="c1", name="f", arguments='{"a"', signature="opaque"),
        ToolCallDelta(index=0, arguments=":1}"),
    ):
        builder.add(GenerationChunk(tool_calls=(delta,)))
    assert builder.build().tool_calls == CALLS


def test_a_signature_survives_plain_data_and_stays_out_of_the_repr():
    assert ToolCall.from_dict(CALLS[0].to_dict()) == CALLS[0]
    assert "opaque" not in repr(CALLS[0])
