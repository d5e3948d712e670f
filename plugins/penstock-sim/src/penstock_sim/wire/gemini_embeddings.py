"""Gemini's embeddings: `POST /v1beta/models/MODEL:batchEmbedContents`, and `:embedContent` for one text."""

import re
from typing import Any, Final
from urllib.parse import unquote

import orjson

from penstock_sim.exchange import HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.vectors import counted_together, dimensions_of, unit_vector
from penstock_sim.wire.fields import Fields, refused
from penstock_sim.wire.gemini_common import GeminiWire
from penstock_sim.wire.gemini_request import camel, checks, parts_of

PATH: Final = re.compile(r"/v1(?:alpha|beta)?/((?:models|tunedModels)/[^/:]+):(embedContent|batchEmbedContents)")
MAX_REQUESTS: Final = 100
_TELLS_NO_USAGE: Final = "gemini-embedding-001"


def parse(request: HttpRequest) -> SimRequest:
    """Read URL and body into a SimRequest without choices; its notes have the texts and the size of each vector."""
    match = PATH.fullmatch(request.path)
    if match is None:
        raise ValueError(f"not a path of the Gemini API: {request.path}")
    model = unquote(match[1]).removeprefix("models/")
    body = camel(checks.body(request.body))
    one = match[2] == "embedContent"
    requests = [_request(body, model, "")] if one else _requests(body, model)
    return SimRequest(
        model=model,
        prompt=counted_together([text for text, _ in requests]),
        question=None,
        choices=0,
        notes={"requests": requests, "one": one},
    )


def _requests(body: Fields, model: str) -> list[tuple[str, int]]:
    given = checks.needed(body, "requests", list)
    if not 1 <= len(given) <= MAX_REQUESTS:
        raise refused(
            f"* BatchEmbedContentsRequest.requests: 1 to {MAX_REQUESTS} requests can be in one batch\n", "requests"
        )
    return [
        _request(camel(checks.expect(each, dict, f"requests[{index}]")), model, f"requests[{index}].")
        for index, each in enumerate(given)
    ]


def _request(fields: Fields, model: str, path: str) -> tuple[str, int]:
    """Read one text, and how many dimensions its vector is to have."""
    content = checks.needed(fields, "content", dict, f"{path}content")
    pieces, _ = parts_of(content, f"{path}content")
    most = dimensions_of(model)
    dimensions = checks.integer(fields, "outputDimensionality", 1, most, f"{path}outputDimensionality")
    return " ".join(pieces), dimensions or most


class EmbedContent(GeminiWire):
    """`embedContent` and `batchEmbedContents`, which are not streamed."""

    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:  # noqa: ARG002  # the answer has no id
        """Write the vectors, in the order of the texts, and the tokens where the real model tells them."""
        found: list[dict[str, Any]] = [
            {"values": unit_vector(request.model, text, dimensions)} for text, dimensions in request.notes["requests"]
        ]
        answer: dict[str, Any] = {"embedding": found[0]} if request.notes["one"] else {"embeddings": found}
        if request.model != _TELLS_NO_USAGE:
            details = [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}]
            answer["usageMetadata"] = {"promptTokenCount": reply.prompt_tokens, "promptTokenDetails": details}
        return orjson.dumps(answer)
