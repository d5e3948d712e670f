"""Tokens as the Messages API reports them, normalised; and what a call will count against the limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from penstock.contracts import CHARS_PER_TOKEN
from penstock.schema import AudioPart, Demand, LLMCallRequest, Message, TextPart, ToolDefinition, Usage
from penstock_http import dumps

__all__ = ["charged", "demand_of", "latest", "usage_of"]

MESSAGE_TOKENS: Final = 8
"""What each message is counted beside its text: recorded calls of one short message were counted 8 to 10 more than
characters / 4."""

TOOLS_TOKENS: Final = 500
"""What the presence of tools is counted beside their definitions / 4: the median of 129 recorded calls is 506. The
API adds a prompt of its own to each such call."""

MEDIA_TOKENS: Final = 1600
"""What an image or a document is counted, whatever its size: an image of 1.15 megapixels or more is scaled to about
1,600 tokens by Anthropic's guide to vision, and recorded calls with a PDF of one page were counted 1,590 to 1,620."""


def usage_of(data: Mapping[str, Any]) -> Usage:
    """Return the usage of an answer or of an event; input includes what was read from and written to the cache.

    `input_tokens` of the API leaves the cache out. A compaction that the server made on the way is billed but not in
    the totals, so it is added here; what an advisor model used is billed at that model's price and left out.
    """
    runs = [data, *(run for run in data.get("iterations") or () if run.get("type") == "compaction")]

    def total(name: str) -> int:
        return sum(_count(run.get(name)) for run in runs)

    read, written, made = total("cache_read_input_tokens"), total("cache_creation_input_tokens"), total("output_tokens")
    for_an_hour = sum(_count((run.get("cache_creation") or {}).get("ephemeral_1h_input_tokens")) for run in runs)
    details = data.get("output_tokens_details") or {}
    return Usage(
        input_tokens=total("input_tokens") + read + written,
        output_tokens=made,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=min(written, for_an_hour),
        reasoning_output_tokens=min(made, _count(details.get("thinking_tokens"))),
        web_search_requests=_count((data.get("server_tool_use") or {}).get("web_search_requests")),
    )


def latest(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream's usage so far: counts are cumulative, and what a later event leaves out still stands."""
    return {**earlier, **{name: value for name, value in later.items() if value is not None}}


def _count(value: Any) -> int:
    """Return a number of tokens; 0 where none is reported. Raises TypeError or ValueError for what is no number."""
    return max(0, int(value)) if value else 0


def charged(usage: Usage) -> Demand:
    """Return what the API sets against its limits for a finished call: cache reads are free, output is as generated."""
    return Demand(
        input_tokens=usage.input_tokens - usage.cache_read_input_tokens,
        output_tokens=usage.output_tokens,
    )


def demand_of(request: LLMCallRequest, *, max_tokens: int) -> Demand:
    """Return what a call will count at most, as far as that is known: no cache is taken for granted.

    Input: characters / 4, and flat numbers for messages, tools and media. Output: `max_tokens`.
    """
    tokens = sum(_message(message) for message in request.messages)
    if request.tools:
        tokens += TOOLS_TOKENS + sum(_tool(tool) for tool in request.tools)
    return Demand(input_tokens=tokens, output_tokens=max_tokens)


def _message(message: Message) -> int:
    chars = len(message.text) + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    parts = () if isinstance(message.content, str) else message.content
    media = sum(1 for part in parts if not isinstance(part, TextPart | AudioPart))
    return chars // CHARS_PER_TOKEN + MESSAGE_TOKENS + media * MEDIA_TOKENS


def _tool(tool: ToolDefinition) -> int:
    return (len(tool.name) + len(tool.description or "") + len(dumps(tool.parameters))) // CHARS_PER_TOKEN
