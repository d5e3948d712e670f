"""What the entry point loads: the registration alone. The provider and its HTTP engine come with the first use."""

from __future__ import annotations

from penstock import Registration, hookimpl

penstock_api = 1


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the provider `anthropic`."""
    return [
        Registration(
            "anthropic",
            "penstock_anthropic.provider:AnthropicProvider",
            summary="Anthropic's Messages API, and every server that speaks it",
        )
    ]
