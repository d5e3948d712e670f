"""Gemini's counting of tokens: `POST /v1beta/models/MODEL:countTokens`."""

import re
from typing import Final
from urllib.parse import unquote

import orjson

from penstock_sim.exchange import HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.wire.conversation import prompt_of
from penstock_sim.wire.gemini_common import GeminiWire
from penstock_sim.wire.gemini_request import camel, checks, conversation

PATH: Final = re.compile(r"/v1(?:alpha|beta)?/((?:models|tunedModels)/[^/:]+):countTokens")


class CountContentTokens(GeminiWire):
    """What a request's prompt would count; the limits are left alone."""

    limited = False

    def parse(self, request: HttpRequest) -> SimRequest:
        """Read contents, by themselves or within the request that is going to be made of them."""
        match = PATH.fullmatch(request.path)
        if match is None:
            raise ValueError(f"not a path of the Gemini API: {request.path}")
        body = camel(checks.body(request.body))
        whole = checks.typed(body, "generateContentRequest", dict)
        turns, _ = conversation(body if whole is None else camel(whole))
        model = unquote(match[1]).removeprefix("models/")
        return SimRequest(model=model, prompt=prompt_of(turns), question=None, choices=0)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:  # noqa: ARG002  # the answer has no id
        """Write the tokens."""
        details = [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}]
        return orjson.dumps({"totalTokens": reply.prompt_tokens, "promptTokensDetails": details})
