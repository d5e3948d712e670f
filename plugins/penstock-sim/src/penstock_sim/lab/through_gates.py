"""The quick way: requests pass the real gates and queues, and everything behind them is an entry in a timeline."""

from __future__ import annotations

import random

from penstock import ErrorType, GateRefusedError, ProviderError
from penstock.schema import GateSnapshot
from penstock.testing import Passage, Turnstile
from penstock_sim.lab.config import LabConfig
from penstock_sim.lab.crew import PAUSE_S, REFUSAL, Crew
from penstock_sim.lab.server import LabServer
from penstock_sim.lab.timeline import Timeline
from penstock_sim.lab.workload import Load, Workload
from penstock_sim.limiters import Admission

__all__ = ["run_through_gates"]


def run_through_gates(config: LabConfig, server: LabServer) -> tuple[list[GatesCrew], tuple[GateSnapshot, ...]]:
    """Let the clients loose on the server; return them, and the gates of the first one as they stood at the end."""
    timeline = Timeline()
    crews = [GatesCrew(config, server, timeline, client) for client in range(config.clients)]
    try:
        for crew in crews:
            crew.hire()
        timeline.run(config.duration_s)
        return crews, crews[0].gates()
    finally:
        timeline.close()


class GatesCrew(Crew):
    """Workers that are a coroutine while they wait for gates, and nothing but an appointment while a call is away."""

    def __init__(self, config: LabConfig, server: LabServer, timeline: Timeline, client: int) -> None:
        super().__init__(config)
        self._config = config
        self._server = server
        self._timeline = timeline
        self._workload = Workload(config, client)
        self._turnstile = Turnstile(config.gates(), timeline, model=config.model, retry=config.retry)
        self._uniform = random.Random(f"network {config.seed} {client}").uniform  # noqa: S311  # repeatable, not secret

    def start(self) -> None:
        """Have one more worker begin; or one go on with the next request."""
        self._timeline.start(self._begin())

    def gates(self) -> tuple[GateSnapshot, ...]:
        """Return the client's gates as they stand now."""
        return self._turnstile.snapshot()

    async def _begin(self) -> None:
        load = self._workload.next(self._timeline.now())
        await self._go(load, Passage(self._server.estimate(load)))

    async def _go(self, load: Load, passage: Passage) -> None:
        """Wait for the gates, and leave."""
        try:
            await self._turnstile.admit(passage)
        except GateRefusedError:
            self.ended(passage.waits, ErrorType.GATE_REFUSED)
            self._timeline.call(self.start, after_s=0.0 if passage.attempts else PAUSE_S)
        else:
            self._server.left(self._timeline.now())
            self.left(again=passage.attempts > 0)
            self._timeline.call(self._arrive, load, passage, after_s=self._uniform(*self._config.jitter_s))

    def _arrive(self, load: Load, passage: Passage) -> None:
        admission = self._server.arrive(load, self._timeline.now())
        if admission.refused_by is None:
            latency_s = self._uniform(*self._config.latency_s)
            self._timeline.call(self._answer, load, passage, admission, after_s=latency_s)
            return
        self.back(refused=True)
        hint = admission.wait_s if self._config.hints else None
        failure = ProviderError(REFUSAL, ErrorType.HTTP_429, status_code=429, retry_after_s=hint)
        wait_s = self._turnstile.failed(passage, failure)
        if wait_s is None:
            self.ended(passage.waits, failure.error_type)
            self.start()
        else:
            self._timeline.call(self._try_again, load, passage, after_s=wait_s)

    def _try_again(self, load: Load, passage: Passage) -> None:
        self._timeline.start(self._go(load, passage))

    def _answer(self, load: Load, passage: Passage, admission: Admission) -> None:
        output_tokens = self._server.answer(load, self._timeline.now())
        self.back(refused=False)
        counted = self._server.charge(load.input_tokens, output_tokens)
        self._turnstile.answered(passage, counted, self._server.readings(admission))
        self.ended(passage.waits)
        self.start()
