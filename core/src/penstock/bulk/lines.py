"""One input line as a `Row`, a request ready to send, or as a `RowError`. Pure: whatever the bytes, never an exception.

Three forms are taken: OpenAI Batch lines (`custom_id`, `method`, `url`, `body`), bare chat bodies, and the fields of a
`GenerationRequest`. A line of a run's own error file is taken as the line that it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NoReturn, Self

from attrs import fields_dict, frozen
from cattrs import BaseValidationError, transform_error

from penstock.bulk.body import BodyError, body_fields, embedding_fields
from penstock.bulk.reading import RawLine
from penstock.schema import FrozenMapping, GenerationRequest, RepairPolicy, RetryPolicy, StepSpec, converter

__all__ = ["FORMAT_PROVIDER", "ModelRules", "Row", "RowError", "RowFault", "not_run", "parse_line"]

FORMAT_PROVIDER = "openai"
"""Whose models a bare name means when nobody says otherwise: the input formats are OpenAI's."""

READERS_BY_URL: Final = {"/v1/chat/completions": body_fields, "/v1/embeddings": embedding_fields}
"""What reads the body of a Batch line, by the endpoint that the line is for."""

BATCH_KEYS = {"custom_id", "method", "url", "body"}
OWN_KEYS = {
    "custom_id",
    "operation",
    "metadata",
    "timeout_s",
    "repair",
    "retry",
    "priority",
    "pipeline",
    "parent_trace_id",
    "extra",
}
CONTENT_KEYS = {"prompt", "messages", "inputs"}
KEYS_NAMED, KEY_CHARS = 5, 40
"""How much of a line that has none of these is told: it may be anything."""

REFUSALS = (ValueError, TypeError, KeyError, OverflowError, RecursionError, BaseValidationError)


class RowFault(Enum):
    """Why a row was not sent: the value that is recorded, and what to do about it."""

    remedy: str

    def __new__(cls, value: str, remedy: str) -> Self:
        """Make a member whose value is the string alone."""
        member = object.__new__(cls)
        member._value_ = value
        member.remedy = remedy
        return member

    INVALID_LINE = "invalid_line", "Correct the line; the message says where it is wrong."
    LINE_TOO_LONG = "line_too_long", "Shorten the line, or raise --max-line-bytes."
    DUPLICATE_CUSTOM_ID = "duplicate_custom_id", "Give each line a custom_id of its own, or leave the key out."
    NO_MODEL = "no_model", "Name a model in the line, with -m, or as default_model in the config file."
    BUDGET = "budget", "Raise --budget and run the error file."
    NOT_RUN = "not_run", "Mend what stopped the run, then run the error file."
    ABANDONED = "abandoned", "Run the error file; the provider may have answered and billed these all the same."


@frozen(kw_only=True)
class ModelRules:
    """What happens to the model that a line names.

    Attributes:
        model: replaces the model of every line.
        provider: stands before names without a slash.
        has_default: whether the service knows a model for lines that name none.
    """

    model: str | None = None
    provider: str = FORMAT_PROVIDER
    has_default: bool = False

    def resolve(self, named: str | None) -> str | None:
        """Return the "provider/model" to call; None leaves the choice to the service's default."""
        model = self.model or named
        return model if not model or "/" in model else f"{self.provider}/{model}"


@frozen(kw_only=True)
class Row:
    """A line that can be sent; `source` is the line as it came."""

    line: int
    custom_id: str
    request: GenerationRequest
    source: bytes


@frozen(kw_only=True)
class RowError:
    """A line that will not be sent, and why; `source` is None when it was too long to keep."""

    line: int
    custom_id: str
    fault: RowFault
    message: str
    source: bytes | None


class _FaultError(Exception):
    """A line's fault on its way up to `parse_line`."""

    def __init__(self, fault: RowFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def parse_line(raw: RawLine, rules: ModelRules) -> Row | RowError:
    """Return the request that a line asks for, or what is wrong with it."""
    fallback_id = f"line-{raw.number}"
    if raw.text is None:
        message = f"the line has {raw.size:,} bytes, more than the limit"
        return RowError(
            line=raw.number, custom_id=fallback_id, fault=RowFault.LINE_TOO_LONG, message=message, source=None
        )
    data: object = None
    try:
        data = _unwrapped(_loads(raw.text))
        request = _request(data, fallback_id, rules)
    except _FaultError as error:
        fault, message = error.fault, str(error)
    except REFUSALS as error:
        fault, message = RowFault.INVALID_LINE, _explain(error)
    else:
        return Row(line=raw.number, custom_id=request.custom_id or "", request=request, source=raw.text)
    given = data.get("custom_id") if isinstance(data, dict) else None
    custom_id = given if isinstance(given, str) else fallback_id
    return RowError(line=raw.number, custom_id=custom_id, fault=fault, message=message, source=raw.text)


def _loads(text: bytes) -> object:
    try:
        data = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BodyError(f"not UTF-8: byte {error.object[error.start]:#04x} at position {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise BodyError(f"not JSON: {error.msg} at position {error.pos + 1}") from None
    if b"\\u" in text:
        _refuse_half_characters(data)
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"not JSON: {name} is no JSON number")


def _refuse_half_characters(data: object) -> None:
    """Refuse escapes of half a surrogate pair: no provider could be sent such a text, as UTF-8 cannot say it."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BodyError("not JSON text: an escape \\ud800 to \\udfff stands without its other half") from None


def _unwrapped(data: object) -> object:
    """Return the line that a line of an error file holds; any other line as it is."""
    if not isinstance(data, dict) or "input" not in data or "error" not in data:
        return data
    inner = data["input"]
    if inner is None:
        raise BodyError("the error file did not keep this line, because it was too long")
    if isinstance(inner, str):
        inner = _loads(inner.encode())
    if isinstance(inner, dict) and inner.get("custom_id") is None:
        inner = {**inner, "custom_id": data.get("custom_id")}
    return inner


def _request(data: object, fallback_id: str, rules: ModelRules) -> GenerationRequest:
    if not isinstance(data, dict):
        raise BodyError("expected a JSON object")
    if not isinstance(data.get("custom_id", ""), str | None):
        raise BodyError("custom_id: expected a string")
    arguments = _batch_fields(data) if "body" in data else _bare_fields(data)
    if not arguments.keys() & CONTENT_KEYS:
        raise BodyError(_nothing_asked(data.get("body", data)))
    arguments["model"] = rules.resolve(arguments.get("model"))
    if arguments["model"] is None and not rules.has_default:
        raise _FaultError(RowFault.NO_MODEL, "the line names no model, and there is no default")
    given = data.get("custom_id")
    return GenerationRequest(**{**arguments, "custom_id": fallback_id if given is None else given})


def _nothing_asked(body: Mapping[str, Any]) -> str:
    """Return what to say of a line that asks for nothing, with the keys that it has instead."""
    keys = ", ".join(repr(key[:KEY_CHARS]) for key in list(body)[:KEYS_NAMED])
    return f"expected a prompt, messages or inputs; its keys are {keys}" if keys else "the line is an empty object"


def _batch_fields(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Batch line: all of `body` is the provider's; what stands beside it is the caller's."""
    body, method, url = line["body"], line.get("method"), line.get("url")
    if not isinstance(body, dict):
        raise BodyError("body: expected an object")
    if method not in (None, "POST"):
        raise BodyError("method: expected 'POST'")
    fields = _reader_for(url)(body)
    own = _own_fields(line)
    facts = {key: value for key, value in line.items() if key not in BATCH_KEYS | OWN_KEYS}
    return fields | own | {"metadata": FrozenMapping(facts | own.get("metadata", {}))} | _extra(fields, own)


def _reader_for(url: object) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what reads bodies for `url`, with a host before it or without; a line without one is a chat."""
    if url is None:
        return body_fields
    for known, reader in READERS_BY_URL.items():
        if isinstance(url, str) and url.rstrip("/").endswith(known.removeprefix("/v1")):
            return reader
    raise BodyError(f"url: expected {' or '.join(map(repr, READERS_BY_URL))}, the endpoints that this command knows")


def _bare_fields(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a bare body, which may name a request's own fields as well."""
    fields = body_fields({key: value for key, value in line.items() if key not in OWN_KEYS})
    own = _own_fields(line)
    return fields | own | _extra(fields, own)


def _extra(fields: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {"extra": FrozenMapping({**fields["extra"], **own.get("extra", {})})}


def _own_fields(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that only a `GenerationRequest` has, checked."""
    own: dict[str, Any] = {}
    for key in OWN_KEYS - {"custom_id"}:
        value = line.get(key)
        if value is not None:
            own[key] = _own_value(key, value)
    return own


def _own_value(key: str, value: object) -> object:
    match key, value:
        case "metadata" | "extra", dict():
            return FrozenMapping(value)
        case "operation" | "parent_trace_id", str():
            return value
        case "timeout_s" | "priority", int() | float() if not isinstance(value, bool):
            return value
        case "retry", dict():
            _refuse_unknown(value, set(fields_dict(RetryPolicy)), key)
            return converter.structure(value, RetryPolicy)
        case "repair", dict():
            _refuse_unknown(value, set(fields_dict(RepairPolicy)), key)
            return converter.structure(value, RepairPolicy)
        case "pipeline", list():
            return _steps(value, key)
    raise BodyError(f"{key}: a value of the wrong type")


def _steps(value: list[object], path: str) -> tuple[StepSpec, ...]:
    for index, step in enumerate(value):
        if not isinstance(step, dict) or not isinstance(step.get("use"), str):
            raise BodyError(f'{path}[{index}]: expected an object with "use", the name of a step')
    return converter.structure(value, tuple[StepSpec, ...])


def _refuse_unknown(value: Mapping[str, object], known: set[str], path: str) -> None:
    unknown = sorted(value.keys() - known)
    if unknown:
        raise BodyError(f"{path}.{unknown[0]}: unknown key; known are {', '.join(sorted(known))}")


def _explain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "not usable: nested too deeply"
    if isinstance(error, BaseValidationError):
        return "; ".join(transform_error(error))
    return str(error) or type(error).__name__


def not_run(row: Row, fault: RowFault, message: str) -> RowError:
    """Return the error of a row that could have been sent and was not."""
    return RowError(line=row.line, custom_id=row.custom_id, fault=fault, message=message, source=row.source)
