"""What a call costs: the user's own prices first, genai-prices where it is installed, else unknown and never 0."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from penstock.rates import NEEDED, OPTIONAL, PART_KEYS, PARTS, Rates
from penstock.schema import FrozenMapping, Usage
from penstock.schema.usage import ZERO_USD

__all__ = ["MODEL_COSTS", "Amount", "CostTable", "load_prices", "price"]

Amount = float | Decimal | str
"""A price in USD per million; a float means the decimal it prints as, so 0.15 is exactly 0.15."""

LISTED_FOR_S = 60.0
"""Seconds for which a listed price is trusted before it is looked up again: some change with the hour or on a date."""

MOST_LISTED = 4096
"""Models whose listed price is remembered; model names come with requests, so there may be any number of them."""

LISTED_AS = {
    "bedrock": "aws",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertex": "google",
    "xai": "x-ai",
}
"""genai-prices' names of providers that penstock calls otherwise. Any other name must be the same in both: a price
guessed from a name such as "my-openai-proxy" would be worse than none."""


class CostTable(MutableMapping[str, Mapping[str, Amount]]):
    """Prices by "provider/model", or by a model's name alone: what is put in overrides every other source.

    `table["openai/gpt-4o-mini"] = {"input": 0.15, "output": 0.60, "cache_read": 0.075}` is in USD per million tokens;
    "cache_read" and "cache_creation" default to the input price, and "request" adds USD per million calls,
    "web_search" USD per million searches that the provider made. Prices of
    tokens that are charged apart: "input_audio", "input_image", "input_video", "cache_read_audio",
    "cache_creation_1h", "output_audio", "output_image" and "reasoning"; without one they cost what others do.
    Reading a model that was not put in answers from `under`, then from genai-prices, whose prices above a tier of
    input length do not show. Iteration and length cover what was put in.

    Raises:
        ValueError: an entry lacks a price, has an unknown one, or one that is no number of at least 0.
        KeyError: on reading, when no source knows the model.
    """

    def __init__(
        self, entries: Mapping[str, Mapping[str, Amount]] | None = None, *, under: CostTable | None = None
    ) -> None:
        self._rates: dict[str, Rates] = {}
        self._declared: dict[str, Rates] = {}
        self._under = under
        self.update(entries or {})

    def rates(self, provider: str, model: str) -> Rates | None:
        """Return what a model costs: by "provider/model", by "model", from `under`, from genai-prices, as declared."""
        own = self._rates
        found = own.get(f"{provider}/{model}") or own.get(model) if own else None
        if found is None:
            found = _listed(provider, model) if self._under is None else self._under.rates(provider, model)
        if found is None and self._declared:
            found = self._declared.get(f"{provider}/{model}") or self._declared.get(f"{provider}/*")
        return found

    def declare(self, provider: str, entries: Mapping[str, Mapping[str, Amount]]) -> None:
        """Take the prices that a provider has for its own models, by model or "*"; every other source goes before.

        Raises ValueError as putting them in does.
        """
        for model, entry in entries.items():
            key = f"{provider}/{model}"
            self._declared[key] = _rates_from(key, entry)

    def __getitem__(self, key: str) -> FrozenMapping[str, Decimal]:
        rates = self._rates.get(key)
        if rates is None:
            provider, slash, model = key.partition("/")
            if not slash and self._under is not None:
                return self._under[key]
            rates = self.rates(provider, model) if slash else None
        if rates is None or rates.output is None:
            raise KeyError(key)
        return rates.as_entry()

    def __setitem__(self, key: str, entry: Mapping[str, Amount]) -> None:
        self._rates[key] = _rates_from(key, entry)

    def __delitem__(self, key: str) -> None:
        del self._rates[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def __repr__(self) -> str:
        return f"CostTable({ {key: dict(rates.as_entry()) for key, rates in self._rates.items()} })"


MODEL_COSTS = CostTable()
"""The prices that every service uses unless it has its own; put in what genai-prices lacks or has wrong."""


def price(
    provider: str, model: str, usage: Usage, overrides: Mapping[str, Mapping[str, Amount]] = MODEL_COSTS
) -> Decimal | None:
    """Return the exact cost of one call in USD; None when the model's price is unknown.

    (input - cache_read - cache_creation) * input price + cache_read * its price + cache_creation * its price
    + output * output price, divided by a million; nothing is rounded. `usage.input_tokens` includes the cached ones.
    `PARTS` that have a price of their own are taken out first. Make `overrides` a `CostTable` once if you call this
    often.
    The first call of a model that has no override imports genai-prices: see `load_prices`.
    """
    table = overrides if isinstance(overrides, CostTable) else CostTable(overrides)
    rates = table.rates(provider, model)
    return None if rates is None else rates.cost(usage)


def load_prices() -> bool:
    """Import genai-prices, which takes some tenths of a second; say whether it is there. Call it off the event loop."""
    return _price_list() is not None


# ---------------------------------------------------------------- entries of the user's


def _rates_from(key: str, entry: Any) -> Rates:
    if not isinstance(entry, Mapping):
        kind = type(entry).__name__
        raise ValueError(f"costs[{key!r}] must be a mapping with 'input' and 'output', not {kind}")  # noqa: TRY004  # settings
    known = (*NEEDED, *OPTIONAL, *PART_KEYS)
    for name in NEEDED:
        if name not in entry:
            raise ValueError(f"costs[{key!r}] lacks {name!r}, in USD per million tokens")
    for name in entry:
        if name not in known:
            raise ValueError(f"costs[{key!r}] has an unknown key {name!r}; known are {', '.join(known)}")
    amounts = {name: _amount_from(f"costs[{key!r}][{name!r}]", value) for name, value in entry.items()}
    return Rates(
        amounts["input"],
        amounts["output"],
        amounts.get("cache_read"),
        amounts.get("cache_creation"),
        amounts.get("request", ZERO_USD),
        {name: amount for name, amount in amounts.items() if name in PART_KEYS},
        web_search=amounts.get("web_search", ZERO_USD),
    )


def _amount_from(path: str, value: Amount) -> Decimal:
    try:
        amount = Decimal(str(value))  # str, so that the float 0.15 becomes 0.15 and not its binary neighbour
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise ValueError(f"{path} must be a number of at least 0, not {value!r}")
    return amount


# ---------------------------------------------------------------- genai-prices

_remembered: dict[tuple[str, str], tuple[float, Rates | None]] = {}


def _listed(provider: str, model: str) -> Rates | None:
    """Return genai-prices' rates of a model, remembered for `LISTED_FOR_S` seconds."""
    key = (provider, model)
    now = time.monotonic()
    until, rates = _remembered.get(key, (-1.0, None))
    if until < now:
        if len(_remembered) >= MOST_LISTED:
            _remembered.clear()
        rates = _look_up(provider, model)
        _remembered[key] = (now + LISTED_FOR_S, rates)
    return rates


def _price_list() -> Any:
    """Return genai-prices' newest list; None where it is not installed."""
    try:
        # Late: it brings pydantic and two thousand models, which `import penstock` must not wait for.
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    return get_snapshot()


def _look_up(provider: str, model: str) -> Rates | None:
    listing = _price_list()
    listed_as = LISTED_AS.get(provider, provider)
    if listing is None or all(known.id != listed_as for known in listing.providers):
        return None
    try:
        _, info = listing.find_provider_model(model, None, listed_as, None)
    except LookupError:
        return None
    return _rates_of(info.get_prices(datetime.now(UTC)))


def _rates_of(prices: Any) -> Rates | None:
    """Return genai-prices' `ModelPrice` as rates, one for each tier; None when it has no price of text input."""
    tokens = (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok, prices.cache_write_mtok)
    if tokens[0] is None:
        return None
    request = prices.requests_kcount or ZERO_USD
    search = prices.web_searches_kcount or ZERO_USD
    parts = {part.key: price for part in PARTS if (price := getattr(prices, part.listed_as, None)) is not None}
    tiered = (*tokens, *parts.values())
    starts = sorted({tier.start for price in tiered for tier in getattr(price, "tiers", ())}, reverse=True)

    def above(start: int, *tiers: tuple[int, Rates]) -> Rates:
        charged = [_at(price, start) for price in tokens]
        apart = {key: _at(price, start) for key, price in parts.items()}
        called, searched = _at(request, start) * 1000, _at(search, start) * 1000
        return Rates(charged[0], charged[1], charged[2], charged[3], called, apart, tiers, searched)

    return above(-1, *((start, above(start)) for start in starts))


def _at(value: Any, start: int) -> Any:
    """Return a price as it is for calls just above `start` input tokens."""
    tiers = getattr(value, "tiers", None)
    if tiers is None:
        return value
    return next((tier.price for tier in reversed(tiers) if tier.start <= start), value.base)
