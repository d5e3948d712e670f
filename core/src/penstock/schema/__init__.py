"""Frozen data: everything a request, its result and a service's figures carry. Stands on `errors` alone."""

from penstock.schema.events import AttemptEnded, Event, RequestEnded, RequestStarted, StatsTaken
from penstock.schema.messages import (
    AudioPart,
    ContentPart,
    DocumentPart,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock.schema.reply import GenerationChunk, ProviderReply, ReplyBuilder, TokenLogprob, ToolCallDelta
from penstock.schema.request import (
    CallOptions,
    GenerationRequest,
    LLMCallRequest,
    RepairPolicy,
    RetryPolicy,
    StepSpec,
    request_from,
)
from penstock.schema.result import (
    BackoffStats,
    EventTimestamps,
    GateWait,
    GenerationResult,
    InvocationAttempt,
    PipelineStepResult,
)
from penstock.schema.serial import FrozenMapping, Record, converter
from penstock.schema.stats import GateSnapshot, ModelStats, Percentiles, SinkSnapshot, StatsSnapshot
from penstock.schema.usage import Demand, LimitReading, Usage

__all__ = [
    "AttemptEnded",
    "AudioPart",
    "BackoffStats",
    "CallOptions",
    "ContentPart",
    "Demand",
    "DocumentPart",
    "Event",
    "EventTimestamps",
    "FrozenMapping",
    "GateSnapshot",
    "GateWait",
    "GenerationChunk",
    "GenerationRequest",
    "GenerationResult",
    "ImagePart",
    "InvocationAttempt",
    "LLMCallRequest",
    "LimitReading",
    "Message",
    "ModelStats",
    "Percentiles",
    "PipelineStepResult",
    "ProviderReply",
    "Record",
    "RepairPolicy",
    "ReplyBuilder",
    "RequestEnded",
    "RequestStarted",
    "ResponseFormat",
    "RetryPolicy",
    "SinkSnapshot",
    "StatsSnapshot",
    "StatsTaken",
    "StepSpec",
    "TextPart",
    "TokenLogprob",
    "ToolCall",
    "ToolCallDelta",
    "ToolDefinition",
    "Usage",
    "converter",
    "request_from",
]
