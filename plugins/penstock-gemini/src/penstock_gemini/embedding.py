"""Texts to embed as a body, and the vectors that come back: the Gemini API's way, and those of Vertex AI. Pure.

Sources: Google's API reference (batchEmbedContents, embedContent, the text embeddings of `predict`), the types of its
Python client, and recorded exchanges.
"""

from __future__ import annotations

from typing import Any, Final

from penstock.errors import ErrorType, ProviderError
from penstock.schema import LLMCallRequest, ProviderReply, Usage
from penstock_gemini.usage import usage_of

__all__ = ["embedding_payload_of", "embeddings_of", "vertex_embedding_payload_of"]

MOST_INPUTS: Final = 100
"""Texts of one call: the API refuses more."""

OF_AN_INSTANCE = ("task_type", "title")
"""What `predict` takes with each text; what else it takes is for all of them."""


def embedding_payload_of(request: LLMCallRequest) -> dict[str, Any]:
    """Return the body of `batchEmbedContents`, with the model beside it; `extra` goes into the request of each text."""
    _check(request)
    own = {"outputDimensionality": request.dimensions} if request.dimensions is not None else {}
    place = request.model if "/" in request.model else f"models/{request.model}"
    requests = [{"model": place, "content": _content(text), **own, **request.extra} for text in request.inputs]
    return {"model": request.model, "requests": requests}


def vertex_embedding_payload_of(request: LLMCallRequest) -> dict[str, Any]:
    """Return the body for Vertex AI, with the model beside it, for the method that has a model of this name.

    That is `embedContent` or, for several texts, `batchEmbedContents` for Gemini's own and for open models, and
    `predict` for the older ones, of which gemini-embedding-001 is one. `extra` goes into the configuration of each
    text, or into the parameters of `predict`.
    """
    _check(request)
    config = {"outputDimensionality": request.dimensions} if request.dimensions is not None else {}
    config |= request.extra
    if _is_older(request.model.rpartition("/")[2]):
        own = {name: config.pop(name) for name in OF_AN_INSTANCE if name in config}
        instances = [{"content": text, **own} for text in request.inputs]
        return {"model": request.model, "instances": instances, **({"parameters": config} if config else {})}
    bodies = [
        {"content": _content(text), **({"embedContentConfig": config} if config else {})} for text in request.inputs
    ]
    return {"model": request.model, **(bodies[0] if len(bodies) == 1 else {"requests": bodies})}


def _is_older(name: str) -> bool:
    """Whether Vertex AI embeds with a model by `predict` alone: as Google's client tells them apart, by the name."""
    return name == "gemini-embedding-001" or ("gemini" not in name and "maas" not in name)


def _check(request: LLMCallRequest) -> None:
    if len(request.inputs) > MOST_INPUTS:
        raise ProviderError(
            f"inputs: Gemini embeds at most {MOST_INPUTS} texts a call, not {len(request.inputs)}",
            ErrorType.INVALID_REQUEST,
        )


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def embeddings_of(data: Any) -> ProviderReply | None:
    """Return the vectors in an answer of any of the three methods; None for an answer that has none."""
    if not isinstance(data, dict):
        return None
    usage = usage_of(data.get("usageMetadata"))
    if "predictions" in data:
        found = [prediction["embeddings"] for prediction in data["predictions"]]
        counts = [each["statistics"]["token_count"] for each in found if "statistics" in each]
        usage = Usage(input_tokens=sum(map(int, counts))) if counts else usage
    elif "embedding" in data:
        found = [data["embedding"]]
    elif "embeddings" in data:
        found = data["embeddings"]
    else:
        return None
    return ProviderReply(None, usage, embeddings=tuple(tuple(map(float, each["values"])) for each in found))
