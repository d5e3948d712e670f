"""Fakes that follow the contracts to the letter."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import anyio

from penstock.contracts import BaseLLMProvider, InvokeOutcome, MetricsSink, StepContext
from penstock.schema import (
    Event,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    LLMCallRequest,
    ProviderReply,
    Usage,
)
from penstock.testing.samples import REQUEST, TRACE_ID, USAGE, sample_result

__all__ = ["RecordingSink", "ScriptedGenerate", "ScriptedProvider", "step_context"]

Line = str | ProviderReply | BaseException | Callable[[dict[str, Any]], InvokeOutcome]
Answer = str | GenerationResult | Callable[[GenerationRequest], "str | GenerationResult"]


class ScriptedProvider(BaseLLMProvider):
    """Says its lines in turn, the last one for ever; remembers every payload in `calls`.

    Args:
        lines: an answer's text, a whole `ProviderReply`, an exception to raise, or a function of the payload.
        name: the provider's name.
        latency_s: seconds that each call takes, on the loop's clock.
        chunk_chars: how many characters each chunk of a stream has.
    """

    def __init__(
        self, lines: Iterable[Line] = ("ok",), *, name: str = "fake", latency_s: float = 0.0, chunk_chars: int = 4
    ) -> None:
        self.name = name
        self.latency_s = latency_s
        self.chunk_chars = chunk_chars
        self.calls: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False
        self._lines = list(lines)

    def convert_request(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return a payload that says everything of the request that tests ask about."""
        return {"model": request.model, "prompt": request.messages[-1].text, "trace_id": request.trace_id}

    async def _invoke_impl(self, payload: dict[str, Any]) -> ProviderReply:
        self.calls.append(payload)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.latency_s:
                await anyio.sleep(self.latency_s)
            return self._say(payload)
        finally:
            self.in_flight -= 1

    async def stream(self, payload: dict[str, Any]) -> AsyncGenerator[GenerationChunk, None]:
        """Yield the answer in pieces, a call's latency before each, and the usage last."""
        self.calls.append(payload)
        reply = self._say(payload)
        text = reply.content or ""
        for start in range(0, len(text), self.chunk_chars):
            await anyio.sleep(self.latency_s)
            yield GenerationChunk(text[start : start + self.chunk_chars])
        yield GenerationChunk(usage=reply.usage, finish_reason=reply.finish_reason)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _say(self, payload: dict[str, Any]) -> ProviderReply:
        line = self._lines.pop(0) if len(self._lines) > 1 else self._lines[0]
        match line:
            case BaseException():
                raise line
            case ProviderReply():
                return line
            case str():
                usage = Usage(input_tokens=len(payload["prompt"]) // 4 + 1, output_tokens=len(line) // 4 + 1)
                return ProviderReply(line, usage, finish_reason="stop")
        outcome = line(payload)
        return outcome if isinstance(outcome, ProviderReply) else ProviderReply(*outcome)


class RecordingSink(MetricsSink):
    """Keeps every event in `events`; `StatsTaken` only if it is told how often."""

    name = "recording"

    def __init__(self, *, stats_every_s: float | None = None) -> None:
        self.stats_every_s = stats_every_s
        self.events: list[Event] = []
        self.closed = False
        self._lock = threading.Lock()

    def record(self, event: Event) -> None:
        """Keep `event`."""
        with self._lock:
            self.events.append(event)

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class ScriptedGenerate:
    """Stands in for a step's `context.generate`: gives its answers in turn, the last one for ever.

    Remembers every request in `requests`. Like the engine, it never raises: a failure is a result, such as
    `sample_result(error_type=ErrorType.TIMEOUT)`.

    Args:
        answers: an answer's text, a whole `GenerationResult`, or a function of the request that returns either.
        latency_s: seconds that each call takes, on the loop's clock.
    """

    def __init__(self, answers: Iterable[Answer] = ("ok",), *, latency_s: float = 0.0) -> None:
        self.requests: list[GenerationRequest] = []
        self.latency_s = latency_s
        self._answers = list(answers)

    async def __call__(self, request: GenerationRequest) -> GenerationResult:
        """Return the next answer's result."""
        self.requests.append(request)
        await anyio.sleep(self.latency_s)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        said = answer(request) if callable(answer) else answer
        return sample_result(said, request=request) if isinstance(said, str) else said


def step_context(
    content: Any = "",
    *,
    answers: Iterable[Answer] = ("ok",),
    generate: Callable[[GenerationRequest], Awaitable[GenerationResult]] | None = None,
    request: GenerationRequest = REQUEST,
    reply: ProviderReply | None = None,
    trace_id: str = TRACE_ID,
) -> StepContext:
    """Return what a step is given beside `content`, which its reply holds too.

    Args:
        content: what the model said.
        answers: what calls through `context.generate` are answered, as `ScriptedGenerate` takes them.
        generate: stands in for that altogether, such as a `ScriptedGenerate` whose `requests` the test will read.
        request: what was asked.
        reply: the whole answer.
        trace_id: the id of the request.
    """
    text = content if isinstance(content, str) else str(content)
    return StepContext(
        request=request,
        reply=reply or ProviderReply(text, USAGE, finish_reason="stop", response_model="m"),
        trace_id=trace_id,
        generate=generate or ScriptedGenerate(answers),
    )
