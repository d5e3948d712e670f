"""How long an exchange may still wait, and which limit it will have met; used by the engines between reads."""

from __future__ import annotations

from attrs import frozen

from penstock_http.errors import TransportFault


@frozen
class Limit:
    """Seconds to wait, None for ever, and what it means when they pass.

    `named_s` is the limit as configured, for the message; `wait_s` is what is left of it.
    """

    fault: TransportFault
    wait_s: float | None
    named_s: float | None


def next_limit(fault: TransportFault, phase_s: float | None, *, total_s: float | None, spent_s: float) -> Limit:
    """Whichever ends first: the phase's own limit, or what `spent_s` has left of the total."""
    if total_s is None:
        return Limit(fault, phase_s, phase_s)
    left = max(0.0, total_s - spent_s)
    if phase_s is not None and phase_s < left:
        return Limit(fault, phase_s, phase_s)
    return Limit(TransportFault.TOTAL_TIMEOUT, left, total_s)
