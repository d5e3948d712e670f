"""Rate limits as servers enforce them: arithmetic on a clock, with no I/O and no waiting.

A clock is any callable that returns seconds; under virtual time an hour of traffic takes
no time at all. Wall-clock seconds are needed only where windows start on the minute.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

from attrs import frozen

Clock = Callable[[], float]
ServerModel = Literal["full", "second", "sliding", "fixed", "tenths"]
SERVER_MODELS: Final[tuple[ServerModel, ...]] = get_args(ServerModel)

MINUTE_S: Final = 60.0
GRACE_S: Final = 1e-6
"""Every limiter forgives a microsecond, so that whoever waits exactly as told is not refused
by the rounding of floating-point seconds (0.24 µs for clock readings since 1970)."""


@frozen
class LimitState:
    """What a limiter tells its clients in headers.

    `reset_s` is the time, in seconds, until everything is available again.
    """

    limit: int
    remaining: int
    reset_s: float


class Limiter(Protocol):
    """One limit on one quantity (requests or tokens), per minute."""

    def wait_s(self, amount: int) -> float:
        """Seconds until `amount` would be admitted if nothing else came; 0 if it is now.

        Never infinite: an amount greater than the limiter can ever hold is admitted
        when nothing is in use, as real servers do.
        """

    def take(self, amount: int) -> None:
        """Book an admitted amount."""

    def refuse(self, amount: int) -> None:
        """Book a refused amount, for servers on which failed requests count too."""

    def state(self) -> LimitState:
        """The state now, for headers."""

    def resize(self, limit: int) -> None:
        """Enforce another limit from now on; what was used stays used."""


class TokenBucket:
    """A bucket that refills continuously at `limit` a minute.

    `capacity_s` says how many seconds' worth it holds (at least 1): 60 for OpenAI's
    published headers, 1 for a limit "quantised" to the second. An amount greater than
    the capacity passes when the bucket is full and leaves it in debt, so that the rate
    holds in the long run. Within any t seconds at most capacity + t * limit / 60 pass
    (plus what one such amount exceeds the capacity by).
    """

    def __init__(self, limit: int, clock: Clock, *, capacity_s: float = MINUTE_S) -> None:
        self._clock = clock
        self._capacity_s = capacity_s
        self._size(limit)
        self._level = self._capacity
        self._at = clock()

    def _size(self, limit: int) -> None:
        self._limit = limit
        self._rate = limit / MINUTE_S
        self._capacity = max(1.0, limit * self._capacity_s / MINUTE_S)

    def _refill(self) -> None:
        now = self._clock()
        if now > self._at:
            self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
            self._at = now

    def wait_s(self, amount: int) -> float:
        """See `Limiter.wait_s`."""
        self._refill()
        wait = (min(amount, self._capacity) - self._level) / self._rate
        return wait if wait > GRACE_S else 0.0

    def take(self, amount: int) -> None:
        """See `Limiter.take`."""
        self._refill()
        self._level -= amount

    def refuse(self, amount: int) -> None:
        """Take what is there, but make no debt: hammering an empty bucket keeps it empty, no more."""
        self._refill()
        self._level = max(min(0.0, self._level), self._level - amount)

    def state(self) -> LimitState:
        """The state now; `remaining` is out of the minute's limit, however small the bucket.

        That keeps OpenAI's rule reset = (limit - remaining) / limit * 60 s, and with it the
        trap that a one-second bucket refuses while the header still shows plenty.
        """
        self._refill()
        missing = self._capacity - self._level
        return LimitState(self._limit, max(0, math.floor(self._limit - missing + 1e-9)), missing / self._rate)

    def resize(self, limit: int) -> None:
        """See `Limiter.resize`; the bucket keeps what it holds, as far as it still holds that much."""
        self._refill()
        self._size(limit)
        self._level = min(self._level, self._capacity)


class SlidingWindow:
    """At most `limit` within any minute, counted exactly from a log of what passed.

    What passed at t no longer counts at t + 60 s.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._log: deque[tuple[float, int]] = deque()
        self._used = 0

    def _expire(self) -> float:
        now = self._clock()
        while self._log and self._log[0][0] + MINUTE_S <= now + GRACE_S:
            self._used -= self._log.popleft()[1]
        return now

    def wait_s(self, amount: int) -> float:
        """See `Limiter.wait_s`."""
        now = self._expire()
        excess = self._used + min(amount, self._limit) - self._limit
        if excess <= 0:
            return 0.0
        for at, booked in self._log:
            excess -= booked
            if excess <= 0:
                return at + MINUTE_S - now
        raise AssertionError("the log holds everything in use")

    def take(self, amount: int) -> None:
        """See `Limiter.take`."""
        now = self._expire()
        self._log.append((now, amount))
        self._used += amount

    refuse = take

    def state(self) -> LimitState:
        """The state now; the reset is when the last of what counts drops out."""
        now = self._expire()
        reset_s = self._log[-1][0] + MINUTE_S - now if self._log else 0.0
        return LimitState(self._limit, max(0, self._limit - self._used), reset_s)

    def resize(self, limit: int) -> None:
        """See `Limiter.resize`."""
        self._limit = limit


class FixedWindow:
    """At most the limit's share within each window; windows start at multiples of `window_s`.

    On a wall clock a 60 s window starts on the minute. The share is rounded down, but
    never below 1, and is what the headers call the limit (as Azure's 10 s windows do).
    """

    def __init__(self, limit: int, clock: Clock, *, window_s: float = MINUTE_S) -> None:
        self._clock = clock
        self._window_s = window_s
        self.resize(limit)
        self._window = 0
        self._used = 0

    def _turn(self) -> float:
        """Start the window of this moment if it is a new one; seconds until it ends."""
        now = self._clock()
        window = math.floor((now + GRACE_S) / self._window_s)
        if window != self._window:
            self._window, self._used = window, 0
        return (window + 1) * self._window_s - now

    def wait_s(self, amount: int) -> float:
        """See `Limiter.wait_s`."""
        ends_s = self._turn()
        return 0.0 if self._used + min(amount, self._limit) <= self._limit else ends_s

    def take(self, amount: int) -> None:
        """See `Limiter.take`."""
        self._turn()
        self._used += amount

    refuse = take

    def state(self) -> LimitState:
        """The state of this window; the reset is its end."""
        ends_s = self._turn()
        return LimitState(self._limit, max(0, self._limit - self._used), ends_s)

    def resize(self, limit: int) -> None:
        """See `Limiter.resize`."""
        self._limit = max(1, math.floor(limit * self._window_s / MINUTE_S))


def make_limiter(model: ServerModel, limit: int, clock: Clock) -> Limiter:
    """Build the limiter of a server model for a limit per minute (at least 1)."""
    if limit < 1:
        raise ValueError(f"a limit is at least 1 a minute, not {limit}")
    match model:
        case "full":
            return TokenBucket(limit, clock)
        case "second":
            return TokenBucket(limit, clock, capacity_s=1.0)
        case "sliding":
            return SlidingWindow(limit, clock)
        case "fixed":
            return FixedWindow(limit, clock)
        case "tenths":
            return FixedWindow(limit, clock, window_s=10.0)


LimitName = Literal["requests", "tokens", "input_tokens", "output_tokens"]


@frozen
class Admission:
    """The decision on one request, and the state of every limit after it.

    `refused_by` names the limit that makes it wait longest (None: admitted);
    `wait_s` is how long, `asked` what was asked of it. A limit that is not set has no state.
    """

    refused_by: LimitName | None
    wait_s: float
    asked: int
    requests: LimitState | None = None
    tokens: LimitState | None = None
    input_tokens: LimitState | None = None
    output_tokens: LimitState | None = None

    @property
    def refusing(self) -> LimitState | None:
        """The state of the limit that refused."""
        state: LimitState | None = getattr(self, self.refused_by) if self.refused_by else None
        return state


UNLIMITED: Final = Admission(None, 0.0, 0)
"""The decision where there is no limit."""


class RateLimits:
    """The limits of a server, decided together: a request takes from all of them or from none.

    Tokens are limited all together (`tpm`), or input and output each by itself, or both.
    With `count_failed` a refused request still counts as a request, as OpenAI documents.
    """

    def __init__(
        self,
        model: ServerModel,
        clock: Clock,
        *,
        rpm: int | None = None,
        tpm: int | None = None,
        input_tpm: int | None = None,
        output_tpm: int | None = None,
        count_failed: bool = False,
    ) -> None:
        limits: dict[LimitName, int | None] = {
            "requests": rpm,
            "tokens": tpm,
            "input_tokens": input_tpm,
            "output_tokens": output_tpm,
        }
        self._limiters = {
            name: make_limiter(model, limit, clock) for name, limit in limits.items() if limit is not None
        }
        self._in_order = tuple([self._limiters.get(name) for name in limits])
        self._count_failed = count_failed

    def admit(self, input_tokens: int, output_tokens: int = 0) -> Admission:
        """Decide one request of this many tokens, now."""
        if not self._limiters:
            return UNLIMITED
        tokens = input_tokens + output_tokens
        asked = {"requests": 1, "tokens": tokens, "input_tokens": input_tokens, "output_tokens": output_tokens}
        refused_by: LimitName | None = None
        longest_s = 0.0
        for name, limiter in self._limiters.items():
            wait_s = limiter.wait_s(asked[name])
            if wait_s > longest_s:
                refused_by, longest_s = name, wait_s
        if refused_by is None:
            for name, limiter in self._limiters.items():
                if amount := asked[name]:
                    limiter.take(amount)
        elif self._count_failed and (requests := self._limiters.get("requests")):
            requests.refuse(1)
            wait_s = requests.wait_s(1)
            if wait_s >= longest_s:
                refused_by, longest_s = "requests", wait_s
        states = [limiter.state() if limiter else None for limiter in self._in_order]
        return Admission(refused_by, longest_s, asked[refused_by or "tokens"], *states)

    def book(self, tokens: int) -> None:
        """Count output that nobody asked for in advance, when it is generated; never refuses."""
        for name in ("tokens", "output_tokens"):
            if limiter := self._limiters.get(name):
                limiter.take(tokens)

    def resize(self, *, rpm: int | None = None, tpm: int | None = None) -> None:
        """Enforce other limits from now on; None leaves one as it is."""
        limits: dict[LimitName, int | None] = {"requests": rpm, "tokens": tpm}
        for name, limit in limits.items():
            if limit is not None and (limiter := self._limiters.get(name)):
                limiter.resize(limit)
