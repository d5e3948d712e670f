"""What a call will count against token limits: the provider's estimate, corrected by what its calls really counted."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from penstock.contracts import UNSTATED_OUTPUT_TOKENS
from penstock.schema import Demand, GenerationRequest, Usage
from penstock.schema.usage import make_demand

__all__ = ["Forecast", "at_most"]

MOST_KEYS = 1024
"""How many models and operations are learned apart; beyond that a new one takes the place of all."""

RECENT = 200
"""How many recent calls of a kind count."""

ENOUGH = 20
"""How many of them it takes before they are believed; the output's quantile is renewed as often."""

QUANTILE = 0.95
"""The part of recent calls that wrote no more than what is reserved for the output. The rest goes into debt, which
the gates collect when the call is settled."""

WEIGHT = 0.05
"""What a new call weighs in the running ratio of real to estimated input."""

LEAST_RATIO, MOST_RATIO = 0.1, 10.0


@define(eq=False)
class _Habit:
    """What calls of one model and operation have shown."""

    ratio: float = 1.0
    output: int | None = None
    seen: int = 0
    _outputs: deque[int] = field(factory=lambda: deque(maxlen=RECENT))

    def learn(self, estimated: Demand, counted: Demand) -> None:
        self.seen += 1
        self._outputs.append(counted.output_tokens)
        if estimated.input_tokens > 0:
            ratio = counted.input_tokens / estimated.input_tokens
            weight = max(WEIGHT, 1.0 / self.seen)
            self.ratio += weight * (min(MOST_RATIO, max(LEAST_RATIO, ratio)) - self.ratio)
        if self.seen % ENOUGH == 0:
            ordered = sorted(self._outputs)
            self.output = ordered[min(len(ordered) - 1, int(len(ordered) * QUANTILE))]

    def apply(self, estimated: Demand) -> Demand:
        output = estimated.output_tokens
        return make_demand(
            requests=estimated.requests,
            input_tokens=round(estimated.input_tokens * self.ratio),
            output_tokens=output if self.output is None else min(output, self.output),
            cost_usd=estimated.cost_usd,
        )


class Forecast:
    """Learns, by model and operation, how far a provider's estimates are from what it counts.

    Input is scaled by the running ratio of the two. For output it reserves what nearly all recent calls stayed
    within, and never more than the provider's estimate. A provider that counts what it reserved, such as one that
    charges `max_tokens` in advance, says so by returning None from `charge`, and nothing is learned.
    """

    def __init__(self) -> None:
        self._habits: dict[tuple[str, str | None], _Habit] = {}

    def expect(self, model: str, operation: str | None, estimated: Demand) -> Demand:
        """Return what a call estimated at `estimated` is likely to count."""
        habit = self._habits.get((model, operation))
        return estimated if habit is None or habit.seen < ENOUGH else habit.apply(estimated)

    def learn(self, model: str, operation: str | None, estimated: Demand, counted: Demand) -> None:
        """Take note of what a call that was estimated at `estimated` has really counted."""
        habit = self._habits.get((model, operation))
        if habit is None:
            if len(self._habits) >= MOST_KEYS:
                self._habits.clear()
            habit = self._habits[model, operation] = _Habit()
        habit.learn(estimated, counted)


def at_most(expected: Demand, estimated: Demand, request: GenerationRequest) -> Usage:
    """Return what a call may use, its output to the full: a budget of money must hold also when it does.

    `max_tokens` counts, and not only the demand, as what a provider sets against its limits is not all that it bills.
    """
    most = 0 if request.inputs else request.max_tokens or UNSTATED_OUTPUT_TOKENS  # what embeds writes nothing
    return Usage(
        input_tokens=max(expected.input_tokens, estimated.input_tokens),
        output_tokens=max(estimated.output_tokens, most),
    )
