"""What a run would send, counted in advance: rows, tokens and price, without a call."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import define, field

from penstock.bulk.lines import Row, RowError
from penstock.bulk.reading import Input
from penstock.bulk.run import RunOptions
from penstock.bulk.seen import RowParser
from penstock.bulk.tally import Tally
from penstock.contracts import CHARS_PER_TOKEN, UNSTATED_OUTPUT_TOKENS
from penstock.schema import GenerationRequest, Usage
from penstock.schema.usage import NO_USAGE, ZERO_USD, add_usd

__all__ = ["Estimate", "ModelEstimate", "estimate_run"]

Price = Callable[[str, str, Usage], Decimal | None]


@define
class ModelEstimate:
    """What one model would be sent; `cost_usd` is None when its price is not known."""

    rows: int = 0
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = ZERO_USD


@define
class Estimate:
    """A run before it is made. Tokens are estimates, four characters each; the output counts at its most.

    Attributes:
        tally: the rows, and those that would fail for what is wrong with their lines.
        models: by "provider/model"; "" are the rows for the default model, when its name is not known here.
    """

    tally: Tally = field(factory=Tally)
    models: dict[str, ModelEstimate] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data; costs are exact strings, or null where no price is known."""
        return {
            "dry_run": True,
            "rows": self.tally.read,
            "malformed": self.tally.failed,
            "errors": self.tally.to_dict()["errors"],
            "models": {
                name: {
                    "rows": model.rows,
                    "input_tokens": model.usage.input_tokens,
                    "output_tokens_at_most": model.usage.output_tokens,
                    "cost_usd_at_most": None if model.cost_usd is None else f"{model.cost_usd:f}",
                }
                for name, model in self.models.items()
            },
        }


async def estimate_run(source: Input, options: RunOptions, price: Price, *, default_model: str | None) -> Estimate:
    """Read the whole input and add up what it would ask for; raises one of `UNREADABLE` where it breaks."""
    estimate, parser = Estimate(), RowParser(options.rules)
    while (batch := await source.next_lines()) is not None:
        for raw in batch:
            if estimate.tally.read == options.limit:
                return estimate
            if not raw.is_blank:
                _add(estimate, parser.parse(raw), price, default_model)
    return estimate


def _add(estimate: Estimate, row: Row | RowError, price: Price, default_model: str | None) -> None:
    estimate.tally.read += 1
    if isinstance(row, RowError):
        estimate.tally.add_unsent(row)
        return
    name = row.request.model or default_model or ""
    provider, _, model_name = name.partition("/")
    usage = _usage(row.request)
    cost = price(provider, model_name, usage)
    model = estimate.models.setdefault(name, ModelEstimate())
    model.rows += 1
    model.usage += usage
    model.cost_usd = add_usd(model.cost_usd, cost)


def _usage(request: GenerationRequest) -> Usage:
    """Return the tokens of one call by the core's rule of thumb; the output at its most, where the request says it."""
    if request.inputs:
        return Usage(input_tokens=sum(map(len, request.inputs)) // CHARS_PER_TOKEN + 1, estimated=True)
    chars = sum(len(message.text) for message in request.conversation)
    stated = request.max_tokens or request.extra.get("max_completion_tokens")
    most = stated if isinstance(stated, int) else UNSTATED_OUTPUT_TOKENS
    return Usage(input_tokens=chars // CHARS_PER_TOKEN + 1, output_tokens=most, estimated=True)
