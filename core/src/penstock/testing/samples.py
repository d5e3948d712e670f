"""Samples of what plugins are given: results, attempts, and events both usual and odd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from penstock.errors import ErrorType
from penstock.schema import (
    AttemptEnded,
    BackoffStats,
    Event,
    GateSnapshot,
    GateWait,
    GenerationRequest,
    GenerationResult,
    InvocationAttempt,
    ModelStats,
    Percentiles,
    PipelineStepResult,
    RequestEnded,
    RequestStarted,
    SinkSnapshot,
    StatsSnapshot,
    StatsTaken,
    Usage,
)

__all__ = ["odd_events", "sample_attempt", "sample_events", "sample_result"]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRACE_ID = "6f1c0f0e-5d7b-4c55-9a0e-3f1f0d6f2a11"
REQUEST = GenerationRequest(prompt="What is a penstock?", model="fake/m", operation="sample")
USAGE = Usage(input_tokens=12, output_tokens=5)
COST_USD = Decimal("0.000012")

ODD_TEXTS = ("", " \n\r\t", "naïve 水 🚰 \u202e\u0000\x1b[31m\ud800", "'; DROP TABLE events; --", "x" * 1_000_000)
"""Nothing, white space, other scripts, control characters and half a surrogate pair, quotes, a megabyte."""


def sample_result(
    content: Any = "A pipe.",
    *,
    request: GenerationRequest = REQUEST,
    error_type: ErrorType | None = None,
    **changes: Any,
) -> GenerationResult:
    """Return the result of a request that took one attempt: a success with `content`, or a failure of `error_type`.

    Args:
        content: what the model answered; nothing where there is an `error_type`.
        request: what was asked.
        error_type: why it failed; None for a success.
        changes: fields of the result that are to be otherwise.
    """
    failed = error_type is not None
    model = request.model or "fake/m"
    provider, _, name = model.partition("/")
    fields: dict[str, Any] = {
        "success": not failed,
        "trace_id": TRACE_ID,
        "request": request,
        "content": None if failed else content,
        "raw_content": content if isinstance(content, str) and not failed else None,
        "error_type": error_type,
        "error_message": f"a sample of {error_type.value}" if error_type is not None else None,
        "provider": provider,
        "model": name,
        "response_model": name,
        "finish_reason": None if failed else "stop",
        "usage": Usage() if failed else USAGE,
        "cost_usd": Decimal(0) if failed else COST_USD,
        "attempts": (sample_attempt(error_type),),
        "backoff": BackoffStats(gates=(GateWait("rpm", 1, 20.0),)),
        "elapsed_ms": 520.0,
    }
    return GenerationResult(**fields | changes)


def sample_attempt(error_type: ErrorType | None = None, **changes: Any) -> InvocationAttempt:
    """Return an attempt of half a second at noon on the first of January 2026."""
    failed = error_type is not None
    fields: dict[str, Any] = {
        "number": 1,
        "success": not failed,
        "enqueued_at": NOON,
        "started_at": NOON + timedelta(milliseconds=20),
        "ended_at": NOON + timedelta(milliseconds=520),
        "queue_ms": 20.0,
        "duration_ms": 500.0,
        "error_type": error_type,
        "error_message": f"a sample of {error_type.value}" if error_type is not None else None,
        "status_code": None,
        "usage": Usage() if failed else USAGE,
        "cost_usd": Decimal(0) if failed else COST_USD,
    }
    return InvocationAttempt(**fields | changes)


def sample_events(result: GenerationResult | None = None) -> list[Event]:
    """Return what a sink is told of one request, in order: of `result`, or of a success; and figures of the service."""
    told = result or sample_result()
    request = told.request
    common: dict[str, Any] = {"trace_id": told.trace_id, "at": NOON}
    attempts = [
        AttemptEnded(**common, provider=told.provider or "fake", model=told.model or "m", attempt=attempt)
        for attempt in told.attempts
    ]
    return [
        RequestStarted(
            **common, model=request.model, operation=request.operation, parent_trace_id=told.parent_trace_id
        ),
        *attempts,
        RequestEnded(**common, result=told),
        StatsTaken(at=NOON, stats=sample_stats()),
    ]


def sample_stats(**changes: Any) -> StatsSnapshot:
    """Return the figures of a service that has a gate and a sink, after one request."""
    fields: dict[str, Any] = {
        "at": NOON,
        "uptime_s": 60.0,
        "rpm": 1.0,
        "tpm": 17.0,
        "requests": 1,
        "succeeded": 1,
        "attempts": 1,
        "usage": USAGE,
        "cost_usd": COST_USD,
        "latency_ms": Percentiles.of([500.0]),
        "by_model": {"fake/m": ModelStats(requests=1, succeeded=1, attempts=1, usage=USAGE, cost_usd=COST_USD)},
        "gates": (GateSnapshot(name="rpm", match="*", limit=60.0, used=1.0),),
        "sinks": (SinkSnapshot(name="sample", recorded=3),),
    }
    return StatsSnapshot(**fields | changes)


def odd_events() -> list[Event]:
    """Return events that are allowed and rare: failures of every type, fields left empty, odd and huge texts.

    One is of a class that this version of penstock does not have: a later one may.
    """
    results = [sample_result(error_type=error_type) for error_type in ErrorType]
    for text in ODD_TEXTS:
        request = REQUEST.replace(
            prompt=text, model=text, operation=text, custom_id=text, metadata={text: [text, None]}
        )
        results.append(sample_result(text, request=request, error_message=text, trace_id=text))
    results += [
        sample_result({"a": [1, {"b": None}]}, pipeline_results=(_failed_step(),), degraded=True, cost_usd=None),
        GenerationResult(success=False, trace_id="", request=REQUEST.replace(model=None, operation=None)),
        sample_result(parent_trace_id=TRACE_ID, usage=Usage(estimated=True), elapsed_ms=0.0, attempts=()),
        sample_result(usage=Usage(input_tokens=10**12), cost_usd=Decimal("1e30"), elapsed_ms=1e15),
    ]
    unknown = type("FromALaterVersion", (Event,), {})
    return [
        *(event for result in results for event in sample_events(result)),
        StatsTaken(at=NOON, stats=StatsSnapshot(at=NOON, uptime_s=0.0)),
        StatsTaken(at=NOON, stats=sample_stats(gates=(GateSnapshot(name=ODD_TEXTS[2], match="", limit=None),))),
        unknown(trace_id=TRACE_ID, at=NOON),
    ]


def _failed_step() -> PipelineStepResult:
    return PipelineStepResult(
        step_name="sample", success=False, started_at=NOON, ended_at=NOON, duration_ms=0.0, error_message="no JSON"
    )
