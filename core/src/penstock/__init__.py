"""penstock: call language models well. Gates in front, a pipeline behind, gauges everywhere."""

from typing import TYPE_CHECKING, Any

from penstock.builtin.gates import ConcurrencyGate, RpmGate, TpmGate
from penstock.builtin.paced import PacedGate
from penstock.contracts import (
    BaseLLMProvider,
    Gate,
    MetricsSink,
    Outcome,
    Permit,
    PipelineStep,
    Registration,
    StepContext,
)
from penstock.costs import MODEL_COSTS
from penstock.errors import (
    ConfigError,
    ErrorType,
    GateRefusedError,
    PenstockError,
    PluginError,
    ProviderError,
    StepError,
)
from penstock.hookspecs import HOOK_API, hookimpl
from penstock.schema import (
    BackoffStats,
    Demand,
    Event,
    EventTimestamps,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    ImagePart,
    InvocationAttempt,
    LLMCallRequest,
    Message,
    PipelineStepResult,
    ProviderReply,
    RepairPolicy,
    ResponseFormat,
    RetryPolicy,
    StatsSnapshot,
    StepSpec,
    TextPart,
    ToolCall,
    ToolDefinition,
    Usage,
)

if TYPE_CHECKING:
    from penstock.service import Service

__version__ = "0.1.0"

__all__ = [
    "HOOK_API",
    "MODEL_COSTS",
    "BackoffStats",
    "BaseLLMProvider",
    "ConcurrencyGate",
    "ConfigError",
    "Demand",
    "ErrorType",
    "Event",
    "EventTimestamps",
    "Gate",
    "GateRefusedError",
    "GenerationChunk",
    "GenerationRequest",
    "GenerationResult",
    "ImagePart",
    "InvocationAttempt",
    "LLMCallRequest",
    "Message",
    "MetricsSink",
    "Outcome",
    "PacedGate",
    "PenstockError",
    "Permit",
    "PipelineStep",
    "PipelineStepResult",
    "PluginError",
    "ProviderError",
    "ProviderReply",
    "Registration",
    "RepairPolicy",
    "ResponseFormat",
    "RetryPolicy",
    "RpmGate",
    "Service",
    "StatsSnapshot",
    "StepContext",
    "StepError",
    "StepSpec",
    "TextPart",
    "ToolCall",
    "ToolDefinition",
    "TpmGate",
    "Usage",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name == "Service":
        from penstock.service import Service  # late: plugin authors and commands that list need no event loop

        return Service
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")
