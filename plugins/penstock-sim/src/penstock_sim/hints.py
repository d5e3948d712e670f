"""How servers tell clients to wait: header lines, and the detail some put in the body."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from penstock_sim.exchange import Failure, FailureKind, HintDialect
from penstock_sim.limiters import Admission, LimitName, LimitState

_LIMITS: Final[Mapping[LimitName, tuple[FailureKind, str]]] = MappingProxyType(
    {
        "requests": (FailureKind.REQUEST_LIMIT, "requests per min (RPM)"),
        "tokens": (FailureKind.TOKEN_LIMIT, "tokens per min (TPM)"),
        "input_tokens": (FailureKind.TOKEN_LIMIT, "input tokens per min (ITPM)"),
        "output_tokens": (FailureKind.TOKEN_LIMIT, "output tokens per min (OTPM)"),
    }
)


def go_duration(seconds: float) -> str:
    """Write a duration as Go does, as OpenAI's reset headers do: 6m0s, 1.5s, 120ms, 0s.

    Rounded up to the millisecond, so that whoever waits for it has waited long enough.
    """
    milliseconds = max(0, math.ceil(seconds * 1000 - 1e-3))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail


def rfc3339(at: float) -> str:
    """Write a time (Unix seconds) as Anthropic's reset headers do: 2026-03-18T17:50:11Z, rounded up to the second."""
    return _second(math.ceil(at))


@lru_cache(maxsize=256)  # the answers of a second tell much the same times
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dialect_of(failure: Failure, native: HintDialect) -> HintDialect:
    """Say how a wire format tells the hint of a failure, whose own dialect is `native`."""
    return native if failure.hint is HintDialect.NATIVE else failure.hint


def hint_headers(failure: Failure, native: HintDialect) -> str:
    """Write the header lines that tell how long to wait, in the failure's dialect.

    Whole seconds and dates are rounded up: an early retry would be refused again.
    """
    wait_s = failure.retry_after_s
    match dialect_of(failure, native):
        case HintDialect.BOTH:
            return f"retry-after: {math.ceil(wait_s)}\r\nretry-after-ms: {math.ceil(wait_s * 1000)}\r\n"
        case HintDialect.SECONDS:
            return f"retry-after: {math.ceil(wait_s)}\r\n"
        case HintDialect.FLOAT:
            return f"retry-after: {math.ceil(wait_s * 1000) / 1000}\r\n"
        case HintDialect.DATE:
            return f"retry-after: {formatdate(math.ceil(time.time() + wait_s), usegmt=True)}\r\n"
        case HintDialect.MILLISECONDS:
            return f"retry-after-ms: {math.ceil(wait_s * 1000)}\r\n"
        case _:  # told in the body, or not at all
            return ""


def told_s(failure: Failure) -> float | None:
    """Say what a client learns from the hint, in seconds: as rounded as the dialect has it, None without one.

    The default wire format's own dialect is exact to the millisecond.
    """
    match failure.hint:
        case HintDialect.NONE:
            return None
        case HintDialect.SECONDS | HintDialect.DATE:
            return float(math.ceil(failure.retry_after_s))
        case _:
            return math.ceil(failure.retry_after_s * 1000) / 1000


def over_limit(model: str, admission: Admission) -> Failure:
    """Word a refusal for the rate, with the wait that the limiter worked out."""
    kind, what = _LIMITS[admission.refused_by or "tokens"]
    state = admission.refusing or LimitState(0, 0, 0.0)
    message = (
        f"Rate limit reached for {model} on {what}: Limit {state.limit}, "
        f"Used {state.limit - state.remaining}, Requested {admission.asked}. "
        f"Please try again in {go_duration(admission.wait_s)}."
    )
    return Failure(
        kind, message, hint=HintDialect.NATIVE, retry_after_s=admission.wait_s, model=model, limit=state.limit
    )


def retry_info(failure: Failure, native: HintDialect) -> list[dict[str, str]] | None:
    """Build the `details` of an error body in Google's form, or None in every other dialect."""
    if dialect_of(failure, native) is not HintDialect.RETRY_INFO:
        return None
    delay = f"{math.ceil(failure.retry_after_s * 1000) / 1000:g}s"
    return [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
