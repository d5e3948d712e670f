"""What an experiment is: the server, the network, the requests and the gates; one frozen object."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from operator import mul
from typing import Final, Literal, get_args

from attrs import field, frozen, validators

from penstock import Gate, RetryPolicy
from penstock_sim.limiters import MINUTE_S, SERVER_MODELS, ServerModel

__all__ = ["BACKENDS", "CHARGING", "Backend", "Charging", "LabConfig", "Sizes"]

Backend = Literal["asyncio", "trio"]
BACKENDS: Final[tuple[Backend, ...]] = get_args(Backend)

Charging = Literal["reserve", "usage", "input"]
CHARGING: Final[tuple[Charging, ...]] = get_args(Charging)

CONSTANT_TOKENS: Final = 1000
BIMODAL_TOKENS: Final = (50, 8000)
UNDER_WAY: Final = 1000
"""How many requests a `Service` keeps under way by itself; the lab adds what long latencies need."""

OVERSIZED: Final = 1.5
"""How much larger than the whole budget the one oversized request is."""


@frozen
class Sizes:
    """How large requests are: their tokens, prompt and `max_tokens` together, and how often each size comes.

    Attributes:
        tokens: the sizes.
        weights: how often each comes, relative to the others.
        oversized: a single request of this many times the token limit comes after a quarter of the run; 0: none.
    """

    tokens: tuple[int, ...] = (CONSTANT_TOKENS,)
    weights: tuple[float, ...] = (1.0,)
    oversized: float = field(default=0.0, validator=validators.ge(0))

    def __attrs_post_init__(self) -> None:
        if not self.tokens or len(self.tokens) != len(self.weights):
            raise ValueError("sizes: as many weights as sizes are needed, at least one")
        if min(self.tokens) < 1 or not all(0 < weight < math.inf for weight in self.weights):
            raise ValueError("sizes: tokens must be 1 or more, and weights positive")

    @property
    def mean(self) -> float:
        """The mean of all sizes but the oversized one's."""
        return math.fsum(map(mul, self.tokens, self.weights)) / sum(self.weights)

    def __str__(self) -> str:
        """Return the sizes; the oversized one as a multiple of the limit."""
        sizes = ",".join(map(str, self.tokens))
        return f"{sizes},{self.oversized:g}x" if self.oversized else sizes

    @classmethod
    def parse(cls, text: str) -> Sizes:
        """Read "constant", "bimodal", "oversized", or TOKENS[:WEIGHT],...; raises ValueError for anything else."""
        match text:
            case "constant":
                return cls()
            case "bimodal":
                return cls(BIMODAL_TOKENS, (1.0, 1.0))
            case "oversized":
                return cls(oversized=OVERSIZED)
        pairs = [part.partition(":") for part in text.split(",")]
        try:
            return cls(
                tuple(int(size) for size, _, _ in pairs), tuple(float(w) if colon else 1.0 for _, colon, w in pairs)
            )
        except ValueError as error:
            raise ValueError(
                f"sizes {text!r}: write constant, bimodal, oversized, "
                f"or TOKENS[:WEIGHT],... such as 200:3,4000 ({error})"
            ) from None


def _range(name: str, low: float, high: float, *, most: float = math.inf) -> None:
    if not (0 <= low <= high <= most and low < math.inf and (high < math.inf)):
        raise ValueError(f"{name} must be a least and a greatest value, 0 or more, not {low:g}:{high:g}")


@frozen(kw_only=True)
class LabConfig:
    """One experiment. Times are seconds, limits per minute; raises ValueError for values that cannot be.

    Attributes:
        gates: makes the gates of one client; called once for each, so that clients share nothing.
        server: how the server enforces its limits, as in `penstock sim serve`.
        rpm, tpm: the server's limits; at least one.
        charging: what counts as tokens: "reserve" the prompt and `max_tokens`, on arrival (OpenAI, Azure); "usage" the
            prompt on arrival and the output once it is generated (Anthropic); "input" the prompt alone (Gemini).
        count_failed: whether refused requests count against `rpm`.
        headers: whether answers report the state of the limits.
        hints: whether a refusal says how long to wait.
        jitter_s: least and greatest time that a request takes to the server; later ones may overtake.
        latency_s: least and greatest time from there to the answer. A refusal comes at once.
        minutes: length of the run.
        sizes: of the requests.
        output_share: the part of a request's tokens that is `max_tokens`; the rest is the prompt.
        output_used: least and greatest part of `max_tokens` that is really generated.
        clients: programs that share the server, and its limits, without knowing of each other.
        change: (factor, minute): from that minute on the server's limits are this many times as large.
        backlog: how many requests each client always has waiting.
        most_tasks: how many requests a client has under way at most, those that wait or back off included; None: a
            thousand, and twice what the limits allow to be in flight.
        model: "provider/model" that the requests name, for gates that match some models only.
        retry: the clients' policy.
        seed: of all that is random.
        backend: runs a whole `Service` on this event loop, seven times as slowly; None: nothing but the gates, their
            queues and the retries.
    """

    gates: Callable[[], Iterable[Gate]]
    server: ServerModel = field(default="full", validator=validators.in_(SERVER_MODELS))
    rpm: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    tpm: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    charging: Charging = field(default="reserve", validator=validators.in_(CHARGING))
    count_failed: bool = False
    headers: bool = False
    hints: bool = True
    jitter_s: tuple[float, float] = (0.02, 0.2)
    latency_s: tuple[float, float] = (1.0, 1.0)
    minutes: float = field(default=10.0, validator=validators.gt(0))
    sizes: Sizes = field(factory=Sizes)
    output_share: float = field(default=0.25, validator=validators.and_(validators.ge(0), validators.le(1)))
    output_used: tuple[float, float] = (0.2, 1.0)
    clients: int = field(default=1, validator=validators.ge(1))
    change: tuple[float, float] | None = None
    backlog: int = field(default=10, validator=validators.ge(1))
    most_tasks: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    model: str = "lab/model"
    retry: RetryPolicy = field(factory=RetryPolicy)
    seed: int = 0
    backend: Backend | None = field(default=None, validator=validators.optional(validators.in_(BACKENDS)))

    def __attrs_post_init__(self) -> None:
        if self.rpm is None and self.tpm is None:
            raise ValueError("the server needs a limit: rpm, tpm or both")
        _range("jitter_s", *self.jitter_s)
        _range("latency_s", *self.latency_s)
        _range("output_used", *self.output_used, most=1.0)
        if self.change is not None and not (self.change[0] > 0 and 0 <= self.change[1] < math.inf):
            raise ValueError(f"change must be a positive factor and a minute, not {self.change}")

    @property
    def duration_s(self) -> float:
        """The length of the run."""
        return self.minutes * MINUTE_S

    @property
    def steady_s(self) -> tuple[float, float]:
        """When what follows the first minute begins and ends; a run of a minute has nothing else."""
        return MINUTE_S if self.duration_s > MINUTE_S else 0.0, self.duration_s

    @property
    def changes_at_s(self) -> float:
        """When the limits change; infinity for never."""
        return self.change[1] * MINUTE_S if self.change else math.inf

    @property
    def task_limit(self) -> int:
        """How many requests a client has under way at most."""
        if self.most_tasks is not None:
            return self.most_tasks
        a_minute = min(self.rpm or math.inf, self.tpm / self.sizes.mean if self.tpm else math.inf)
        factor = max(1.0, self.change[0]) if self.change else 1.0
        return UNDER_WAY + math.ceil(2 * factor * a_minute / MINUTE_S * (self.jitter_s[1] + self.latency_s[1]))

    def limit_after_change(self, limit: int) -> int:
        """Return what becomes of a limit when it changes."""
        return max(1, round(limit * self.change[0])) if self.change else limit

    def allowed(self, limit: int, start_s: float, end_s: float) -> float:
        """Return what a limit per minute allows between two times of the run, its change included."""
        before = max(0.0, min(end_s, self.changes_at_s) - start_s)
        after = end_s - start_s - before
        return (before * limit + after * self.limit_after_change(limit)) / MINUTE_S
