"""A simulated model for penstock: real wire formats, real limits and real faults, on loopback or in the process.

Names are imported when they are asked for: the plugin is found at every start, and must not bring a server along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_sim.config import SimConfig
    from penstock_sim.exchange import SimReply, SimRequest
    from penstock_sim.faults import FAULTS, FaultError, FaultPlan
    from penstock_sim.limiters import RateLimits, make_limiter
    from penstock_sim.model import answer
    from penstock_sim.provider import SimProvider
    from penstock_sim.server import SimServer
    from penstock_sim.text import count_tokens, reply_text

__all__ = [
    "FAULTS",
    "FaultError",
    "FaultPlan",
    "RateLimits",
    "SimConfig",
    "SimProvider",
    "SimReply",
    "SimRequest",
    "SimServer",
    "answer",
    "count_tokens",
    "make_limiter",
    "reply_text",
]

_PLACES = {
    "FAULTS": "faults",
    "FaultError": "faults",
    "FaultPlan": "faults",
    "RateLimits": "limiters",
    "SimConfig": "config",
    "SimProvider": "provider",
    "SimReply": "exchange",
    "SimRequest": "exchange",
    "SimServer": "server",
    "answer": "model",
    "count_tokens": "text",
    "make_limiter": "limiters",
    "reply_text": "text",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
