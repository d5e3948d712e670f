"""The public names, written out: a name that comes or goes is a change for users, and shows here."""

import importlib

import pytest

PUBLIC = {
    "penstock": [
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
        "HOOK_API",
        "ImagePart",
        "InvocationAttempt",
        "LLMCallRequest",
        "MODEL_COSTS",
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
    ],
    "penstock.testing": [
        "ManualClock",
        "RecordingSink",
        "ScriptedProvider",
        "VirtualTimeLoop",
    ],
    "penstock_gates": [
        "AdaptiveGate",
        "BreakerGate",
        "BudgetGate",
        "ItpmGate",
        "OtpmGate",
        "RpdGate",
        "TpdGate",
    ],
    "penstock_http": [
        "END",
        "ENGINES",
        "Engine",
        "EngineError",
        "Event",
        "EventParser",
        "EventTooLargeError",
        "HttpProvider",
        "HttpRequest",
        "HttpResponse",
        "HttpStream",
        "JsonBodyError",
        "LimitReading",
        "Options",
        "RetryHint",
        "Secret",
        "StreamEnd",
        "Timeouts",
        "Transport",
        "TransportError",
        "TransportFault",
        "choose_engine",
        "dumps",
        "engine_in_use",
        "error_type_of",
        "loads",
        "message_of",
        "parse_duration",
        "parse_limits",
        "parse_retry",
    ],
    "penstock_anthropic": [
        "AnthropicProvider",
    ],
    "penstock_gemini": [
        "GeminiProvider",
    ],
    "penstock_openai": [
        "AzureOpenAIProvider",
        "CompatibleProvider",
        "OpenAIProvider",
    ],
    "penstock_sim": [
        "FAULTS",
        "FaultError",
        "FaultPlan",
        "RateLimits",
        "SimConfig",
        "SimProvider",
        "SimReply",
        "SimRequest",
        "SimServer",
        "answer",
        "count_tokens",
        "make_limiter",
        "reply_text",
    ],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these(module):
    assert sorted(importlib.import_module(module).__all__) == PUBLIC[module]


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module):
    public = importlib.import_module(module)
    assert [name for name in PUBLIC[module] if not hasattr(public, name)] == []
