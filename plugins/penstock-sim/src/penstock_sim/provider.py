"""The provider `sim`: the simulated model within the process, with the server's limits and faults but no network.

All its time is the event loop's, so that an hour of traffic under virtual time takes a moment.
"""

import random
from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType
from typing import Any

import anyio

from penstock import BaseLLMProvider, Demand, GenerationChunk, LLMCallRequest, ProviderReply, Usage
from penstock.schema import LimitReading
from penstock_sim.calls import chunks_of, prompt_of, readings_of, reply_of, request_of
from penstock_sim.config import SimConfig
from penstock_sim.exchange import Failure, SimRequest
from penstock_sim.failures import broken, refusal
from penstock_sim.faults import MID_STREAM_FAILURE, Damage, FaultPlan
from penstock_sim.hints import over_limit
from penstock_sim.limiters import RateLimits, ServerModel
from penstock_sim.model import answer
from penstock_sim.text import NATURAL_TOKENS, count_tokens
from penstock_sim.wire import DEFAULT_WIRE

_NOTHING = Demand()
_SILENT = frozenset({Damage.EMPTY, Damage.OVERSIZED, Damage.CLOSE, Damage.RESET})
"""Damage after which no chunk arrives; after any other, half of them do."""


class SimProvider(BaseLLMProvider):
    """Answers as the simulated server does: the same text for the same request, limits and faults included.

    Any model name will do. Belongs to one event loop, as its limits keep that loop's time.

    Attributes:
        calls: how many there have been, those that were refused or failed included.
    """

    name = "sim"
    embeds = True
    costs = MappingProxyType({"*": MappingProxyType({"input": "0.10", "output": "0.40"})})
    """Made up, so that there is a cost to look at; USD per million tokens."""

    def __init__(
        self,
        *,
        latency_s: float = 0.0,
        jitter_s: float = 0.0,
        chunk_gap_s: float = 0.0,
        rpm: int | None = None,
        tpm: int | None = None,
        limiter: ServerModel = "full",
        count_failed: bool = False,
        assumed_max_tokens: int = 16,
        faults: Mapping[str, float] | None = None,
        script: str = "",
        seed: int = 0,
        natural_tokens: tuple[int, int] = NATURAL_TOKENS,
    ) -> None:
        """Take the settings, which are the options under `[providers.sim]` too.

        Raises ValueError for a value out of range, and for faults or a script that cannot be understood.

        Args:
            latency_s: seconds before an answer, or before the first chunk of one.
            jitter_s: seconds added to it at most, evenly spread, by the seed.
            chunk_gap_s: seconds between two chunks.
            rpm: requests a minute that are answered; more get 429 and the time to wait. None: no limit.
            tpm: tokens a minute, of prompts and `max_tokens`, likewise.
            limiter: how the limits are enforced: by "full" or "second" buckets, "sliding", "fixed" or "tenths" windows.
            count_failed: whether a request that got 429 for its rate counts against `rpm`.
            assumed_max_tokens: what a request that states no `max_tokens` is charged for its output in advance.
            faults: probabilities by fault, `NAME` or `NAME:SECONDS`, such as {"500": 0.01, "slow:30": 0.001}.
            script: faults that come first, one for each request, such as "ok*3,429,500".
            seed: of the texts, the jitter and the faults.
            natural_tokens: least and greatest length of an answer that nothing cuts short.
        """
        self.calls = 0
        self._config = SimConfig(
            latency_s=latency_s,
            jitter_s=jitter_s,
            chunk_gap_s=chunk_gap_s,
            rpm=rpm,
            tpm=tpm,
            limiter=limiter,
            count_failed=count_failed,
            assumed_max_tokens=assumed_max_tokens,
            seed=seed,
            natural_tokens=natural_tokens,
        )
        self._plan = FaultPlan((faults or {}).items(), script=script, seed=seed)
        self._random = random.Random(f"jitter {seed}")  # noqa: S311  # repeatable, not secret
        self._limits: RateLimits | None = None
        self._answers = 0

    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the request as the simulation reads it, under "request"."""
        return {"request": request_of(request)}

    async def _invoke_impl(self, payload: dict[str, Any]) -> ProviderReply:
        request: SimRequest = payload["request"]
        limits, damage = await self._begin(request)
        if damage is Damage.STALL:
            await anyio.sleep_forever()
        if damage is not None:
            raise broken(damage, stream=False)
        reply = answer(request, seed=self._config.seed, natural_tokens=self._config.natural_tokens)
        return reply_of(request, reply, self._next_id(), limits)

    async def stream(self, payload: dict[str, Any]) -> AsyncGenerator[GenerationChunk, None]:
        """Yield the answer word by word, with the seconds of `chunk_gap_s` between."""
        request: SimRequest = payload["request"]
        limits, damage = await self._begin(request)
        reply = answer(request, seed=self._config.seed, natural_tokens=self._config.natural_tokens)
        chunks = chunks_of(request, reply, self._next_id(), limits)
        if damage is not None:
            chunks = [] if damage in _SILENT else chunks[: max(1, len(chunks) // 2)]
        for place, chunk in enumerate(chunks):
            if place and self._config.chunk_gap_s:
                await anyio.sleep(self._config.chunk_gap_s)
            yield chunk
        if damage is Damage.STALL:
            await anyio.sleep_forever()
        if damage is not None:
            raise broken(damage, stream=True)

    def estimate(self, request: LLMCallRequest) -> Demand:
        """Return exactly what `tpm` is charged: the prompt, and the most that may be answered."""
        most = self._config.assumed_max_tokens if request.max_tokens is None else request.max_tokens
        prompt_tokens = count_tokens(prompt_of(request))
        return Demand(input_tokens=prompt_tokens, output_tokens=0 if request.inputs else most)

    def charge(self, usage: Usage) -> Demand | None:
        """Return nothing for a call that used nothing; else None, as nothing is given back afterwards."""
        return None if usage.total_tokens else _NOTHING

    def describe(self) -> str:
        """Return where the model is."""
        return "simulated in this process"

    async def _begin(self, request: SimRequest) -> tuple[tuple[LimitReading, ...], Damage | None]:
        """Admit a request, deal it its fault and wait out its latency; sleeps only if there is any.

        Returns the state of the limits, and what harm is to come to the answer. Raises what an error answer says.
        """
        self.calls += 1
        config = self._config
        delay_s = config.latency_s
        if config.jitter_s:
            delay_s += config.jitter_s * self._random.random()
        limits = () if config.rpm is None and config.tpm is None else self._admit(request)
        fault = self._plan.next()
        effect = None if fault is None else fault.effect
        if fault is not None and effect is Damage.SLOW:
            delay_s += fault.seconds
            effect = None
        if delay_s:
            await anyio.sleep(delay_s)
        if effect is Damage.ERROR_EVENT and not request.stream:
            effect = MID_STREAM_FAILURE
        if isinstance(effect, Failure):
            raise refusal(effect, limits)
        return limits, effect

    def _admit(self, request: SimRequest) -> tuple[LimitReading, ...]:
        """Charge a request to the limits and return their state. Raises at once for one that is over them."""
        config = self._config
        if self._limits is None:  # not before there is a loop to ask for the time
            self._limits = RateLimits(
                config.limiter, anyio.current_time, rpm=config.rpm, tpm=config.tpm, count_failed=config.count_failed
            )
        charge = DEFAULT_WIRE.charge(request, config.assumed_max_tokens)
        admission = self._limits.admit(charge.input_tokens, charge.output_tokens)
        if admission.refused_by is not None:
            raise refusal(over_limit(request.model, admission), readings_of(admission))
        return readings_of(admission)

    def _next_id(self) -> str:
        self._answers += 1
        return f"sim-{self._answers}"
