"""Tokens: what a call used, what it asks of the gates, and what a provider says of its limits."""

from __future__ import annotations

from decimal import Context, Decimal

from attrs import frozen

from penstock.schema.makers import maker_of
from penstock.schema.serial import Record

__all__ = [
    "EXACT_USD",
    "NO_DEMAND",
    "NO_USAGE",
    "ZERO_USD",
    "Demand",
    "LimitReading",
    "Usage",
    "add_usd",
    "make_demand",
]


@frozen(kw_only=True)
class Usage(Record):
    """Tokens of one call, or a sum of calls, named after the OpenTelemetry GenAI attributes.

    Every other count of tokens is a part of one of the first two, and 0 where the provider does not tell it apart.
    Tokens of audio, images and video have fields because some models have prices for them; all others are text.

    Attributes:
        input_tokens: all input tokens, those read from or written to a cache included.
        output_tokens: all output tokens, reasoning included.
        cache_read_input_tokens: the part of the input that was read from the provider's cache.
        cache_read_input_audio_tokens: the part of these that is audio, and so of `input_audio_tokens` as well.
        cache_creation_input_tokens: the part of the input that was written to the provider's cache.
        cache_creation_1h_input_tokens: the part of these that is to be kept for an hour, which Anthropic charges more.
        input_audio_tokens, input_image_tokens, input_video_tokens: the parts of the input that are no text.
        output_audio_tokens, output_image_tokens: the parts of the output that are no text.
        reasoning_output_tokens: the part of the output that was reasoning.
        web_search_requests: searches of the web that the provider made for the call, and charges by their number.
        estimated: True where penstock had to estimate: a call that was cut short, or that reported nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_read_input_audio_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    input_video_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    reasoning_output_tokens: int = 0
    web_search_requests: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, which is an estimate as soon as one part is."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_read_input_audio_tokens=self.cache_read_input_audio_tokens + other.cache_read_input_audio_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            cache_creation_1h_input_tokens=self.cache_creation_1h_input_tokens + other.cache_creation_1h_input_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            input_image_tokens=self.input_image_tokens + other.input_image_tokens,
            input_video_tokens=self.input_video_tokens + other.input_video_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            output_image_tokens=self.output_image_tokens + other.output_image_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
            web_search_requests=self.web_search_requests + other.web_search_requests,
            estimated=self.estimated or other.estimated,
        )


NO_USAGE = Usage()
"""Nothing used."""

ZERO_USD = Decimal(0)
"""Nothing spent; an unknown cost is None, never this."""

EXACT_USD = Context(prec=100)
"""How money is added and multiplied: a hundred digits, so that nothing is rounded, whatever context a thread has."""


def add_usd(total: Decimal | None, cost: Decimal | None) -> Decimal | None:
    """Return the exact sum; None, and not a sum that is too small, as soon as one of the two is unknown."""
    return None if total is None or cost is None else EXACT_USD.add(total, cost)


@frozen(kw_only=True)
class Demand(Record):
    """What one attempt asks of the gates, or has used: the provider says how it counts, the gates only add up.

    Attributes:
        input_tokens: tokens that the provider charges to its limits for the input.
        output_tokens: tokens that it charges for the output; 0 for a provider that limits input only.
        requests: 1, unless the provider counts otherwise, as Gemini does for texts to embed; one call all the same.
        cost_usd: what the attempt costs; None when the price is unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 1
    cost_usd: Decimal | None = None

    @property
    def tokens(self) -> int:
        """Input and output together: what a limit on all tokens counts."""
        return self.input_tokens + self.output_tokens


NO_DEMAND = Demand()
"""One request without a token."""

make_demand = maker_of(Demand)
"""Makes a demand, quickly: each request has three."""


@frozen(kw_only=True)
class LimitReading(Record):
    """One limit as a provider's response reports it.

    Attributes:
        dimension: "requests", "tokens", "input_tokens" or "output_tokens".
        limit: the limit per window; None when not reported.
        remaining: what is left at the moment of the response; 0 is a reading, None is none.
        reset_s: seconds until the limit is whole again.
    """

    dimension: str
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
