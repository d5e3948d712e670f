"""What the entry point loads: the registration alone. The providers and their HTTP engine come with the first use."""

from __future__ import annotations

from penstock import Registration, hookimpl

penstock_api = 1


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the providers `gemini` and `vertex`."""
    return [
        Registration(
            "gemini",
            "penstock_gemini.provider:GeminiProvider",
            summary="Gemini's generateContent and embeddings, on Google's Generative Language API",
        ),
        Registration(
            "vertex",
            "penstock_gemini.vertex:VertexProvider",
            summary="Gemini's generateContent and embeddings, on Vertex AI",
        ),
    ]
