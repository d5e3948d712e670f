"""What the entry point loads: the registrations alone. A provider and its HTTP engine come with the first use."""

from __future__ import annotations

from penstock import Registration, hookimpl
from penstock_openai.services import SERVICES

penstock_api = 1


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the provider `openai`, `azure`, and one for each compatible service."""
    return [
        Registration(
            "openai",
            "penstock_openai.provider:OpenAIProvider",
            summary="OpenAI chat completions and Responses, and every server that speaks them",
        ),
        Registration(
            "azure",
            "penstock_openai.azure:AzureOpenAIProvider",
            summary="OpenAI's models as deployments of an Azure resource",
        ),
        *(
            Registration(
                service.name,
                f"penstock_openai.compatible:PROVIDERS.{service.name}",
                summary=f"{service.title}, by the API that it shares with OpenAI",
            )
            for service in SERVICES.values()
        ),
    ]
