"""Texts to embed as the body of `POST /embeddings`, and its answer as a reply. Pure.

Sources: OpenAI's published specification; recorded answers of OpenAI, Azure, Mistral, OpenRouter and vLLM.
"""

from __future__ import annotations

import binascii
import struct
from typing import Any

from penstock.errors import ErrorType, ProviderError
from penstock.schema import LLMCallRequest, ProviderReply
from penstock_openai.request import Dialect
from penstock_openai.usage import usage_of

__all__ = ["embedding_payload_of", "reply_of_embeddings"]

_OF_TEXT = ("max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
"""The fields of a request that are about an answer in words."""


def embedding_payload_of(request: LLMCallRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the body for `request`; what `extra` holds goes in as it is and wins over the field of its name.

    Raises `ProviderError` of `INVALID_REQUEST` for a field that has no meaning here, with its name.
    """
    for name in _OF_TEXT:
        if getattr(request, name) not in (None, ()):
            raise ProviderError(f"{name}: has no meaning for inputs to embed", ErrorType.INVALID_REQUEST)
    payload: dict[str, Any] = {"model": request.model, "input": list(request.inputs)}
    if request.dimensions is not None:
        payload[dialect.dimensions_field] = request.dimensions
    return {**payload, **request.extra}


def reply_of_embeddings(data: Any) -> ProviderReply:
    """Return the vectors of an answer, put in the order of the inputs by their `index`."""
    usage = usage_of(_counted(data.get("usage")))
    found = sorted(data["data"], key=lambda item: int(item["index"]))
    if [item["index"] for item in found] != list(range(len(found))):
        raise ValueError("a vector of some input is missing, or there twice")
    return ProviderReply(
        None,
        usage,
        response_model=data.get("model"),
        response_id=data.get("id"),
        embeddings=tuple(_vector(item["embedding"]) for item in found),
    )


def _counted(usage: Any) -> Any:
    """Return the usage with its input, which is all that there is: some servers, such as Voyage's, tell the total."""
    if isinstance(usage, dict) and "prompt_tokens" not in usage and "total_tokens" in usage:
        return {**usage, "prompt_tokens": usage["total_tokens"]}
    return usage


def _vector(embedding: Any) -> tuple[float, ...]:
    """Return a vector from a list of numbers, or from the base64 of its 32-bit floats, the lowest byte first."""
    if not isinstance(embedding, str):
        return tuple(map(float, embedding))
    raw = binascii.a2b_base64(embedding, strict_mode=True)
    if len(raw) % 4:
        raise ValueError("half a number at the end of a vector")
    return struct.unpack(f"<{len(raw) // 4}f", raw)
