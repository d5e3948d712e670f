"""The five contracts that plugins implement, with their guarantees. Small on purpose; behaviour lives behind them."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from anyio import to_thread
from attrs import frozen

from penstock.bell import LoopBell
from penstock.errors import ErrorType, ProviderError
from penstock.schema import (
    Demand,
    Event,
    GateSnapshot,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    LimitReading,
    LLMCallRequest,
    ProviderReply,
    Usage,
)
from penstock.schema.usage import make_demand

__all__ = [
    "CHARS_PER_TOKEN",
    "NEVER",
    "BaseLLMProvider",
    "Bell",
    "Clock",
    "Gate",
    "InvokeOutcome",
    "MetricsSink",
    "Outcome",
    "Permit",
    "PipelineStep",
    "Registration",
    "StepContext",
]

InvokeOutcome = ProviderReply | tuple[str | None, Usage | None]
"""What a provider's call returns: a `ProviderReply`, or just its first two fields, content and usage."""

CHARS_PER_TOKEN = 4
"""English text has about four characters a token, by OpenAI's rule of thumb for its tokenizers."""

NEVER = math.inf
"""A gate's delay that ends only when the gate says that it has changed."""

UNSTATED_OUTPUT_TOKENS = 256
"""Output tokens reserved for a request that states no `max_tokens`; settled to the real number afterwards."""


class BaseLLMProvider(ABC):
    """Calls one vendor's models. Subclass it, name it, and implement two methods.

    One provider object serves many requests at once: keep nothing of a request on `self`.
    Failures are raised, best as `ProviderError`; any other exception becomes a failed attempt too.

    Attributes:
        name: what stands before the slash in "provider/model".
        embeds: True for a provider that takes requests with `inputs`, texts to embed.
        costs: prices of the provider's own models in USD per million tokens, in the shape of `MODEL_COSTS`, by model
            name or "*" for all others; the user's prices, `MODEL_COSTS` and genai-prices go before.
    """

    name: str
    embeds: bool = False
    costs: Mapping[str, Mapping[str, float | str | Decimal]] = MappingProxyType({})
    _invoke_is_async: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._invoke_is_async = inspect.iscoroutinefunction(cls._invoke_impl)

    @abstractmethod
    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the payload for the vendor. Pure: no I/O; runs once per request, before it queues.

        Raise `ProviderError(..., ErrorType.INVALID_REQUEST)` for what the vendor cannot do, naming the field.
        """

    @abstractmethod
    def _invoke_impl(self, payload: dict[str, Any]) -> InvokeOutcome | Awaitable[InvokeOutcome]:
        """Make one call, without retries, and return `(content, usage)` or a `ProviderReply`.

        Write it as `async def` and it is awaited; write it as plain `def` and it runs in a worker thread.
        """

    def stream(self, payload: dict[str, Any]) -> AsyncGenerator[GenerationChunk, None]:
        """Make one call and yield its chunks; the default yields the whole answer as a single one."""
        return self._stream_whole(payload)

    async def _stream_whole(self, payload: dict[str, Any]) -> AsyncGenerator[GenerationChunk, None]:
        yield GenerationChunk.of(await self.invoke(payload))

    async def invoke(self, payload: dict[str, Any]) -> ProviderReply:
        """Make one call; the engine's side of `_invoke_impl`."""
        if self._invoke_is_async:
            outcome = await self._invoke_impl(payload)  # type: ignore[misc]  # a coroutine function, as just checked
        else:
            outcome = await to_thread.run_sync(self._invoke_impl, payload, abandon_on_cancel=True)
            if inspect.isawaitable(outcome):
                outcome = await outcome
        match outcome:
            case (str() | None, Usage() | None, *_) if isinstance(outcome, tuple):
                return outcome if isinstance(outcome, ProviderReply) else ProviderReply(*outcome)
        raise ProviderError(
            f"provider {self.name!r} returned {outcome!r:.100}, not a tuple of content and usage",
            ErrorType.MALFORMED_RESPONSE,
            should_retry=False,
        )

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the vendor will count against its limits when the call arrives, before it is made.

        The default counts a token for four characters of input, and `max_tokens` for the output.
        """
        if request.inputs:
            return make_demand(input_tokens=sum(map(len, request.inputs)) // CHARS_PER_TOKEN + len(request.inputs))
        chars = sum([len(message.text) for message in request.messages])
        return make_demand(
            input_tokens=chars // CHARS_PER_TOKEN + 1,
            output_tokens=request.max_tokens or UNSTATED_OUTPUT_TOKENS,
        )

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the vendor has counted once the call is over; the default counts input and output.

        None says that the estimate stands: the vendor charges in advance and gives nothing back.
        """
        return make_demand(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    async def aclose(self) -> None:  # noqa: B027  # optional: most providers hold nothing open
        """Release connections; called once when the service closes. May be called on another event loop."""

    def describe(self) -> str:
        """Return a line for `penstock plugins`, such as the endpoint and the HTTP engine; no credentials."""
        return ""


@frozen(kw_only=True)
class Outcome:
    """What the gates learn when an attempt is over.

    Attributes:
        used: what the provider counted; None when nothing is known, which leaves the reservation standing.
        cost_usd: what the call cost; None when that is unknown.
        sent: False when the call never left, so that it takes nothing from any limit.
        error_type: None on success.
        retry_after_s: the provider's hint.
        limits: what the response said of the provider's limits.
        latency_s: seconds with the provider.
    """

    used: Demand | None = None
    cost_usd: Decimal | None = None
    sent: bool = True
    error_type: ErrorType | None = None
    retry_after_s: float | None = None
    limits: tuple[LimitReading, ...] = ()
    latency_s: float = 0.0


class Permit(ABC):
    """A gate's leave for one attempt."""

    __slots__ = ()

    @abstractmethod
    def settle(self, outcome: Outcome, now: float) -> None:
        """Close the books on the attempt. Called exactly once, whatever happened; must not raise."""


class Gate(ABC):
    """Says how long a request must wait, and keeps the books of what it let through.

    A gate is arithmetic on a clock: no I/O, no waiting, no locks. `now` is monotonic seconds and never decreases.
    Between a `delay` of 0 and the `take` that follows, nothing else happens; a `take` always follows a `delay` of 0
    for the same demand, and every permit is settled once.

    Attributes:
        name: how it appears in records, such as "rpm".
        match: the "provider/model" names it applies to, with shell wildcards.
        operation: the operations it applies to, with shell wildcards; "*" includes requests without one.
        needs_cost: True when `demand.cost_usd`, an estimate, must be filled in.
    """

    name: str = "gate"
    match: str = "*"
    operation: str = "*"
    needs_cost: bool = False
    _watchers: tuple[Callable[[], None], ...] = ()

    @abstractmethod
    def delay(self, demand: Demand, now: float) -> float:
        """Return the seconds until `demand` may pass: 0 for now, `math.inf` for "when `changed` is called".

        Raise `GateRefusedError` for a demand that will never pass. Changes nothing.
        """

    @abstractmethod
    def take(self, demand: Demand, now: float) -> Permit:
        """Enter `demand` into the books and return its permit."""

    def applies_to(self, model: str, operation: str | None) -> bool:
        """Say whether the gate stands before calls of `model` ("provider/model") for `operation`."""
        return fnmatchcase(model, self.match) and fnmatchcase(operation or "", self.operation)

    def snapshot(self, now: float) -> GateSnapshot:  # noqa: ARG002  # for gates whose figures move with time
        """Return the gate's figures."""
        return GateSnapshot(name=self.name, match=self.match)

    def watch(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever a waiting request might pass earlier than the last `delay` said."""
        self._watchers = (*self._watchers, callback)

    def changed(self) -> None:
        """Tell the watchers to ask again: a permit came back, a limit was raised."""
        for callback in self._watchers:
            callback()


@frozen(kw_only=True)
class StepContext:
    """What a pipeline step may know and do.

    Attributes:
        request: what was asked.
        reply: the model's answer, with usage, finish reason and tool calls.
        trace_id: the id of the request.
        generate: makes another call through the same gates; its usage and cost count in this request's result.
    """

    request: GenerationRequest
    reply: ProviderReply
    trace_id: str
    generate: Callable[[GenerationRequest], Awaitable[GenerationResult]]


class PipelineStep(ABC):
    """Turns the content of an answer into something better: one step of the pipeline.

    A step serves many requests at once and keeps nothing of them on `self`.

    Attributes:
        name: how it appears in results.
        slow: True for a plain `def` that takes more than about a millisecond; it then runs in a worker thread.
        timeout_s: seconds after which it has failed; None for a step that waits for calls, which have limits of their
            own. A plain `def` that is not `slow` cannot be stopped.
    """

    name: str = "step"
    slow: bool = False
    timeout_s: float | None = 60.0

    @abstractmethod
    def process(self, content: Any, context: StepContext) -> Any:
        """Return the new content; may be `async def`. Raise `StepError`, or anything, to fail: the raw text stands.

        A `StepError` with `feedback` says what the model must be told to mend its answer.
        """


class MetricsSink(ABC):
    """Takes events somewhere.

    `record` is called on a thread of the sink's own, one event at a time, out of a bounded buffer: it may block
    and it may raise, and no request is delayed or lost by it; events beyond the buffer are counted as dropped.

    Attributes:
        name: how it appears in reports.
        stats_every_s: seconds between two `StatsTaken` events, which have the figures of every gate; each comes with a
            call, one more at the end, and sooner where another sink wants them sooner. None: none.
    """

    name: str = "sink"
    stats_every_s: float | None = None

    @abstractmethod
    def record(self, event: Event) -> None:
        """Take one event."""

    def flush(self) -> None:  # noqa: B027  # optional: many sinks need none
        """Make what was recorded safe; called after each batch, and before `close`."""

    def close(self) -> None:  # noqa: B027  # optional: many sinks need none
        """Release files and connections; nothing is recorded afterwards."""


class Clock(ABC):
    """Tells the time; under test, whatever time the test likes."""

    @abstractmethod
    def now(self) -> float:
        """Return monotonic seconds, on the same scale as the timers that wait for them."""

    @abstractmethod
    def utc(self) -> datetime:
        """Return the wall clock's time, timezone-aware UTC."""

    def bell(self) -> Bell:
        """Return what a task can wait for, for a time on this clock; the default goes by the running loop's timers."""
        return LoopBell()


class Bell(Protocol):
    """What a task waits for until another rings, or until it has waited long enough."""

    def ring(self) -> None:
        """End the wait; or the next one, if nobody waits."""

    async def wait(self, at_most_s: float) -> None:
        """Wait until it rings, `at_most_s` seconds at most. It may be waited for again."""


@frozen
class Registration:
    """What a hook returns for each thing that a plugin offers.

    Attributes:
        name: what users write: "openai" in "openai/gpt-4o", "rpm" in `use = "rpm"`.
        factory: makes the thing; a callable, or "module:attribute" to import it only when it is used.
        settings: an attrs class of options, or "module:attribute"; the factory is then called with one instance.
            None: the factory's own parameters and their annotations are the options.
        summary: a line for `penstock plugins`.
    """

    name: str
    factory: Callable[..., Any] | str
    settings: type[Any] | str | None = None
    summary: str = ""
