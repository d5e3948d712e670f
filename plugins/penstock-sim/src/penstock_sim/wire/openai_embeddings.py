"""OpenAI's embeddings: `POST /v1/embeddings`."""

from base64 import b64encode
from typing import Any, Final

import orjson

from penstock_sim.exchange import HttpRequest, SimReply, SimRequest, Stamp
from penstock_sim.vectors import counted_together, dimensions_of, packed, unit_vector
from penstock_sim.wire.fields import Fields, refused
from penstock_sim.wire.openai_common import OpenAIWire
from penstock_sim.wire.openai_fields import checks

MAX_INPUTS: Final = 2048
_ONE_SIZE: Final = "text-embedding-ada-002"
"""The model that cannot be asked for fewer dimensions."""


def parse(request: HttpRequest) -> SimRequest:
    """Read the body into a SimRequest without choices; its notes have the texts and the form of the vectors."""
    body = checks.body(request.body)
    model = checks.model(body)
    texts = _texts(body)
    encoding = checks.typed(body, "encoding_format", str) or "float"
    if encoding not in ("float", "base64"):
        raise checks.wrong_value(encoding, "encoding_format")
    most = dimensions_of(model)
    dimensions = checks.integer(body, "dimensions", 1, most)
    if dimensions is not None and model == _ONE_SIZE:
        raise refused("This model does not support specifying dimensions.")
    return SimRequest(
        model=model,
        prompt=counted_together(texts),
        question=None,
        choices=0,
        notes={"texts": texts, "encoding": encoding, "dimensions": dimensions or most},
    )


def _texts(body: Fields) -> list[str]:
    """Read the input: one text or several, or their tokens."""
    given = body.get("input")
    if given is None:
        raise checks.missing("input")
    if isinstance(given, str):
        given = [given]
    inputs = checks.expect(given, list, "input")
    if inputs and type(inputs[0]) is int:
        inputs = [inputs]
    if not inputs or len(inputs) > MAX_INPUTS:
        raise refused(f"Invalid 'input': an array of 1 to {MAX_INPUTS} items.", "input", "invalid_array_length")
    return [_text(one, f"input[{index}]") for index, one in enumerate(inputs)]


def _text(one: object, path: str) -> str:
    """Read one text; each token becomes four characters, which the simulated model counts as one token again."""
    if isinstance(one, list):
        if not all(type(token) is int and 0 <= token < 2**24 for token in one):
            raise checks.wrong_value(one, path)
        one = "".join([b64encode(token.to_bytes(3, "big")).decode() for token in one])
    text: str = checks.expect(one, str, path)
    if not text:
        raise checks.wrong_value(one, path)
    return text


class Embeddings(OpenAIWire):
    """Embeddings, which are not streamed."""

    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:  # noqa: ARG002  # the answer has no id
        """Write the `list` of vectors, in the order of the texts."""
        notes = request.notes
        data: list[dict[str, Any]] = []
        for index, text in enumerate(notes["texts"]):
            vector = unit_vector(request.model, text, notes["dimensions"])
            written = b64encode(packed(vector)).decode() if notes["encoding"] == "base64" else vector
            data.append({"object": "embedding", "index": index, "embedding": written})
        usage = {"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.prompt_tokens}
        return orjson.dumps({"object": "list", "data": data, "model": request.model, "usage": usage})
