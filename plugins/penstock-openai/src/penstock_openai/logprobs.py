"""The likelihood of tokens, which chat completions and Responses tell in the same words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.schema import TokenLogprob

__all__ = ["logprobs_of", "logprobs_of_choice"]


def logprobs_of_choice(logprobs: Any) -> tuple[TokenLogprob, ...]:
    """Return those of a choice, of its content or of its refusal; none where a server tells them in another shape."""
    if not isinstance(logprobs, dict):
        return ()
    return logprobs_of(logprobs.get("content") or logprobs.get("refusal"))


def logprobs_of(tokens: Iterable[Mapping[str, Any]] | None) -> tuple[TokenLogprob, ...]:
    """Return a list of tokens as records; servers leave out `bytes` and `top_logprobs` if they like."""
    return tuple(_logprob(token, top=logprobs_of(token.get("top_logprobs"))) for token in tokens or ())


def _logprob(token: Mapping[str, Any], top: tuple[TokenLogprob, ...]) -> TokenLogprob:
    raw = token.get("bytes")
    return TokenLogprob(
        str(token["token"]), float(token["logprob"]), bytes=None if raw is None else tuple(map(int, raw)), top=top
    )
