"""What response headers say about limits and about trying again; pure, and safe on anything a server sends.

Two tables hold all the names: whoever meets a provider with other names adds a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

from penstock.schema import LimitReading

MAX_WAIT_S = 86_400.0
"""The longest wait believed, one day: a longer one is cut to it, so that a wrong clock cannot park a request."""


@frozen
class RetryHint:
    """What a response says about trying again.

    Attributes:
        after_s: Seconds to wait at least, 0 to `MAX_WAIT_S`; None when nothing usable was said.
        should_retry: The server's word on whether to try at all (`x-should-retry`); None when it gave none.
    """

    after_s: float | None = None
    should_retry: bool | None = None


def parse_retry(headers: Mapping[str, str], *, now_wall: float) -> RetryHint:
    """The retry hint of a response; `now_wall` is Unix time in seconds, for dates.

    The most exact header wins: `retry-after-ms`, then `retry-after` as seconds, then as an HTTP date. One that
    cannot be read gives way to the next. Never raises.
    """
    after_s = None
    for name, parse in _RETRY_HEADERS:
        if (text := headers.get(name)) is not None and (after_s := _bounded(parse(text, now_wall))) is not None:
            break
    word = headers.get("x-should-retry", "").strip().lower()
    return RetryHint(after_s, {"true": True, "false": False}.get(word))


def parse_limits(headers: Mapping[str, str], *, now_wall: float) -> tuple[LimitReading, ...]:
    """Every limit the response speaks of, in the order of the table; `now_wall` as for `parse_retry`. Never raises.

    A response speaks the names of one family: once one is found, the others are not looked for. Resets are cut to
    `MAX_WAIT_S`.
    """
    for family in _LIMIT_HEADERS:
        if readings := tuple(_readings(headers, family, now_wall)):
            return readings
    return ()


def parse_duration(text: str) -> float | None:
    """Seconds of a Go duration (`6m0s`, `120ms`, `1m30.5s`) or of a plain number; None for anything else."""
    # One unit, seconds or milliseconds, is the common case; it goes before the general one because calls wait for it.
    number, scale = (text[:-2], 1e-3) if text[-2:] == "ms" else (text[:-1], 1.0)
    if text[-1:] == "s" and text.isascii() and len(text) <= 16 and number.replace(".", "", 1).isdecimal():
        return float(number) * scale
    text = text.strip()
    if _GO_DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _GO_PART.findall(text))
    return _number(text)


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_GO_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?)(ms|us|µs|ns|h|m|s)")
_GO_DURATION = re.compile(rf"(?:{_GO_PART.pattern})+")
_PLAIN_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?")


def _number(text: str) -> float | None:
    """A plain decimal number; signs, exponents, infinities and NaN are not numbers here."""
    text = text.strip()
    return float(text) if _PLAIN_NUMBER.fullmatch(text) else None


def _milliseconds(text: str, _now_wall: float) -> float | None:
    value = _number(text)
    return None if value is None else value / 1000


def _seconds(text: str, _now_wall: float) -> float | None:
    return _number(text)


def _http_date(text: str, now_wall: float) -> float | None:
    """Seconds until an HTTP date, 0 when it has passed."""
    try:
        return _until(parsedate_to_datetime(text), now_wall)
    except (ValueError, OverflowError):
        return None


def _reset(text: str, now_wall: float) -> float | None:
    """Seconds until a reset given as a duration, a number of seconds, or an RFC 3339 time."""
    duration = parse_duration(text)
    if duration is not None:
        return duration
    try:
        return _until(datetime.fromisoformat(text.strip()), now_wall)
    except (ValueError, OverflowError):
        return None


def _until(when: datetime, now_wall: float) -> float:
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now_wall)


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else min(seconds, MAX_WAIT_S)


def _count(text: str) -> int | None:
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text)
    value = _number(text)
    return None if value is None else int(value)


def _readings(
    headers: Mapping[str, str], family: tuple[tuple[str, str, str, str], ...], now_wall: float
) -> Iterator[LimitReading]:
    for dimension, limit_name, remaining_name, reset_name in family:
        limit, remaining, reset = headers.get(limit_name), headers.get(remaining_name), headers.get(reset_name)
        if limit is None and remaining is None and reset is None:
            continue
        reading = LimitReading(
            dimension=dimension,
            limit=None if limit is None else _count(limit),
            remaining=None if remaining is None else _count(remaining),
            reset_s=None if reset is None else _bounded(_reset(reset, now_wall)),
        )
        if (reading.limit, reading.remaining, reading.reset_s) != (None, None, None):
            yield reading


_RETRY_HEADERS: tuple[tuple[str, Callable[[str, float], float | None]], ...] = (
    ("retry-after-ms", _milliseconds),
    ("retry-after", _seconds),
    ("retry-after", _http_date),
)


def _anthropic(name: str) -> tuple[str, str, str, str]:
    prefix = f"anthropic-ratelimit-{name}"
    return name.replace("-", "_"), f"{prefix}-limit", f"{prefix}-remaining", f"{prefix}-reset"


def _a_minute(dimension: str, name: str) -> tuple[str, str, str, str]:
    return dimension, f"x-ratelimit-limit-{name}", f"x-ratelimit-remaining-{name}", f"x-ratelimit-reset-{name}"


_LIMIT_HEADERS: tuple[tuple[tuple[str, str, str, str], ...], ...] = (
    # families of rows: dimension, limit, remaining, reset
    (
        ("requests", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("tokens", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ),
    (
        _anthropic("requests"),
        _anthropic("tokens"),
        _anthropic("input-tokens"),
        _anthropic("output-tokens"),
    ),
    (  # Mistral, which tells no resets
        _a_minute("requests", "req-minute"),
        _a_minute("tokens", "tokens-minute"),
    ),
)
