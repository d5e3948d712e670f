"""The settings of the simulated server: one frozen object, checked when it is made."""

import math
from typing import Any

from attrs import Attribute, field, frozen, validators

from penstock_sim.limiters import SERVER_MODELS, ServerModel
from penstock_sim.text import NATURAL_TOKENS


def _not_negative(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be 0 or more, not {value}")


def _positive(_: object, attribute: "Attribute[Any]", value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{attribute.name} must be 1 or more, not {value}")


@frozen(kw_only=True)
class SimConfig:
    """How the server behaves. The defaults give one that answers everything at once.

    Times are in seconds, limits per minute. Raises ValueError for values out of range;
    faults and scripts are checked where they are read (`FaultPlan`).
    """

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=validators.and_(validators.ge(0), validators.le(65535)))
    """0 takes any free port."""

    rpm: int | None = field(default=None, validator=_positive)
    tpm: int | None = field(default=None, validator=_positive)
    input_tpm: int | None = field(default=None, validator=_positive)
    output_tpm: int | None = field(default=None, validator=_positive)
    """Limits on input and output each by itself, as Anthropic has them; `tpm` is on both together."""
    limiter: ServerModel = field(default="full", validator=validators.in_(SERVER_MODELS))
    count_failed: bool = False
    """Whether a request refused for its rate counts against the request limit."""
    assumed_max_tokens: int = field(default=16, validator=_not_negative)
    """What a request that does not say is charged for its output in advance."""

    latency_s: float = field(default=0.0, validator=_not_negative)
    jitter_s: float = field(default=0.0, validator=_not_negative)
    """Added to the latency: evenly spread from 0 to this."""
    chunk_gap_s: float = field(default=0.0, validator=_not_negative)
    """Time between two events of a stream."""

    faults: tuple[tuple[str, float], ...] = ()
    """Pairs of a fault (`NAME` or `NAME:SECONDS`) and its probability."""
    script: str = ""
    """Faults to serve first, one per request: `"ok*3,429,500,stall"`."""
    oversized_bytes: int = field(default=16 * 2**20, validator=_positive)

    seed: int = 0
    natural_tokens: tuple[int, int] = field(default=NATURAL_TOKENS)
    models: tuple[str, ...] = ()
    """The models that exist; empty: every name does."""
    context_tokens: int = field(default=128_000, validator=_positive)
    api_key: str | None = field(default=None, repr=False)
    """The only key that is let in; None: any, or none at all."""

    max_body_bytes: int = field(default=32 * 2**20, validator=_positive)
    grace_s: float = field(default=5.0, validator=_not_negative)
    """How long stopping waits for answers under way."""

    @natural_tokens.validator
    def _check_natural_tokens(self, _: object, value: tuple[int, int]) -> None:
        if not 1 <= value[0] <= value[1]:
            raise ValueError(f"natural_tokens must be a least and a greatest length, 1 or more, not {value}")
