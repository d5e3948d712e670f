"""The services that speak OpenAI's APIs, as one table: where each is, and what it does differently.

Data alone: `plugin` offers each of them as a provider of its name, `compatible` makes the provider. The README says
where each figure is from.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import frozen

__all__ = ["SERVICES", "CompatibleService"]


@frozen(kw_only=True)
class CompatibleService:
    """One service: a row of the table.

    Attributes:
        name: the provider's name, which stands before the slash in "groq/llama-3.3-70b-versatile".
        title: how its maker writes it.
        base_url: up to and including the version.
        key_variable: the environment variable of the key; "" for a server that needs none, whose calls cost nothing.
        api: which of OpenAI's APIs it is called by.
        max_tokens_field: its name for `max_tokens`.
        seed_field: its name for `seed`.
        dimensions_field: its name for `dimensions`.
        stream_usage: whether to ask for usage at the end of a stream; False where it comes unasked.
        reserves: whether `max_tokens` counts against its token limits when a call comes in.
        settles: whether what a call really used counts in the end. Where nothing is known of a service, it is taken
            to reserve and to settle, as the base of all providers does.
        embeds: whether it has OpenAI's embeddings as well.
        request_id_header: where it puts its id of a call.
    """

    name: str
    title: str
    base_url: str
    key_variable: str = ""
    api: Literal["chat", "responses"] = "chat"
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    seed_field: Literal["seed", "random_seed"] = "seed"
    dimensions_field: Literal["dimensions", "output_dimension"] = "dimensions"
    stream_usage: bool = True
    reserves: bool = True
    settles: bool = True
    embeds: bool = False
    request_id_header: str = "x-request-id"

    @property
    def local(self) -> bool:
        """Whether it is a server of the user's own, without a key and without a bill."""
        return not self.key_variable


_TABLE = (
    CompatibleService(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        max_tokens_field="max_completion_tokens",
        request_id_header="inference-id",
    ),
    CompatibleService(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        key_variable="DEEPSEEK_API_KEY",
        request_id_header="x-ds-trace-id",
    ),
    CompatibleService(
        name="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        stream_usage=False,
        embeds=True,
    ),
    CompatibleService(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        max_tokens_field="max_completion_tokens",
        stream_usage=False,
        settles=False,
    ),
    CompatibleService(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        seed_field="random_seed",
        dimensions_field="output_dimension",
        stream_usage=False,  # it refuses `stream_options`
        reserves=False,
        embeds=True,
        request_id_header="mistral-correlation-id",
    ),
    CompatibleService(
        name="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_variable="NVIDIA_API_KEY",
        embeds=True,
    ),
    CompatibleService(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        embeds=True,
        request_id_header="x-generation-id",
    ),
    CompatibleService(
        name="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai/v1",
        key_variable="PERPLEXITY_API_KEY",
        api="responses",  # its chat completions ended on 2026-09-27
    ),
    CompatibleService(
        name="together",
        title="Together AI",
        base_url="https://api.together.ai/v1",
        key_variable="TOGETHER_API_KEY",
        embeds=True,
    ),
    CompatibleService(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
    ),
    CompatibleService(name="llamacpp", title="llama.cpp", base_url="http://127.0.0.1:8080/v1", embeds=True),
    CompatibleService(name="lmstudio", title="LM Studio", base_url="http://127.0.0.1:1234/v1", embeds=True),
    CompatibleService(name="ollama", title="Ollama", base_url="http://127.0.0.1:11434/v1", embeds=True),
    CompatibleService(name="vllm", title="vLLM", base_url="http://127.0.0.1:8000/v1", embeds=True),
)

SERVICES: Mapping[str, CompatibleService] = MappingProxyType({service.name: service for service in _TABLE})
"""The table, by name."""
