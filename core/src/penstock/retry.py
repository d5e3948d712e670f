"""How long to wait before trying again: pure arithmetic. The engine does the waiting and keeps the count."""

from __future__ import annotations

import random
from collections.abc import Callable

from penstock.discovery import label_of
from penstock.errors import ConfigError, ErrorType, PluginError, ProviderError
from penstock.faults import in_words
from penstock.schema import RetryPolicy

__all__ = ["STRATEGIES", "backoff", "failure_of"]

MAX_DOUBLINGS = 60
"""Beyond this the exponential ceiling is far above any `max_s`; it keeps the power from overflowing."""


def _exponential(policy: RetryPolicy, retries: int, draw: float) -> float:
    """Full jitter: uniform between 0 and base * 2**retries (Brooker, "Exponential Backoff and Jitter", AWS 2015)."""
    return draw * min(policy.max_s, policy.base_s * 2.0 ** min(retries, MAX_DOUBLINGS))


def _constant(policy: RetryPolicy, _retries: int, _draw: float) -> float:
    return min(policy.max_s, policy.base_s)


STRATEGIES: dict[str, Callable[[RetryPolicy, int, float], float]] = {
    "exponential": _exponential,
    "constant": _constant,
}


def backoff(
    policy: RetryPolicy,
    failure: ProviderError,
    *,
    retries: int,
    refusals: int = 0,
    draw: Callable[[], float] = random.random,
) -> float | None:
    """Return the seconds to wait before the next try, or None when there must not be one.

    A hint of the provider is a floor: the wait is never shorter, and jitter only adds to it, so that clients that
    were refused together do not come back together.

    Args:
        policy: what the request or the service allows.
        failure: why the last attempt failed.
        retries: how many retries there have been.
        refusals: how many of them followed a 429 that a gate heeds; the policy may let some pass uncounted.
        draw: gives a number in [0, 1).
    """
    retries -= min(refusals, policy.max_refusals)
    if policy.strategy == "none" or retries >= policy.max_retries or not failure.retryable:
        return None
    own = STRATEGIES[policy.strategy](policy, retries, draw())
    hint = failure.retry_after_s
    if hint is None:
        return own
    if hint > policy.max_hint_s:
        return None
    return max(own, hint * (1.0 + policy.hint_jitter * draw()))


def failure_of(error: Exception, provider: object | None = None) -> ProviderError:
    """Return `error` as a typed failure; what no provider typed is told apart by the exception's class alone.

    What only a mistake of the provider's can explain says in which plugin it was made.
    """
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, ConfigError | PluginError):
        return ProviderError(str(error), ErrorType.INVALID_REQUEST)
    message = in_words(error)
    if isinstance(error, TimeoutError):
        return ProviderError(message, ErrorType.TIMEOUT)
    if isinstance(error, OSError):
        return ProviderError(message, ErrorType.CONNECTION)
    if provider is not None:
        message = f"{label_of('provider', provider)} raised {message}"
    failure = ProviderError(message, ErrorType.UNKNOWN)
    failure.__cause__ = error  # so that the log shows the line that raised it
    return failure
