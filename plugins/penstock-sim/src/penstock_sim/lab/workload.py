"""The requests of an experiment: an endless, seeded sequence of sizes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate

from attrs import frozen

from penstock_sim.lab.config import LabConfig

__all__ = ["Load", "Workload"]


@frozen
class Load:
    """The tokens of one request: of its prompt, and the most that may be generated."""

    input_tokens: int
    max_tokens: int


class Workload:
    """What one client sends; `next` gives the request after the last, the oversized one when its time has come."""

    def __init__(self, config: LabConfig, client: int) -> None:
        sizes = config.sizes
        self._share = config.output_share
        self._loads = tuple(self._load(tokens) for tokens in sizes.tokens)
        self._drawn = self._draws(list(accumulate(sizes.weights)), random.Random(f"sizes {config.seed} {client}"))  # noqa: S311  # repeatable, not secret
        oversized = config.tpm is not None and sizes.oversized > 0 and client == 0
        self._oversized = self._load(round((config.tpm or 0) * sizes.oversized)) if oversized else None
        self._oversized_at_s = config.duration_s / 4

    def next(self, at_s: float) -> Load:
        """Return the request that begins to wait `at_s` seconds into the run."""
        if self._oversized is not None and at_s >= self._oversized_at_s:
            load, self._oversized = self._oversized, None
            return load
        return next(self._drawn)

    def _load(self, tokens: int) -> Load:
        output = round(tokens * self._share)
        return Load(tokens - output, output)

    def _draws(self, cumulative: list[float], source: random.Random) -> Iterator[Load]:
        while True:
            yield from source.choices(self._loads, cum_weights=cumulative, k=1000)
