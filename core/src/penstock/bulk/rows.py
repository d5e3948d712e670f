"""A result or a row error as one output line: OpenAI's Batch output, plus the key "penstock". Pure.

Costs are strings, exact, as in every record of penstock; times are milliseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from penstock.bulk.lines import Row, RowError, RowFault
from penstock.errors import ErrorType
from penstock.schema import GenerationResult, TokenLogprob, Usage, converter

__all__ = ["error_file_line", "output_line"]


def output_line(row: Row | RowError, result: GenerationResult | None = None) -> bytes:
    """Return the line for the output file, newline included: what `result` says, or why there is none."""
    if result is None or isinstance(row, RowError):
        return _dumps(_unsent(row))
    try:
        return _dumps(_sent(row, result, _facts(row, result) | _extras(result)))
    except RecursionError:
        # A step or the caller made something deeper than JSON goes; what the model said is in the body all the same.
        return _dumps(_sent(row, result, _facts(row, result) | {"content": None, "too_deep": True}))


def error_file_line(row: Row | RowError, result: GenerationResult | None = None) -> bytes:
    """Return the line for the error file, newline included; it holds the input line, and can itself be an input."""
    if isinstance(row, RowError):
        code, message = row.fault.value, row.message
    else:
        error = _error(result) if result is not None else None
        code, message = (error["code"], error["message"]) if error else ("unknown", "")
    line = {"custom_id": row.custom_id, "error": {"code": code, "message": message, "line": row.line}}
    try:
        return _dumps({**line, "input": _original(row.source)})
    except RecursionError:
        return _dumps({**line, "input": _text(row.source)})


def _text(source: bytes | None) -> str | None:
    return None if source is None else source.decode("utf-8", errors="backslashreplace")


def _original(source: bytes | None) -> object:
    """Return the input line as its object, or as text when it is not JSON."""
    text = _text(source)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # An error file's own line is unwrapped, so that a second round does not wrap it twice.
    if isinstance(data, dict) and "input" in data and "error" in data:
        inner = data["input"]
        if isinstance(inner, dict):
            return {**inner, "custom_id": inner.get("custom_id") or data.get("custom_id")}
        return inner
    return data


def _unsent(row: Row | RowError) -> dict[str, Any]:
    fault = row.fault.value if isinstance(row, RowError) else ErrorType.UNKNOWN.value
    abandoned = isinstance(row, RowError) and row.fault is RowFault.ABANDONED
    spent = {"attempts": None, "cost_usd": None} if abandoned else {"attempts": 0, "cost_usd": "0"}
    message = row.message if isinstance(row, RowError) else ""
    return {
        "id": f"penstock-line-{row.line}",
        "custom_id": row.custom_id,
        "response": None,
        "error": {"code": fault, "message": message},
        "penstock": {"line": row.line, "success": False, **spent},
    }


def _sent(row: Row, result: GenerationResult, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"penstock-{result.trace_id}",
        "custom_id": row.custom_id,
        "response": _response(result),
        "error": _error(result),
        "penstock": facts,
    }


def _error(result: GenerationResult) -> dict[str, str] | None:
    if result.success:
        return None
    error_type = result.error_type or ErrorType.UNKNOWN
    return {"code": error_type.value, "message": result.error_message or error_type.remedy}


def _response(result: GenerationResult) -> dict[str, Any] | None:
    """Return what OpenAI's Batch would hold of the HTTP response; None when none came."""
    last = result.attempts[-1] if result.attempts else None
    request_id = last.request_id if last else None
    if result.success:
        body = _embeddings(result) if result.request.inputs else _completion(result)
        return {"status_code": 200, "request_id": request_id, "body": body}
    if last is None or last.status_code is None:
        return None
    error = _error(result)
    return {"status_code": last.status_code, "request_id": request_id, "body": {"error": error}}


def _completion(result: GenerationResult) -> dict[str, Any]:
    """Return the answer as a chat completion: the model's own words, before any pipeline step."""
    message: dict[str, Any] = {"role": "assistant", "content": result.raw_content, "refusal": result.refusal}
    if result.reasoning:
        message["reasoning_content"] = result.reasoning
    if result.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in result.tool_calls
        ]
    done = result.timestamps.last_invoke_ended_at or result.timestamps.generation_completed_at
    choice = {"index": 0, "message": message, "finish_reason": result.finish_reason, "logprobs": _logprobs(result)}
    return {
        "id": result.response_id or f"chatcmpl-{result.trace_id}",
        "object": "chat.completion",
        "created": int(done.timestamp()) if done else 0,
        "model": result.response_model or result.model,
        "choices": [choice],
        "usage": _openai_usage(_usage_of_answer(result)),
    }


def _logprobs(result: GenerationResult) -> dict[str, Any] | None:
    if not result.logprobs:
        return None
    told = [{**_logprob(token), "top_logprobs": [_logprob(other) for other in token.top]} for token in result.logprobs]
    refused = result.raw_content is None
    return {"content": None if refused else told, "refusal": told if refused else None}


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes}


def _embeddings(result: GenerationResult) -> dict[str, Any]:
    """Return the answer as that of `POST /v1/embeddings`, with numbers whatever encoding was asked for."""
    usage = _usage_of_answer(result)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(result.embeddings)
        ],
        "model": result.response_model or result.model,
        "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.total_tokens},
    }


def _usage_of_answer(result: GenerationResult) -> Usage:
    """Return what the answer itself took; tries that failed and the steps' own calls are in penstock.usage."""
    return result.attempts[-1].usage if result.attempts else result.usage


def _openai_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "audio_tokens": usage.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_output_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }


def _facts(row: Row, result: GenerationResult) -> dict[str, Any]:
    return {
        "line": row.line,
        "trace_id": result.trace_id,
        "success": result.success,
        "degraded": result.degraded,
        "provider": result.provider,
        "model": result.model,
        "cost_usd": None if result.cost_usd is None else f"{result.cost_usd:f}",
        "usage": result.usage.to_dict(),
        "attempts": len(result.attempts),
        "waits": {
            "gates": [
                {"gate": wait.gate, "loops": wait.loops, "ms": round(wait.ms, 3)} for wait in result.backoff.gates
            ],
            "retry_loops": result.backoff.retry_loops,
            "retry_ms": round(result.backoff.retry_ms, 3),
        },
        "elapsed_ms": round(result.elapsed_ms, 3),
    }


def _extras(result: GenerationResult) -> dict[str, Any]:
    """Return what only some results have, and what may be of any shape."""
    facts: dict[str, Any] = {}
    if result.pipeline_results:
        facts["content"] = converter.unstructure(result.content, unstructure_as=Any)
        facts["steps"] = [
            {"step_name": step.step_name, "success": step.success, "error_message": step.error_message}
            for step in result.pipeline_results
        ]
    if not result.success and result.content is not None:
        facts["partial_content"] = converter.unstructure(result.content, unstructure_as=Any)
    if result.request.metadata:
        facts["metadata"] = converter.unstructure(result.request.metadata, unstructure_as=Any)
    return facts


def _dumps(line: dict[str, Any]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except ValueError:
        # A number that JSON does not have, or half a surrogate pair: both come from models and steps.
        return json.dumps(_finite(line), separators=(",", ":")).encode() + b"\n"


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
