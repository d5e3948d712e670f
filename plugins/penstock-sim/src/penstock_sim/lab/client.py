"""The near side: a provider that carries requests to the lab's server, and a crew that always has more of them."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from penstock import (
    BaseLLMProvider,
    Demand,
    ErrorType,
    GenerationRequest,
    GenerationResult,
    LLMCallRequest,
    ProviderError,
    ProviderReply,
    Service,
    Usage,
)
from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.workload import Load, Workload

__all__ = ["Crew", "LabProvider"]

PAUSE_S: Final = 1.0
"""After a request that failed without a call, a worker rests, so that time passes in the run."""

_NOTHING: Final = Demand()
_MESSAGE: Final = "the lab's server refuses: over its limit"


class LabProvider(BaseLLMProvider):
    """Carries requests over a network with jitter, and knows what the server charges.

    Attributes:
        on_sent: called for each call that leaves.
        sent: calls that have left.
        in_flight, most_in_flight: calls that are on their way or with the server.
        refused_before: requests not in flight that were refused last time.
    """

    def __init__(self, config: LabConfig, server: LabServer, clock: Callable[[], float], *, client: int) -> None:
        self.name = config.model.partition("/")[0]
        self.sent = self.in_flight = self.most_in_flight = self.refused_before = 0
        self.on_sent: Callable[[], None] = lambda: None
        self._config = config
        self._server = server
        self._clock = clock
        self._uniform = random.Random(f"network {config.seed} {client}").uniform  # noqa: S311 -- repeatable, not secret

    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the load that the request stands for."""
        return {"load": Load(int(request.messages[-1].text), request.max_tokens or 0), "refused": False}

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the server charges on arrival, and the most that it may charge later."""
        output = 0 if self._config.charging == "input" else request.max_tokens or 0
        return Demand(input_tokens=int(request.messages[-1].text), output_tokens=output)

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the server has charged in the end; a refused call has cost no tokens."""
        if not usage.total_tokens:
            return _NOTHING
        match self._config.charging:
            case "reserve":
                return None
            case "input":
                return Demand(input_tokens=usage.input_tokens)
            case _:
                return Demand(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    async def _invoke_impl(self, payload: dict[str, Any]) -> ProviderReply:
        load: Load = payload["load"]
        server, config = self._server, self._config
        self.sent += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if payload["refused"]:
            payload["refused"] = False
            self.refused_before -= 1
        server.left(self._clock())
        self.on_sent()
        try:
            await anyio.sleep(self._uniform(*config.jitter_s))
            admission = server.arrive(load, self._clock())
            if admission.refused_by is not None:
                payload["refused"] = True
                self.refused_before += 1
                hint = admission.wait_s if config.hints else None
                raise ProviderError(_MESSAGE, ErrorType.HTTP_429, status_code=429, retry_after_s=hint)
            await anyio.sleep(self._uniform(*config.latency_s))
            output = server.answer(load, self._clock())
        finally:
            self.in_flight -= 1
        usage = Usage(input_tokens=load.input_tokens, output_tokens=output)
        return ProviderReply("answer", usage, "stop", limits=server.readings(admission))


class Crew:
    """A closed loop: each worker sends one request after the other, and there are as many as it takes.

    A worker is hired whenever fewer than `backlog` requests that were never refused wait for the gates. So the gates
    always have work, and there are no more tasks than requests in flight, backing off and waiting.

    Attributes:
        finished, given_up: requests that have a result, and those of them that failed.
        most_waiting: requests that were not in flight, at once.
        waits_s: how long requests waited, by the gate that held them.
    """

    def __init__(
        self,
        config: LabConfig,
        service: Service,
        provider: LabProvider,
        workload: Workload,
        *,
        tasks: TaskGroup,
        clock: Callable[[], float],
    ) -> None:
        self.provider = provider
        self.finished = self.given_up = self.most_waiting = 0
        self.waits_s: dict[str, array[float]] = {}
        self._config = config
        self._service = service
        self._workload = workload
        self._tasks = tasks
        self._clock = clock
        self._hired = 0
        self._most = config.task_limit
        self._requests: dict[Load, GenerationRequest] = {}

    def begin(self) -> None:
        """Hire the first workers, and from now on whoever is needed."""
        self.provider.on_sent = self._hire
        self._hire()

    def _hire(self) -> None:
        provider, config = self.provider, self._config
        waiting = self._hired - provider.in_flight
        self.most_waiting = max(self.most_waiting, waiting)
        missing = config.backlog + provider.refused_before - waiting
        for _ in range(min(missing, self._most - self._hired)):
            self._hired += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            load = self._workload.next(self._clock())
            request = self._requests.get(load)
            if request is None:
                request = self._requests[load] = self._request(load)
            result = await self._service.generate_output_async(request)
            self._note(result)
            if not result.attempts:
                await anyio.sleep(PAUSE_S)

    def _request(self, load: Load) -> GenerationRequest:
        return GenerationRequest(prompt=str(load.input_tokens), max_tokens=load.max_tokens, model=self._config.model)

    def _note(self, result: GenerationResult) -> None:
        self.finished += 1
        if not result.success:
            self.given_up += 1
            match result.error_type:
                case ErrorType.HTTP_429:
                    self.provider.refused_before -= 1
                case ErrorType.GATE_REFUSED | ErrorType.DEADLINE_EXCEEDED:
                    pass
                case _:
                    raise RuntimeError(f"the experiment has failed: {result.error_message}")
        for wait in result.backoff.gates:
            self.waits_s.setdefault(wait.gate, array("d")).append(wait.ms / 1000.0)
