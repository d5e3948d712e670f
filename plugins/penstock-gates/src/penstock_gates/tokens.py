"""Input tokens and output tokens per minute, each with a limit of its own, as Anthropic has them."""

from __future__ import annotations

from penstock import Demand, Outcome, PacedGate

__all__ = ["ItpmGate", "OtpmGate"]


class ItpmGate(PacedGate):
    """Input tokens per minute: what the provider counts of the input, cache reads left out where it leaves them out."""

    name = "itpm"
    dimension = "input_tokens"

    def amount(self, demand: Demand) -> float:
        """Return the input tokens of `demand`."""
        return demand.input_tokens

    def charged(self, outcome: Outcome) -> float | None:
        """Return the input tokens really counted; None, so that the reservation stands, when nothing is known."""
        return None if outcome.used is None else outcome.used.input_tokens


class OtpmGate(PacedGate):
    """Output tokens per minute: reserved when the call leaves, settled to what was written when it is over."""

    name = "otpm"
    dimension = "output_tokens"

    def amount(self, demand: Demand) -> float:
        """Return the output tokens of `demand`."""
        return demand.output_tokens

    def charged(self, outcome: Outcome) -> float | None:
        """Return the output tokens really counted; None, so that the reservation stands, when nothing is known."""
        return None if outcome.used is None else outcome.used.output_tokens
