"""A simulated model server for penstock: real wire formats, real limits, real faults, on loopback."""

from penstock_sim.config import SimConfig
from penstock_sim.exchange import SimReply, SimRequest
from penstock_sim.faults import FAULTS, FaultError, FaultPlan
from penstock_sim.limiters import RateLimits, make_limiter
from penstock_sim.model import answer
from penstock_sim.server import SimServer
from penstock_sim.text import count_tokens, reply_text

__all__ = [
    "FAULTS",
    "FaultError",
    "FaultPlan",
    "RateLimits",
    "SimConfig",
    "SimReply",
    "SimRequest",
    "SimServer",
    "answer",
    "count_tokens",
    "make_limiter",
    "reply_text",
]
