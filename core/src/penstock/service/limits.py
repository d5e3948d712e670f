"""Limits as users state them, and the gates that they ask for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from penstock.builtin.gates import ConcurrencyGate, RpmGate, TpmGate
from penstock.contracts import Gate

__all__ = ["DEFAULT", "GATE_OF_ARGUMENT", "Default", "gates_from", "positive_or_none", "under_way"]

DEFAULT_RPM = 100
DEFAULT_CONCURRENCY = 100
GATE_OF_ARGUMENT = {"max_rpm": RpmGate.name, "max_tpm": TpmGate.name, "max_concurrent_requests": ConcurrencyGate.name}
"""Which gate each limit among a service's arguments asks for."""

UNDER_WAY_WITHOUT_LIMIT = 1000
"""How many requests `generate_many` keeps under way when nothing limits concurrency."""


class Default:
    """The type of `DEFAULT`, so that None can mean "no limit"."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT = Default()


def gates_from(
    gates: Iterable[Gate] | None,
    max_rpm: float | Default | None,
    max_tpm: float | None,
    max_concurrent_requests: int | Default | None,
) -> tuple[Gate, ...]:
    """Return the given gates and those that the limits ask for; the defaults apply where there are no given ones."""
    rpm, concurrency = max_rpm, max_concurrent_requests
    if isinstance(rpm, Default):
        rpm = DEFAULT_RPM if gates is None else None
    if isinstance(concurrency, Default):
        concurrency = DEFAULT_CONCURRENCY if gates is None else None
    positive_or_none("max_rpm", rpm)
    positive_or_none("max_tpm", max_tpm)
    positive_or_none("max_concurrent_requests", concurrency)
    made: list[Gate] = list(gates or ())
    if rpm is not None and rpm < math.inf:
        made.append(RpmGate(rpm))
    if max_tpm is not None and max_tpm < math.inf:
        made.append(TpmGate(max_tpm))
    if concurrency is not None and concurrency < math.inf:
        made.append(ConcurrencyGate(concurrency))
    return tuple(made)


def positive_or_none(name: str, value: float | None) -> float | None:
    """Return `value`; raise ValueError naming `name` unless it is positive or None."""
    if value is not None and not value > 0:
        raise ValueError(f"{name} must be positive, got {value!r}; None means no limit")
    return value


def under_way(gates: Iterable[Gate]) -> int:
    """Return how many requests to keep under way so that `gates` never run dry: twice what may be in flight."""
    limits = [gate.limit for gate in gates if isinstance(gate, ConcurrencyGate)]
    return 2 * sum(limits) if limits else UNDER_WAY_WITHOUT_LIMIT
