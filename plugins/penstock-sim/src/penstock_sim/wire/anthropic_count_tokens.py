"""Anthropic's counting of tokens: `POST /v1/messages/count_tokens`."""

import orjson
from attrs import evolve

from penstock_sim.exchange import HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.wire.anthropic_common import AnthropicWire
from penstock_sim.wire.anthropic_messages_request import parse_to_count


class CountMessageTokens(AnthropicWire):
    """What a message's prompt would count; the limits of messages are left alone."""

    limited = False

    def parse(self, request: HttpRequest) -> SimRequest:
        """Read a message that need not say `max_tokens`, and that is not to be answered."""
        return evolve(parse_to_count(request), choices=0, max_tokens=None, stream=False)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:  # noqa: ARG002  # the answer has no id
        """Write the tokens."""
        return orjson.dumps({"input_tokens": reply.prompt_tokens})
