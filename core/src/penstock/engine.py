"""The request's way, on one page: admission, one call, settling, retries, the pipeline, and always a result.

Reads top to bottom: `run` is the whole way, `_answer` the part that can fail, `_attempt` one call of a provider.
The engine knows no particular gate, provider, step or sink; `Service` puts them together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
from attrs import define, field

from penstock.admission import Admission, Admitted, Scope
from penstock.contracts import Clock, StepContext
from penstock.errors import ErrorType, GateRefusedError, ProviderError
from penstock.faults import FaultLog
from penstock.flight import Deliver, Flight, Route
from penstock.ledger import Ledger
from penstock.pipeline import NO_REPAIR, Pipeline, PlacedStep
from penstock.retry import backoff, failure_of
from penstock.schema import (
    GenerationRequest,
    GenerationResult,
    LLMCallRequest,
    ProviderReply,
    RepairPolicy,
    ReplyBuilder,
    RetryPolicy,
    StepSpec,
)
from penstock.watch import Watch

__all__ = ["Engine"]


@define(eq=False, kw_only=True)
class Engine:
    """Takes requests their way. Everything it needs is handed to it, so each part can be used and tested alone.

    Attributes:
        ledger: keeps the books.
        resolve: finds the route of a "provider/model" name; raises ProviderError when there is none.
        steps: the pipeline of requests that bring none of their own.
        make_steps: builds the pipeline that a request brings.
        retry, repair, timeout_s: what applies to requests that do not say otherwise.
        watch: ends calls that take too long; its `run` must be running for that.
    """

    clock: Clock
    admission: Admission
    ledger: Ledger
    watch: Watch
    resolve: Callable[[str | None], Route]
    steps: Sequence[PlacedStep] = ()
    make_steps: Callable[[Sequence[StepSpec]], Sequence[PlacedStep]]
    retry: RetryPolicy = field(factory=RetryPolicy)
    repair: RepairPolicy = NO_REPAIR
    timeout_s: float | None = None
    logger: logging.Logger = field(factory=lambda: logging.getLogger(__name__))
    faults: FaultLog = field(init=False)

    @faults.default
    def _make_fault_log(self) -> FaultLog:
        return FaultLog(self.logger)

    async def run(
        self,
        request: GenerationRequest,
        *,
        deliver: Deliver | None = None,
        done: Callable[[GenerationResult], None] | None = None,
    ) -> GenerationResult:
        """Take `request` all its way and return the result; no Exception gets out.

        Cancellation and other BaseExceptions pass through after the books are closed: permits are given back and
        the result, of type `CANCELLED`, is recorded and handed to `done`.

        Args:
            request: what to do.
            deliver: gets each chunk as it comes; None asks for the answer as a whole.
            done: gets the result in any case, cancellation included.
        """
        flight = Flight(request, self.clock, deliver)
        self.ledger.recorder.started(flight)
        timeout = request.timeout_s or self.timeout_s
        try:
            if timeout is None:
                await self._answer(flight)
            else:
                with anyio.CancelScope(deadline=flight.started + timeout) as scope:
                    await self._answer(flight)
                if scope.cancelled_caught:
                    flight.failure = ProviderError(
                        f"not done within the request's timeout of {timeout:g} s{flight.longest_wait()}",
                        ErrorType.DEADLINE_EXCEEDED,
                    )
        except Exception as error:  # noqa: BLE001  # errors are values at this boundary
            flight.failure = failure_of(error)
            if flight.failure.error_type is ErrorType.UNKNOWN:
                self.faults.tell(flight.trace_id, error)
        except BaseException:
            flight.cancelled()
            raise
        finally:
            result = flight.result()
            self.ledger.recorder.ended(flight, result)
            if done is not None:
                done(result)
        return result

    def refuse(self, request: GenerationRequest, failure: ProviderError) -> GenerationResult:
        """Return, and record, the result of a request that cannot even begin."""
        flight = Flight(request, self.clock, failure=failure)
        self.ledger.recorder.started(flight)
        result = flight.result()
        self.ledger.recorder.ended(flight, result)
        return result

    async def _answer(self, flight: Flight) -> None:
        """Find the provider, call it until it answers, and run the pipeline. Raises when there is no answer."""
        request = flight.request
        flight.route = self.resolve(request.model)
        flight.mark("provider_resolved_at")
        call = LLMCallRequest.of(
            request, model=flight.route.model, trace_id=flight.trace_id, stream=flight.deliver is not None
        )
        if call.inputs:
            _check_embedding(call, flight.route)
        payload = self._convert(flight, flight.route, call)
        steps = self.steps if request.pipeline is None else self.make_steps(request.pipeline)
        policy = request.retry or self.retry
        scope = self.admission.scope_of(flight.route.full_model, request.operation)
        while failure := await self._attempt(flight, flight.route, scope, payload):
            # After a 429 that a gate heeds, everyone is held until the hint, and this request keeps its place.
            heeded = flight.refused = scope.heeds(failure, flight.demand)
            flight.refusals += heeded
            retries = len(flight.attempts) - 1
            wait = None if flight.chunks else backoff(policy, failure, retries=retries, refusals=flight.refusals)
            if wait is None:
                raise failure
            when = "when the gates allow" if heeded else f"in {wait:.3f} s"
            self.logger.info("request %s: %s; trying again %s", flight.trace_id, failure, when)
            if not heeded:
                await self._back_off(flight, wait)
        await self._post_process(flight, steps)

    def _convert(self, flight: Flight, route: Route, call: LLMCallRequest) -> dict[str, Any]:
        """Have the provider make its payload and its estimate; raises ProviderError for whatever it raises."""
        try:
            payload = route.provider.convert_request(call)
            flight.estimate = route.provider.estimate(call)
        except Exception as error:
            raise failure_of(error, route.provider) from error
        flight.mark("request_converted_at")
        return payload

    async def _attempt(
        self, flight: Flight, route: Route, scope: Scope, payload: dict[str, Any]
    ) -> ProviderError | None:
        """Wait for the gates, call the provider once, settle and record. Return why it failed, if it did."""
        admitted = await self._admit(flight, route, scope)
        flight.was_admitted(admitted)
        started = flight.mark("last_invoke_started_at")
        flight.marks.setdefault("first_invoke_started_at", started)
        self.ledger.recorder.sent(flight, started)
        limit = self.watch.enter(started)
        failure: ProviderError | None = None
        try:
            with limit:
                flight.reply = await self._call(flight, route, payload)
            if limit.cancelled_caught:
                failure = ProviderError(f"no answer within {self.watch.limit_s:g} s", ErrorType.TIMEOUT)
        except Exception as error:  # noqa: BLE001  # whatever a provider raises is a failed attempt
            failure = failure_of(error, route.provider)
        except BaseException:
            failure = ProviderError("cancelled while the provider was at work", ErrorType.CANCELLED)
            raise
        finally:
            self.watch.leave(limit)
            self.ledger.close(flight, route, admitted, failure)
        return failure

    async def _admit(self, flight: Flight, route: Route, scope: Scope) -> Admitted:
        """Wait for the gates. After a refusal by the provider the wait is the provider's doing, and is told so."""
        enqueued = flight.clock.now()
        flight.marks.setdefault("generation_enqueued_at", enqueued)
        again, flight.refused = flight.refused, False
        try:
            return await scope.admit(
                partial(self.ledger.expect, flight, route, scope),
                [] if again else flight.waits,
                priority=flight.request.priority,
                again=again,
            )
        except GateRefusedError as error:
            raise ProviderError(str(error), ErrorType.GATE_REFUSED) from error
        finally:
            if again:
                flight.backed_off(flight.clock.now() - enqueued)

    async def _call(self, flight: Flight, route: Route, payload: dict[str, Any]) -> ProviderReply:
        """Call the provider, as a whole or chunk by chunk."""
        if flight.deliver is None:
            reply = await route.provider.invoke(payload)
            flight.mark("response_started_at")
            if flight.request.inputs:
                _check_vectors(reply, len(flight.request.inputs))
            return reply
        builder = ReplyBuilder()
        async with aclosing(route.provider.stream(payload)) as chunks:
            async for chunk in chunks:
                if flight.chunks is None:
                    flight.chunks = builder
                    flight.mark("response_started_at")
                builder.add(chunk)
                await flight.deliver(chunk)
        return builder.build()

    async def _back_off(self, flight: Flight, wait: float) -> None:
        """Sleep with no permit in hand, and note how long it really was."""
        began = self.clock.now()
        try:
            await anyio.sleep(wait)
        finally:
            flight.backed_off(self.clock.now() - began)

    async def _post_process(self, flight: Flight, steps: Sequence[PlacedStep]) -> None:
        """Run the pipeline over the answer's content; an answer that is only tool calls has none."""
        reply = flight.reply
        if reply is None:
            return
        flight.content = reply.content
        flight.mark("postprocessing_started_at")
        if steps and reply.content is not None:
            context = StepContext(
                request=flight.request,
                reply=reply,
                trace_id=flight.trace_id,
                generate=partial(self._run_child, flight),
            )
            pipeline = Pipeline(
                steps=steps, stamp=flight.stamp, logger=self.logger, repair=flight.request.repair or self.repair
            )
            flight.steps = pipeline.results
            flight.content = await pipeline.run(reply.content, context)
        flight.mark("postprocessing_ended_at")

    async def _run_child(self, parent: Flight, request: GenerationRequest) -> GenerationResult:
        """Run a request on behalf of `parent`: its model and operation, and so its gates, unless named; no pipeline."""
        child = request.replace(
            model=request.model or parent.request.model,
            operation=request.operation or parent.request.operation,
            pipeline=request.pipeline or (),
            parent_trace_id=parent.trace_id,
        )
        return await self.run(child, done=parent.children.append)


def _check_embedding(call: LLMCallRequest, route: Route) -> None:
    """Refuse texts to embed where nobody can, before anything is sent."""
    if not route.provider.embeds:
        problem = f"inputs: provider {route.name!r} does not embed; give it a prompt or messages"
    elif call.stream:
        problem = "inputs: embeddings come as a whole and cannot be streamed"
    else:
        return
    raise ProviderError(problem, ErrorType.INVALID_REQUEST)


def _check_vectors(reply: ProviderReply, inputs: int) -> None:
    """Refuse an answer that has not one vector for each input: nobody could tell which is whose."""
    if len(reply.embeddings) != inputs:
        problem = f"{len(reply.embeddings)} embeddings came for {inputs} inputs"
        raise ProviderError(problem, ErrorType.MALFORMED_RESPONSE, request_id=reply.request_id, usage=reply.usage)
