"""The seam between the simulation and the formats it speaks: one module per wire format.

To add a format, write a module with a `Wire` and enter its path in `ROUTES`, or in
`PATTERNS` where the path has a name in it.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from penstock_sim.wire import gemini_count_tokens, gemini_embeddings, gemini_request
from penstock_sim.wire.anthropic_count_tokens import CountMessageTokens
from penstock_sim.wire.anthropic_messages import Messages
from penstock_sim.wire.base import Wire
from penstock_sim.wire.gemini import GenerateContent
from penstock_sim.wire.gemini_count_tokens import CountContentTokens
from penstock_sim.wire.gemini_embeddings import EmbedContent
from penstock_sim.wire.openai_chat import ChatCompletions
from penstock_sim.wire.openai_embeddings import Embeddings
from penstock_sim.wire.openai_responses import Responses

__all__ = ["DEFAULT_WIRE", "PATTERNS", "ROUTES", "Wire", "wire_of"]

DEFAULT_WIRE: Final[Wire] = ChatCompletions()
"""Words the failures of requests that no route is known for."""

ROUTES: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        "/v1/chat/completions": DEFAULT_WIRE,
        "/v1/responses": Responses(),
        "/v1/embeddings": Embeddings(),
        "/v1/messages": Messages(),
        "/v1/messages/count_tokens": CountMessageTokens(),
    }
)
PATTERNS: Final[tuple[tuple[re.Pattern[str], Wire], ...]] = (
    (gemini_request.PATH, GenerateContent()),
    (gemini_embeddings.PATH, EmbedContent()),
    (gemini_count_tokens.PATH, CountContentTokens()),
)


def wire_of(path: str) -> Wire | None:
    """Find the format that is spoken on a path."""
    if (wire := ROUTES.get(path)) is not None:
        return wire
    return next((wire for pattern, wire in PATTERNS if pattern.fullmatch(path)), None)
