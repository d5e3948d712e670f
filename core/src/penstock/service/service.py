"""`Service`, what users hold: a small front over the engine, alive on one home loop."""

from __future__ import annotations

import atexit
import logging
import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anyio import to_thread
from anyio.from_thread import BlockingPortal

from penstock.admission import Admission
from penstock.clock import LoopClock
from penstock.config import Config, load_config
from penstock.contracts import BaseLLMProvider, Gate, MetricsSink, PipelineStep
from penstock.costs import MODEL_COSTS, CostTable, price
from penstock.engine import Engine
from penstock.errors import ErrorType, ProviderError
from penstock.ledger import Ledger
from penstock.metrics import Meter
from penstock.pipeline import NO_REPAIR, PlacedStep, as_step
from penstock.registry import Registry, load_registry
from penstock.schema import (
    GenerationResult,
    ModelStats,
    RepairPolicy,
    RetryPolicy,
    StatsSnapshot,
    StepSpec,
    Usage,
)
from penstock.service.books import Books
from penstock.service.home import Home
from penstock.service.limits import DEFAULT, GATE_OF_ARGUMENT, Default, gates_from, positive_or_none, under_way
from penstock.service.many import HomeFeed, ResultStream, Source
from penstock.service.routing import Routes, named
from penstock.service.stream import GenerationStream, HomeStream
from penstock.service.works import Request, Works, refusal
from penstock.watch import Watch

__all__ = ["Service"]


class Service:
    """Calls language models within limits, and always answers with a result.

    Use it as `async with Service() as service:`; or as `with Service() as service:` from sync code; or just call it,
    and it starts a thread of its own that ends with `close` or with the process. It may be called from any thread
    and any event loop. It closes the providers and sinks it was given.

    Args:
        providers: besides those that plugins offer; as a mapping, by names that need not be their own.
        gates: replace the default limits; without them `max_rpm` and `max_concurrent_requests` default to 100.
        pipeline: steps, or plain functions of the content, in the order in which they run.
        sinks: get every event.
        default_model: "provider/model" for requests that name none.
        default_provider: for model names without a slash; without it such a name is refused.
        max_rpm, max_tpm: requests and tokens a minute; None or infinity: no limit.
        max_concurrent_requests: calls at once; likewise.
        retry: the policy of requests that bring none.
        repair: likewise; by default no answer is asked for again because a step failed.
        timeout_s: seconds for a whole request, waits included; None: no limit.
        attempt_timeout_s: seconds for a single call; None: no limit.
        costs: prices in USD per million tokens that go before `MODEL_COSTS`.
        registry: where plugins are found; None: the installed ones.
        provider_options: settings of registered providers, by name; `use` makes a name another one for a provider.
        logger: takes what penstock has to say; it adds no handler and changes no level.

    Raises:
        ValueError: a limit is zero, negative or not a number.
        ConfigError: two providers have the same name, or a plugin's settings are wrong.
    """

    def __init__(
        self,
        *,
        providers: Iterable[BaseLLMProvider] | Mapping[str, BaseLLMProvider] = (),
        gates: Iterable[Gate] | None = None,
        pipeline: Iterable[PipelineStep | PlacedStep | Callable[[Any], Any]] = (),
        sinks: Iterable[MetricsSink] = (),
        default_model: str | None = None,
        default_provider: str | None = None,
        max_rpm: float | Default | None = DEFAULT,
        max_tpm: float | None = None,
        max_concurrent_requests: int | Default | None = DEFAULT,
        retry: RetryPolicy | None = None,
        repair: RepairPolicy = NO_REPAIR,
        timeout_s: float | None = None,
        attempt_timeout_s: float | None = 600.0,
        costs: Mapping[str, Mapping[str, Any]] | None = None,
        registry: Registry | None = None,
        provider_options: Mapping[str, Mapping[str, Any]] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.logger = logger or logging.getLogger("penstock")
        self.registry = registry or load_registry()
        self.gates = gates_from(gates, max_rpm, max_tpm, max_concurrent_requests)
        self._pipeline = tuple(as_step(step) for step in pipeline)
        self._retry = retry or RetryPolicy()
        self._repair = repair
        self._timeout_s = positive_or_none("timeout_s", timeout_s)
        self._attempt_timeout_s = positive_or_none("attempt_timeout_s", attempt_timeout_s)
        self._costs = CostTable(costs, under=MODEL_COSTS)
        self._routes = Routes(
            providers,
            registry=self.registry,
            options=provider_options or {},
            default_model=default_model,
            default_provider=default_provider,
            costs=self._costs,
        )
        self._books = Books(Meter(), sinks, logger=self.logger)
        self._works = Works(
            gates=self.gates, routes=self._routes, books=self._books, make_engine=self._make_engine, logger=self.logger
        )
        self._home = Home()
        self._stack: AsyncExitStack | None = None

    @classmethod
    def from_config(cls, config: Config | str | Path, **overrides: Any) -> Self:
        """Return a service as a `penstock.toml` describes it; `overrides` are arguments that win over the file's.

        A limit among them, such as `max_rpm`, replaces the file's gates of that kind.

        Raises ConfigError that lists every problem with the path of its key.
        """
        registry = overrides.pop("registry", None) or load_registry()
        given = overrides["providers"] = named(overrides.get("providers", ()))
        if not isinstance(config, Config):
            config = load_config(config, registry, given)
        arguments = config.service_arguments(registry, given)
        replaced = {name for argument, name in GATE_OF_ARGUMENT.items() if argument in overrides}
        if arguments["gates"] and replaced:
            arguments["gates"] = [gate for gate in arguments["gates"] if gate.name not in replaced]
        return cls(**{**arguments, "registry": registry, **overrides})

    def add_gate(self, gate: Gate) -> None:
        """Put another gate before every call. Raises RuntimeError once the service has started."""
        if self._home.is_settled:
            raise RuntimeError("gates are added before the service starts")
        self.gates = self._works.gates = (*self.gates, gate)

    # ------------------------------------------------------------------ calls

    async def generate_output_async(self, request: Request) -> GenerationResult:
        """Run one request and return its result; a str is a prompt for the default model. Never raises an Exception."""
        if self._home.is_here:
            return await self._works.generate(request)
        self._start()
        return await self._home.run(self._works.generate, request)

    def generate_output(self, request: Request) -> GenerationResult:
        """Run one request from sync code: a script, a thread, or a function called while a loop runs.

        Only on the thread of the loop that itself entered the service it cannot block; the result says so.
        """
        self._start()
        if self._works.closed:
            return refusal(request, ErrorType.SERVICE_CLOSED, "the service is closed")
        if self._home.is_here:
            return refusal(
                request, ErrorType.INVALID_REQUEST, "on the service's own loop: await generate_output_async instead"
            )
        return self._home.run_sync(self._works.generate, request)

    def generate_many(
        self, requests: Source, *, ordered: bool = False, max_in_flight: int | None = None
    ) -> ResultStream:
        """Return the results of `requests`, for `async for` or, from sync code, `for`.

        The input is any iterable or async iterable and is read lazily, at most `max_in_flight` ahead of the results
        that were taken, so memory stays constant. An exception of the input is raised after the results of what was
        under way; an item that is no request gets a failed result.

        Args:
            requests: `GenerationRequest`, prompts, or mappings of request fields.
            ordered: results in the order of the input; else as completed.
            max_in_flight: by default twice the concurrency limit, so that the gates never run dry.
        """
        limit = max_in_flight or under_way(self.gates)
        return ResultStream(
            self._home,
            requests,
            start=self._start,
            make=lambda source: HomeFeed(source, self._works.generate, limit=limit, ordered=ordered),
            tasks=lambda: self._works.tasks,
        )

    def stream(self, request: Request) -> GenerationStream:
        """Return one streamed answer: `async with` it, `async for` its chunks, then read its `result`."""
        return GenerationStream(
            self._home,
            start=self._start,
            make=lambda: HomeStream(partial(self._works.generate, request), self._works.tasks),
        )

    # ------------------------------------------------------------------ figures

    def snapshot(self) -> StatsSnapshot:
        """Return the figures of this moment, consistent among themselves; from any thread."""
        return self._home.ask(self._works.snapshot)

    def usage(self, operation: str | None = None) -> ModelStats:
        """Return the totals of one operation, or of everything."""
        return self._home.ask(partial(self._books.meter.usage, operation))

    def price(self, model: str, usage: Usage) -> Decimal | None:
        """Return what `usage` of "provider/model" costs in USD; None when its price, or its provider, is unknown."""
        try:
            route = self._routes.resolve(model)
        except ProviderError:
            return None
        return price(route.provider.name, route.model, usage, self._costs)

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._check_new()
        stack = AsyncExitStack()
        portal = await stack.enter_async_context(BlockingPortal())
        await stack.enter_async_context(self._works.life())
        self._home.settle_here(portal)
        self._stack = stack
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._works.hurried = kind is not None
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()  # without the error, which would come out wrapped in groups
        self._home.forget()

    def __enter__(self) -> Self:
        self._check_new()
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End a service that was not entered with `async with`: wait for what is under way, drain sinks, stop.

        Raises RuntimeError inside such a block, whose end does all that.
        """
        if self._stack is not None:
            raise RuntimeError("`async with` closes this service at the end of its block; leave the block instead")
        self._works.closed = True
        self._home.leave()
        self._home.forget()

    async def aclose(self) -> None:
        """Do the same as `close` from async code."""
        await to_thread.run_sync(self.close)

    def _check_new(self) -> None:
        if self._works.closed or self._home.is_settled:
            raise RuntimeError("a Service is entered once; make another one")

    def _start(self) -> None:
        """Give the service a home of its own if it has none."""
        if not self._home.is_settled and not self._works.closed:
            self._home.settle_in_thread(self._works.life)
            atexit.register(_close_at_exit, weakref.ref(self))

    def _make_engine(self, clock: LoopClock, admission: Admission) -> Engine:
        return Engine(
            clock=clock,
            admission=admission,
            ledger=Ledger(price=partial(price, overrides=self._costs), recorder=self._books, logger=self.logger),
            watch=Watch(self._attempt_timeout_s or math.inf, clock, shared=clock.real),
            resolve=self._routes.resolve,
            steps=self._pipeline,
            make_steps=self._make_steps,
            retry=self._retry,
            repair=self._repair,
            timeout_s=self._timeout_s,
            logger=self.logger,
        )

    def _make_steps(self, specs: Sequence[StepSpec]) -> tuple[PlacedStep, ...]:
        return tuple(
            as_step(self.registry.build("step", spec.use, spec.options, path=f"pipeline[{number}]"), spec.timeout_s)
            for number, spec in enumerate(specs)
        )


def _close_at_exit(service: weakref.ref[Service]) -> None:
    """Close a service that nobody closed, so that its sinks are drained before the process ends."""
    alive = service()
    if alive is not None:
        alive.close()
