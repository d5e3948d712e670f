"""What a caller asks for, and the same as a provider sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, fields_dict, frozen, validators
from cattrs import BaseValidationError, transform_error

from penstock.schema.makers import maker_of
from penstock.schema.messages import Message, ResponseFormat, ToolDefinition, messages_from
from penstock.schema.serial import FrozenMapping, Record, frozen_mapping
from penstock.spelling import did_you_mean

__all__ = ["CallOptions", "GenerationRequest", "LLMCallRequest", "RepairPolicy", "RetryPolicy", "StepSpec"]


def _stop_from(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _inputs_from(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen(kw_only=True)
class RetryPolicy(Record):
    """How often and how long to try again; plain data, so that it fits a config file and a request.

    Attributes:
        strategy: "exponential" (full jitter between 0 and base_s * 2**n), "constant" (base_s each time) or "none".
        max_retries: tries after the first one.
        base_s: seconds; the first exponential ceiling, or the constant wait.
        max_s: seconds; the ceiling of penstock's own waits. A provider's hint may be longer.
        hint_jitter: a random part of up to this fraction is added on top of a provider's hint.
        max_hint_s: seconds; a longer hint ends the request with the provider's error instead of a wait.
        max_refusals: 429s that do not count as tries, where a gate holds everyone back until the provider's hint.
    """

    strategy: Literal["exponential", "constant", "none"] = field(
        default="exponential", validator=validators.in_(("exponential", "constant", "none"))
    )
    max_retries: int = field(default=2, validator=validators.ge(0))
    base_s: float = field(default=0.5, validator=validators.ge(0))
    max_s: float = field(default=60.0, validator=validators.ge(0))
    hint_jitter: float = field(default=0.1, validator=validators.ge(0))
    max_hint_s: float = field(default=600.0, validator=validators.ge(0))
    max_refusals: int = field(default=0, validator=validators.ge(0))


@frozen(kw_only=True)
class RepairPolicy(Record):
    """Whether the model is asked again when a step fails and says what is wrong with the answer. Off by default.

    Each repair is a call like any other, through the same gates; its usage and cost count in the request's result. The
    new answer goes through all steps. If the last repair fails too, the first answer stands.

    Attributes:
        max_repairs: how often, at most, for one request; each costs a call.
        prompt: what the model is told after its own answer, the step's words in the place of "{feedback}".
    """

    max_repairs: int = field(default=0, validator=validators.ge(0))
    prompt: str = "{feedback}\nAnswer again, corrected."


@frozen(kw_only=True)
class StepSpec(Record):
    """A pipeline step by its registered name, with its options; what `[[pipeline]]` in a config file says.

    Attributes:
        timeout_s: seconds; replaces the step's own timeout.
    """

    use: str
    timeout_s: float | None = None
    options: FrozenMapping[str, Any] = field(default=FrozenMapping(), converter=frozen_mapping)


def _tools_from(value: Iterable[ToolDefinition]) -> tuple[ToolDefinition, ...]:
    return tuple(value)


def _steps_from(value: Iterable[StepSpec] | None) -> tuple[StepSpec, ...] | None:
    return None if value is None else tuple(value)


@frozen(kw_only=True)
class CallOptions(Record):
    """What callers and providers both name: limits, sampling, tools and the shape of the answer.

    Attributes:
        max_tokens: the most output tokens to generate; None leaves it to the provider.
        tool_choice: "auto", "none", "required", or the name of the one tool to call.
        inputs: texts to embed, where others have messages; the result has a vector for each.
        dimensions: the length of these vectors; None leaves it to the model.
        extra: fields that penstock does not name; they reach the provider's payload unchanged.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = field(default=(), converter=_stop_from)
    seed: int | None = None
    tools: tuple[ToolDefinition, ...] = field(default=(), converter=_tools_from)
    tool_choice: str | None = None
    response_format: ResponseFormat | None = None
    inputs: tuple[str, ...] = field(default=(), converter=_inputs_from)
    dimensions: int | None = None
    extra: FrozenMapping[str, Any] = field(default=FrozenMapping(), converter=frozen_mapping)


@frozen(kw_only=True)
class GenerationRequest(CallOptions):
    """One piece of work for a model, complete and never changed by penstock.

    Attributes:
        model: "provider/model", split at the first slash; None takes the service's default model.
        prompt: the text of one user message; give this, `messages` or `inputs`.
        messages: the conversation, as `Message` or as mappings with its fields.
        operation: a name under which usage and cost are summed.
        custom_id: the caller's own id; comes back in the result.
        metadata: the caller's own facts; come back in the result, never sent to the provider.
        timeout_s: seconds for the whole request, waits at gates and retries included; None takes the service's.
        retry: replaces the service's policy for this request.
        repair: replaces the service's policy for this request.
        priority: its share of turns where requests queue, as a weight; 2 gets two turns for each turn of 1.
        pipeline: replaces the service's steps for this request; `()` runs none.
        parent_trace_id: the trace id of the request on whose behalf this one runs.

    Raises:
        ValueError: there is not exactly one of a prompt, messages and inputs, or a number is out of range.
    """

    model: str | None = None
    prompt: str | None = None
    messages: tuple[Message, ...] = field(default=(), converter=messages_from)
    operation: str | None = None
    custom_id: str | None = None
    metadata: FrozenMapping[str, Any] = field(default=FrozenMapping(), converter=frozen_mapping)
    timeout_s: float | None = None
    retry: RetryPolicy | None = None
    repair: RepairPolicy | None = None
    priority: float = 1.0
    pipeline: tuple[StepSpec, ...] | None = field(default=None, converter=_steps_from)
    parent_trace_id: str | None = None

    def __attrs_post_init__(self) -> None:
        if (self.prompt is not None) + bool(self.messages) + bool(self.inputs) != 1:
            raise ValueError("a GenerationRequest needs a prompt or messages, and not both, or inputs to embed instead")
        if self.prompt is not None and not isinstance(self.prompt, str):
            raise ValueError(f"prompt must be a str, not {type(self.prompt).__name__}")
        if self.inputs or self.dimensions is not None:
            _check_inputs(self.inputs, self.dimensions)
        if self.max_tokens is not None and not self.max_tokens > 0:
            raise ValueError(f"max_tokens must be positive, got {self.max_tokens!r}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, got {self.timeout_s!r}")
        if not 0 < self.priority < float("inf"):
            raise ValueError(f"priority must be positive, got {self.priority!r}")
        if self.temperature is not None and not self.temperature >= 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature!r}")
        if self.top_p is not None and not 0 <= self.top_p <= 1:
            raise ValueError(f"top_p must be between 0 and 1, got {self.top_p!r}")

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages, or the prompt as one user message; empty for a request that embeds."""
        return self.messages or (() if self.prompt is None else (_make_message(role="user", content=self.prompt),))


def _check_inputs(inputs: tuple[str, ...], dimensions: int | None) -> None:
    if not inputs:
        raise ValueError("dimensions goes with inputs, the texts to embed")
    for index, text in enumerate(inputs):
        if not isinstance(text, str):
            raise ValueError(f"inputs[{index}] must be a str, not {type(text).__name__}")  # noqa: TRY004  # as for any wrong field
    if dimensions is not None and not dimensions > 0:
        raise ValueError(f"dimensions must be positive, got {dimensions!r}")


@frozen(kw_only=True)
class LLMCallRequest(CallOptions):
    """One call as a provider sees it: nothing in it belongs to a particular vendor.

    Attributes:
        model: the model's name as the provider knows it, without the provider's prefix.
        messages: the conversation; empty when, and only when, there are `inputs` to embed instead.
        trace_id: the request's id, for the provider's own logging.
        stream: whether the caller wants chunks.
    """

    model: str
    messages: tuple[Message, ...]
    trace_id: str = ""
    stream: bool = False

    @staticmethod
    def of(request: GenerationRequest, *, model: str, trace_id: str, stream: bool) -> LLMCallRequest:
        """Return the call that `request` asks for."""
        return _make_call(
            model=model,
            messages=request.conversation,
            trace_id=trace_id,
            stream=stream,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            stop=request.stop,
            seed=request.seed,
            tools=request.tools,
            tool_choice=request.tool_choice,
            response_format=request.response_format,
            inputs=request.inputs,
            dimensions=request.dimensions,
            extra=request.extra,
        )


_make_message = maker_of(Message)
_make_call = maker_of(LLMCallRequest)


def request_from(value: GenerationRequest | str | Mapping[str, Any]) -> GenerationRequest:
    """Return a request from what callers may pass: a request, a prompt, or a mapping of fields."""
    if isinstance(value, GenerationRequest):
        return value
    if isinstance(value, str):
        return GenerationRequest(prompt=value)
    if isinstance(value, Mapping):
        return _request_of(value)
    raise TypeError(f"a request is a GenerationRequest, a str or a mapping, not {type(value).__name__}")


def _request_of(fields: Mapping[str, Any]) -> GenerationRequest:
    known = fields_dict(GenerationRequest)
    for name in fields:
        if name not in known:
            raise ValueError(f"{name}: no such field of a request{did_you_mean(str(name), known)}")
    try:
        return GenerationRequest.from_dict(fields)
    except BaseValidationError as error:
        raise ValueError("; ".join(transform_error(error, path="request"))) from None
