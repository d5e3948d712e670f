"""The whole way: requests pass a real `Service`, engine and all, on an event loop whose time is virtual."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
from anyio.abc import TaskGroup

from penstock import (
    BaseLLMProvider,
    Demand,
    ErrorType,
    GenerationRequest,
    LLMCallRequest,
    ProviderError,
    ProviderReply,
    Service,
    Usage,
)
from penstock.schema import GateSnapshot
from penstock.testing import virtual_time
from penstock_sim.lab.config import Backend, LabConfig
from penstock_sim.lab.crew import PAUSE_S, REFUSAL, Crew
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.workload import Load, Workload

__all__ = ["run_through_service"]

_NOTHING = Demand()


def run_through_service(
    config: LabConfig, server: LabServer, backend: Backend
) -> tuple[list[ServiceCrew], tuple[GateSnapshot, ...]]:
    """Let the clients loose on the server; return them, and the gates of the first one as they stood at the end."""
    return anyio.run(_experiment, config, server, backend, backend=backend, backend_options=virtual_time(backend))


async def _experiment(
    config: LabConfig, server: LabServer, backend: Backend
) -> tuple[list[ServiceCrew], tuple[GateSnapshot, ...]]:
    # Asked directly: it is read several times a request, and anyio would look up the backend each time.
    now = asyncio.get_running_loop().time if backend == "asyncio" else anyio.current_time
    origin_s = now()

    def clock() -> float:
        return now() - origin_s

    async with AsyncExitStack() as stack:
        tasks = anyio.create_task_group()
        crews = [ServiceCrew(config, server, tasks, clock, client) for client in range(config.clients)]
        for crew in crews:
            await stack.enter_async_context(crew.service)
        async with tasks:
            for crew in crews:
                crew.hire()
            await anyio.sleep(config.duration_s)
            gates = crews[0].gates()
            tasks.cancel_scope.cancel()
    return crews, gates


class ServiceCrew(Crew):
    """Workers that are tasks, and a service of their own, whose provider carries requests to the lab's server."""

    def __init__(
        self, config: LabConfig, server: LabServer, tasks: TaskGroup, clock: Callable[[], float], client: int
    ) -> None:
        super().__init__(config)
        self.service = Service(
            providers=[LabProvider(self, config, server, clock, client)],
            gates=config.gates(),
            retry=config.retry,
            attempt_timeout_s=None,
            costs={config.model: {"input": 0, "output": 0}},
        )
        self._model = config.model
        self._tasks = tasks
        self._clock = clock
        self._workload = Workload(config, client)
        self._requests: dict[Load, GenerationRequest] = {}

    def start(self) -> None:
        """Have one more worker begin."""
        self._tasks.start_soon(self._work)

    def gates(self) -> tuple[GateSnapshot, ...]:
        """Return the client's gates as they stand now."""
        return self.service.snapshot().gates

    async def _work(self) -> None:
        while True:
            load = self._workload.next(self._clock())
            request = self._requests.get(load)
            if request is None:
                request = self._requests[load] = self._request(load)
            result = await self.service.generate_output_async(request)
            self.ended(result.backoff.gates, result.error_type, result.error_message)
            if not result.attempts:
                await anyio.sleep(PAUSE_S)

    def _request(self, load: Load) -> GenerationRequest:
        return GenerationRequest(prompt=str(load.input_tokens), max_tokens=load.max_tokens, model=self._model)


class LabProvider(BaseLLMProvider):
    """Carries requests over a network with jitter, and knows what the server charges."""

    def __init__(
        self, crew: Crew, config: LabConfig, server: LabServer, clock: Callable[[], float], client: int
    ) -> None:
        self.name = config.model.partition("/")[0]
        self._crew = crew
        self._config = config
        self._server = server
        self._clock = clock
        self._uniform = random.Random(f"network {config.seed} {client}").uniform  # noqa: S311  # repeatable, not secret

    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the load that the request stands for."""
        return {"load": _load(request), "refused": False}

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return what the server charges on arrival, and the most that it may charge later."""
        return self._server.estimate(_load(request))

    def charge(self, usage: Usage) -> Demand | None:
        """Return what the server has charged in the end; a refused call has cost no tokens."""
        return self._server.charge(usage.input_tokens, usage.output_tokens) if usage.total_tokens else _NOTHING

    async def _invoke_impl(self, payload: dict[str, Any]) -> ProviderReply:
        load: Load = payload["load"]
        server, config = self._server, self._config
        server.left(self._clock())
        self._crew.left(again=payload["refused"])
        payload["refused"] = False
        try:
            await anyio.sleep(self._uniform(*config.jitter_s))
            admission = server.arrive(load, self._clock())
            if admission.refused_by is not None:
                payload["refused"] = True
                hint = admission.wait_s if config.hints else None
                raise ProviderError(REFUSAL, ErrorType.HTTP_429, status_code=429, retry_after_s=hint)
            await anyio.sleep(self._uniform(*config.latency_s))
            output = server.answer(load, self._clock())
        finally:
            self._crew.back(refused=payload["refused"])
        usage = Usage(input_tokens=load.input_tokens, output_tokens=output)
        return ProviderReply("answer", usage, "stop", limits=server.readings(admission))


def _load(request: LLMCallRequest) -> Load:
    return Load(int(request.messages[-1].text), request.max_tokens or 0)
