"""Amounts as people read them: durations, rates, rows and dollars."""

from __future__ import annotations

__all__ = ["duration_text", "rate_text", "rows_text", "share_text", "usd_text"]


def duration_text(seconds: float) -> str:
    """Return "8 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate_text(rows: int, seconds: float) -> str:
    """Return rows per second, or per minute where that is the readable one."""
    per_second = rows / seconds if seconds > 0 else 0.0
    return f"{per_second:,.1f} rows/s" if per_second >= 10 else f"{per_second * 60:,.0f} rows/min"


def rows_text(count: int) -> str:
    """Return "1 row" or "2,000 rows"."""
    return "1 row" if count == 1 else f"{count:,} rows"


def share_text(share: float) -> str:
    """Return a share of 1 as "98 %"."""
    return f"{share * 100:.0f} %"


def usd_text(cost: object, unknown: int = 0) -> str:
    """Return a cost for people; rows without a known cost are named, because the sum is then a lower bound."""
    amount = float(str(cost))
    text = f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
    return f"{text} + {rows_text(unknown)} without a known cost" if unknown else text
