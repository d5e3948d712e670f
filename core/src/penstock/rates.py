"""The prices of one model, and the exact cost of a usage by them. Stands on `schema` alone; `costs` has the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter

from attrs import field, frozen

from penstock.schema import FrozenMapping, Usage
from penstock.schema.usage import EXACT_USD, ZERO_USD

__all__ = ["NEEDED", "OPTIONAL", "PARTS", "PART_KEYS", "Part", "Rates"]

NEEDED = ("input", "output")
OPTIONAL = ("cache_read", "cache_creation", "request", "web_search")
BY_NUMBER = ("request", "web_search")


@frozen
class Part:
    """Tokens that some models charge apart from the others of their kind.

    Attributes:
        key: of their price in an entry.
        listed_as: the key of their price in genai-prices.
        kind: "input" (what no cache had to do with), "cache_read", "cache_creation" or "output".
        count: gives their number in a usage.
    """

    key: str
    listed_as: str
    kind: str
    count: Callable[[Usage], int]


PARTS = (
    Part(
        "input_audio",
        "input_audio_mtok",
        "input",
        lambda usage: usage.input_audio_tokens - usage.cache_read_input_audio_tokens,
    ),
    Part("input_image", "input_image_mtok", "input", attrgetter("input_image_tokens")),
    Part("input_video", "input_video_mtok", "input", attrgetter("input_video_tokens")),
    Part("cache_read_audio", "cache_audio_read_mtok", "cache_read", attrgetter("cache_read_input_audio_tokens")),
    Part("cache_creation_1h", "cache_write_1h_mtok", "cache_creation", attrgetter("cache_creation_1h_input_tokens")),
    Part("output_audio", "output_audio_mtok", "output", attrgetter("output_audio_tokens")),
    Part("output_image", "output_image_mtok", "output", attrgetter("output_image_tokens")),
    Part("reasoning", "output_reasoning_mtok", "output", attrgetter("reasoning_output_tokens")),
)
PART_KEYS = tuple(part.key for part in PARTS)
_PART_OF = dict(zip(PART_KEYS, PARTS, strict=True))


def _parts_from(prices: Mapping[str, Decimal]) -> FrozenMapping[str, Decimal]:
    """Return the prices of parts; audio from a cache costs what other audio does where it has no price of its own."""
    audio = prices.get("input_audio")
    return FrozenMapping(prices if audio is None else {"cache_read_audio": audio, **prices})


@frozen
class Rates:
    """The prices of one model, in USD per million tokens; `request` and `web_search` in USD per million of these.

    Attributes:
        output: None when it is not known, as for a model that embeds.
        cache_read, cache_creation: None when cached tokens cost what other input costs.
        parts: the prices of `PARTS`, by key; those that are not there cost what others of their kind do.
        tiers: the rates of calls with more input tokens than so many, the highest first; of the whole call.
    """

    input: Decimal
    output: Decimal | None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    request: Decimal = ZERO_USD
    parts: FrozenMapping[str, Decimal] = field(default=FrozenMapping(), converter=_parts_from)
    tiers: tuple[tuple[int, Rates], ...] = ()
    web_search: Decimal = ZERO_USD

    def cost(self, usage: Usage) -> Decimal | None:
        """Return the exact cost of one call in USD; None when it wrote output that has no price."""
        tokens = usage.input_tokens
        for start, rates in self.tiers:
            if tokens > start:
                return rates.cost(usage)
        written = usage.output_tokens
        if not tokens and not written:
            return ZERO_USD
        searches = usage.web_search_requests
        total = EXACT_USD.fma(self.web_search, searches, self.request) if searches else self.request
        read, created = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
        fresh = tokens - read - created
        if self.parts:
            counts = {"input": fresh, "cache_read": read, "cache_creation": created, "output": written}
            total = self._cost_of_parts(usage, counts, total)
            fresh, read, created, written = counts.values()
        if read > 0:
            total = EXACT_USD.fma(self.input if self.cache_read is None else self.cache_read, read, total)
        if created > 0:
            total = EXACT_USD.fma(self.input if self.cache_creation is None else self.cache_creation, created, total)
        if fresh > 0:  # a provider that reports more cached than input tokens is billed for the cached ones
            total = EXACT_USD.fma(self.input, fresh, total)
        if written > 0:
            if self.output is None:
                return None
            total = EXACT_USD.fma(self.output, written, total)
        return EXACT_USD.scaleb(total, -6)  # a division by a million that cannot round

    def _cost_of_parts(self, usage: Usage, counts: dict[str, int], total: Decimal) -> Decimal:
        """Return `total` with the tokens that have a price of their own, and take these out of `counts` by kind."""
        for key, price in self.parts.items():
            part = _PART_OF[key]
            if (count := part.count(usage)) > 0:
                counts[part.kind] -= count
                total = EXACT_USD.fma(price, count, total)
        return total

    def as_entry(self) -> FrozenMapping[str, Decimal]:
        """Return the rates in the shape that a cost table shows; those of the lowest tier."""
        entry = {name: getattr(self, name) for name in (*NEEDED, *OPTIONAL)} | self.parts
        return FrozenMapping(
            {name: value for name, value in entry.items() if value is not None and (value or name not in BY_NUMBER)}
        )
