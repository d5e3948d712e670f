"""What goes wrong, and when: the faults by name, and the plan that deals them out."""

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from penstock_sim.exchange import Failure, FailureKind, HintDialect

MAX_SCRIPT_STEPS: Final = 1_000_000


class Damage(Enum):
    """The faults that spoil an answer instead of replacing it by an error."""

    SLOW = "the first byte comes late"
    STALL = "half of the answer comes, then nothing more"
    TORN = "half of the answer comes, cut within an event, then the connection closes"
    UNFINISHED = "a stream ends cleanly, but half-way: no finish, no [DONE]"
    ERROR_EVENT = "a stream ends half-way with an error event; without a stream, a 500"
    MALFORMED = "status 200, but the JSON is cut off"
    EMPTY = "status 200, but no body, or no events"
    OVERSIZED = "status 200, but megabytes of padding"
    CLOSE = "the connection closes before a byte of an answer"
    RESET = "the connection is reset before a byte of an answer"


_BUSY: Final = "The simulated rate limit was reached."
_DOWN: Final = "The simulated server had an error while processing your request."


def _busy(hint: HintDialect) -> Failure:
    return Failure(FailureKind.REQUEST_LIMIT, _BUSY, hint=hint, retry_after_s=1.0)


FAULTS: Final[Mapping[str, Failure | Damage]] = MappingProxyType(
    {
        "429": _busy(HintDialect.NATIVE),
        "429-seconds": _busy(HintDialect.SECONDS),
        "429-float": _busy(HintDialect.FLOAT),
        "429-date": _busy(HintDialect.DATE),
        "429-ms": _busy(HintDialect.MILLISECONDS),
        "429-retry-info": _busy(HintDialect.RETRY_INFO),
        "429-none": _busy(HintDialect.NONE),
        "too-large": Failure(FailureKind.TOKEN_LIMIT, "Request too large on tokens per min (TPM)."),
        "quota": Failure(FailureKind.QUOTA, "You exceeded your current quota; check your plan and billing details."),
        "401": Failure(FailureKind.WRONG_KEY, "Incorrect API key provided."),
        "403": Failure(FailureKind.REGION, "Country, region, or territory not supported"),
        "404": Failure(FailureKind.UNKNOWN_MODEL, "The model does not exist or you do not have access to it."),
        "context": Failure(FailureKind.CONTEXT_LENGTH, "This model's maximum context length is exceeded."),
        "500": Failure(FailureKind.SERVER_ERROR, _DOWN),
        "503": Failure(FailureKind.OVERLOADED, "The simulated server is overloaded."),
        "503-retry-after": Failure(
            FailureKind.OVERLOADED,
            "The simulated server is overloaded.",
            hint=HintDialect.SECONDS,
            retry_after_s=1.0,
        ),
        "slow": Damage.SLOW,
        "stall": Damage.STALL,
        "torn": Damage.TORN,
        "unfinished": Damage.UNFINISHED,
        "error-event": Damage.ERROR_EVENT,
        "malformed": Damage.MALFORMED,
        "empty": Damage.EMPTY,
        "oversized": Damage.OVERSIZED,
        "close": Damage.CLOSE,
        "reset": Damage.RESET,
    }
)
"""Every fault by its name.

`NAME:SECONDS` sets the hint of a 429 or 503 (else 1 s), or the delay of `slow` (else 5 s).
"""

MID_STREAM_FAILURE: Final = Failure(FailureKind.SERVER_ERROR, _DOWN)


class FaultError(ValueError):
    """Raised for a fault, rate or script that cannot be understood; the message says which."""


@frozen
class Fault:
    """One fault to serve: its name, what it does, and the delay of `slow` in seconds."""

    name: str
    effect: Failure | Damage
    seconds: float = 5.0


def parse_fault(text: str) -> Fault | None:
    """Read `NAME` or `NAME:SECONDS`; `ok` is no fault. Raises FaultError."""
    name, colon, amount = text.strip().partition(":")
    if name == "ok" and not colon:
        return None
    if name not in FAULTS:
        near = get_close_matches(name, [*FAULTS, "ok"], n=1)
        raise FaultError(f"unknown fault {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    effect = FAULTS[name]
    if not colon:
        return Fault(name, effect)
    if not (effect is Damage.SLOW or (isinstance(effect, Failure) and effect.retry_after_s)):
        raise FaultError(f"fault {name!r} takes no seconds")
    try:
        seconds = float(amount)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise FaultError(f"{text.strip()!r}: seconds must be a number from 0 to 86400")
    if isinstance(effect, Failure):
        effect = evolve(effect, retry_after_s=seconds)
    return Fault(name, effect, seconds)


def parse_script(text: str) -> list[Fault | None]:
    """Read a script: faults separated by commas, `*N` repeats one. Raises FaultError."""
    steps: list[Fault | None] = []
    for item in filter(None, map(str.strip, text.split(","))):
        name, star, times = item.partition("*")
        if star and not times.strip().isdecimal():
            raise FaultError(f"{item!r}: the number of repeats must be a whole number")
        repeats = int(times) if star else 1
        if len(steps) + repeats > MAX_SCRIPT_STEPS:
            raise FaultError(f"a script has at most {MAX_SCRIPT_STEPS} steps")
        steps += [parse_fault(name)] * repeats
    return steps


class FaultPlan:
    """Deals out one fault (or none) per request: the script first, then by probability.

    The same seed deals the same faults in the same order. `dealt` counts them by name.
    """

    def __init__(self, rates: Iterable[tuple[str, float]] = (), *, script: str = "", seed: int = 0) -> None:
        self._rates = [(parse_fault(text), rate) for text, rate in rates]
        if any(not 0 <= rate <= 1 for _, rate in self._rates):
            raise FaultError("the rate of a fault must be a number from 0 to 1")
        if (total := sum(rate for _, rate in self._rates)) > 1 + 1e-9:
            raise FaultError(f"the rates of the faults add up to {total:g}, more than 1")
        self._script_at_start = script
        self._seed = seed
        self.dealt: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Start again from the first request."""
        self._random = random.Random(self._seed)  # noqa: S311  # repeatable, not secret
        self.load(self._script_at_start)
        self.dealt.clear()

    def load(self, script: str) -> None:
        """Replace what is left of the script. Raises FaultError and leaves it as it was."""
        self._script = deque(parse_script(script))

    def next(self) -> Fault | None:
        """Deal the next request its fault."""
        fault = self._script.popleft() if self._script else self._drawn()
        if fault is not None:
            self.dealt[fault.name] += 1
        return fault

    def _drawn(self) -> Fault | None:
        if not self._rates:
            return None
        point = self._random.random()
        for fault, rate in self._rates:
            if point < rate:
                return fault
            point -= rate
        return None
