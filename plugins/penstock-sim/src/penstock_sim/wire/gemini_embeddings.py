"""Gemini's embeddings: ``POST /v1beta/models/MODEL:batchEmbedContents``, and ``:embedContent`` for one text."""

import re
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import orjson

from penstock_sim.exchange import Failure, HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.vectors import counted_together, dimensions_of, unit_vector
from penstock_sim.wire.fields import Fields, refused
from penstock_sim.wire.gemini import charge, charge_output, error, headers, status
from penstock_sim.wire.gemini_request import camel, checks, credential, parts_of

__all__ = [
    "PATH",
    "body",
    "charge",
    "charge_output",
    "credential",
    "error",
    "error_event",
    "events",
    "headers",
    "parse",
    "status",
]

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


def body(request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:  # noqa: ARG001 -- the answer has no id
    """Write the vectors, in the order of the texts, and the tokens where the real model tells them."""
    found: list[dict[str, Any]] = [
        {"values": unit_vector(request.model, text, dimensions)} for text, dimensions in request.notes["requests"]
    ]
    answer: dict[str, Any] = {"embedding": found[0]} if request.notes["one"] else {"embeddings": found}
    if request.model != _TELLS_NO_USAGE:
        details = [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}]
        answer["usageMetadata"] = {"promptTokenCount": reply.prompt_tokens, "promptTokenDetails": details}
    return orjson.dumps(answer)


def events(request: SimRequest, reply: SimReply, stamp: Stamp) -> NoReturn:  # noqa: ARG001 -- the wire's signature
    """Vectors are not streamed, and no request asks for that."""
    raise TypeError("embeddings are not streamed")


def error_event(failure: Failure, stamp: Stamp, place: int) -> NoReturn:  # noqa: ARG001 -- the wire's signature
    """Vectors are not streamed, and no request asks for that."""
    raise TypeError("embeddings are not streamed")
