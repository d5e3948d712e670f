"""What the entry point loads: the registration alone. The provider and its HTTP engine come with the first use."""

from __future__ import annotations

from penstock import Registration, hookimpl


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the provider `openai`."""
    return [
        Registration(
            "openai",
            "penstock_openai.provider:OpenAIProvider",
            summary="OpenAI chat completions, and every server that speaks them",
        )
    ]
