"""Tokens as the API reports them, normalised; and what a call will count against the limits. Pure."""

from __future__ import annotations

from typing import Any, Final

from penstock.schema import AudioPart, Demand, ImagePart, LLMCallRequest, Message, TextPart, Usage
from penstock_openai.tokens import Count, fast_count

__all__ = ["demand_of", "response_usage_of", "usage_of"]

MESSAGE_TOKENS: Final = 3
"""What each message is counted beside its text: recorded calls of one message were counted 2 to 3 more than
characters / 4."""

MEDIA_TOKENS: Final = 765
"""What an image or a document is counted, whatever its size. Recorded: 773, 776, 778 and 783 tokens were taken from
the limit by messages of 21 to 63 characters with one image or file. It is OpenAI's published figure for an image of
1024 by 1024 at high detail."""

LOW_DETAIL_TOKENS: Final = 85
"""OpenAI's published figure for an image at low detail."""

UNSTATED_MAX_TOKENS: Final = 16
"""What is counted for the output of a request that states no maximum: the API's old default, which OpenAI's own
example of a parallel client reserves too."""


def usage_of(data: Any) -> Usage | None:
    """Return the usage of an answer; None where it reports none.

    Input includes what came from a cache, as OpenAI reports it. Where `total_tokens` is more than input and output,
    the rest is what the server left out of one of them: Mistral's audio input, or the reasoning of xAI and of
    Gemini's compatible endpoint.
    """
    if not isinstance(data, dict) or ("prompt_tokens" not in data and "completion_tokens" not in data):
        return None
    given, made = _count(data.get("prompt_tokens")), _count(data.get("completion_tokens"))
    input_details = data.get("prompt_tokens_details") or {}
    output_details = data.get("completion_tokens_details") or {}
    rest = _count(data.get("total_tokens")) - given - made
    if rest > 0:
        if rest == _count(input_details.get("audio_tokens")):
            given += rest
        else:
            made += rest
    read = min(given, _cached(data, input_details))
    usage = _usage(given, made, read, input_details, output_details)
    searches = (data.get("server_tool_use_details") or {}).get("web_search_requests")  # OpenRouter's
    return usage.replace(web_search_requests=_count(searches)) if searches else usage


def response_usage_of(response: Any) -> Usage | None:
    """Return the usage of a Responses answer, where input includes what came from a cache; None where it has none.

    Searches of the web are those that OpenAI's newer answers count; else the items of a search, not those of a page
    that was opened.
    """
    data = response.get("usage")
    if not isinstance(data, dict) or "input_tokens" not in data:
        return None
    given, made = _count(data["input_tokens"]), _count(data.get("output_tokens"))
    input_details = data.get("input_tokens_details") or {}
    output_details = data.get("output_tokens_details") or {}
    read = min(given, _count(input_details.get("cached_tokens")))
    usage = _usage(given, made, read, input_details, output_details)
    searches = _searches(response)
    return usage.replace(web_search_requests=searches) if searches else usage


def _searches(response: dict[str, Any]) -> int:
    """Return how often the API searched the web for an answer."""
    counted = ((response.get("tool_usage") or {}).get("web_search") or {}).get("num_requests")
    if counted is not None:
        return _count(counted)
    calls = (item for item in response.get("output") or () if item.get("type") == "web_search_call")
    return sum((call.get("action") or {}).get("type", "search") == "search" for call in calls)


def _usage(given: int, made: int, read: int, input_details: dict[str, Any], output_details: dict[str, Any]) -> Usage:
    """Return the usage with those parts of input and output that both APIs name alike."""
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=min(given - read, _count(input_details.get("cache_write_tokens"))),
        input_audio_tokens=min(given, _count(input_details.get("audio_tokens"))),
        input_image_tokens=min(given, _count(input_details.get("image_tokens"))),
        output_audio_tokens=min(made, _count(output_details.get("audio_tokens"))),
        output_image_tokens=min(made, _count(output_details.get("image_tokens"))),
        reasoning_output_tokens=min(made, _count(output_details.get("reasoning_tokens"))),
    )


def _cached(data: dict[str, Any], details: dict[str, Any]) -> int:
    """Return the tokens read from a cache, under the names of OpenAI, Mistral, DeepSeek and Moonshot."""
    if "cached_tokens" in details:
        return _count(details["cached_tokens"])
    return _count(data.get("num_cached_tokens") or data.get("prompt_cache_hit_tokens") or data.get("cached_tokens"))


def _count(value: Any) -> int:
    """Return a number of tokens; 0 where none is reported. Raises TypeError or ValueError for what is no number."""
    return max(0, int(value)) if value else 0


def demand_of(request: LLMCallRequest, *, reserve_output: bool, count: Count = fast_count) -> Demand:
    """Return what the API takes from its limits when the call comes in, as far as that is known.

    Input: texts by `count`, 3 tokens a message and a flat number for an image or a document; tools are not counted.
    Output: `max_tokens` for each choice asked for, as OpenAI documents it, when `reserve_output` is set. Texts to embed
    are counted without any supplement, as recorded calls were, and have no output.
    """
    if request.inputs:
        return Demand(input_tokens=sum(map(count, request.inputs)) + 1)
    tokens = 1
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            tokens += count(content) + MESSAGE_TOKENS
        else:
            tokens += _parts(message, count)
    return Demand(input_tokens=tokens, output_tokens=_most_output(request) if reserve_output else 0)


def _parts(message: Message, count: Count) -> int:
    tokens = count(message.text) + MESSAGE_TOKENS
    for part in message.content:
        if isinstance(part, ImagePart) and part.detail == "low":
            tokens += LOW_DETAIL_TOKENS
        elif not isinstance(part, TextPart | AudioPart | str):
            tokens += MEDIA_TOKENS
    return tokens


def _most_output(request: LLMCallRequest) -> int:
    """Return the most tokens that all choices together may have; what `extra` says wins, as it does in the payload."""
    extra = request.extra
    named = (extra.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    stated = next(filter(None, named), request.max_tokens)
    most = stated if isinstance(stated, int) else UNSTATED_MAX_TOKENS
    choices = extra.get("n", 1)
    return most * choices if isinstance(choices, int) else most
