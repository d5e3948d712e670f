"""Tokens as the API reports them, normalised; and what a call will count against the limits. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from penstock.contracts import CHARS_PER_TOKEN
from penstock.schema import AudioPart, Demand, LLMCallRequest, Message, TextPart, Usage
from penstock_http import dumps

__all__ = ["demand_of", "usage_of"]

_MODALITIES: Final[Mapping[Any, str]] = MappingProxyType({2: "IMAGE", 3: "VIDEO", 4: "AUDIO"})
"""The numbers of those modalities that are billed apart: JSON of protocol buffers has enumerations as words or so."""

MEDIA_TOKENS: Final = 258
"""Google's published figure for a small image, for a tile of a larger one, and for a page of a document."""

AUDIO_BYTES_PER_TOKEN: Final = 1000
"""Google counts 32 tokens a second; a WAV file of speech (16 kHz, 16 bits) has 32,000 bytes a second."""


def usage_of(data: Any) -> Usage | None:
    """Return the usage of an answer; None where it reports none.

    `promptTokenCount` includes what came from a cache, but not what tools of the server's own added to the prompt;
    `candidatesTokenCount` leaves the thoughts out. Both are billed, as input and as output. The details tell the
    tokens of each modality apart; those of documents are billed as text is.
    """
    if not isinstance(data, dict) or data.keys().isdisjoint(("promptTokenCount", "candidatesTokenCount")):
        return None
    given = _count(data.get("promptTokenCount")) + _count(data.get("toolUsePromptTokenCount"))
    thoughts = _count(data.get("thoughtsTokenCount"))
    kinds = _by_modality(data, "promptTokensDetails", "promptTokenDetails", "toolUsePromptTokensDetails")
    made = _by_modality(data, "candidatesTokensDetails")
    return Usage(
        input_tokens=given,
        output_tokens=_count(data.get("candidatesTokenCount")) + thoughts,
        cache_read_input_tokens=min(given, _count(data.get("cachedContentTokenCount"))),
        cache_read_input_audio_tokens=_by_modality(data, "cacheTokensDetails")["AUDIO"],
        input_audio_tokens=kinds["AUDIO"],
        input_image_tokens=kinds["IMAGE"],
        input_video_tokens=kinds["VIDEO"],
        output_audio_tokens=made["AUDIO"],
        output_image_tokens=made["IMAGE"],
        reasoning_output_tokens=thoughts,
    )


def _by_modality(data: Mapping[str, Any], *lists: str) -> Counter[str]:
    """Return the tokens of each modality in these lists of details; embeddings have a name of their own for theirs."""
    counts: Counter[str] = Counter()
    for name in lists:
        for detail in data.get(name) or ():
            kind = detail["modality"]
            counts[_MODALITIES.get(kind, kind)] += _count(detail.get("tokenCount"))
    return counts


def _count(value: Any) -> int:
    """Return a number of tokens; 0 where none is reported. Raises TypeError or ValueError for what is no number."""
    return max(0, int(value)) if value else 0


def demand_of(request: LLMCallRequest) -> Demand:
    """Return what the API takes from its limits: tokens of the input alone, and a request for each text to embed.

    Four characters a token, as Google says too, for texts and for the tools' declarations, and Google's figures for
    media, whose real size is not known before the call.
    """
    if request.inputs:
        tokens = sum(len(text) // CHARS_PER_TOKEN + 1 for text in request.inputs)
        return Demand(input_tokens=tokens, output_tokens=0, requests=len(request.inputs))
    tokens = 1 + sum(_tokens(message) for message in request.messages)
    for tool in request.tools:
        chars = len(tool.name) + len(tool.description or "") + len(dumps(tool.parameters))
        tokens += chars // CHARS_PER_TOKEN
    return Demand(input_tokens=tokens, output_tokens=0)


def _tokens(message: Message) -> int:
    tokens = len(message.text) // CHARS_PER_TOKEN
    for call in message.tool_calls:
        tokens += len(call.arguments) // CHARS_PER_TOKEN
    if isinstance(message.content, str):
        return tokens
    for part in message.content:
        match part:
            case TextPart():
                pass
            case AudioPart():
                tokens += len(part.data) * 3 // 4 // AUDIO_BYTES_PER_TOKEN
            case _:
                tokens += MEDIA_TOKENS
    return tokens
