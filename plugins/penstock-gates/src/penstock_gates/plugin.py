"""What the entry point loads: the registrations alone. Each gate is imported when it is used."""

from penstock import Registration, hookimpl

penstock_api = 1


@hookimpl
def penstock_gates() -> list[Registration]:
    """Offer the gates of this package."""
    return [
        Registration("itpm", "penstock_gates.tokens:ItpmGate", summary="input tokens per minute"),
        Registration("otpm", "penstock_gates.tokens:OtpmGate", summary="output tokens per minute"),
        Registration("rpd", "penstock_gates.daily:RpdGate", summary="requests per day"),
        Registration("tpd", "penstock_gates.daily:TpdGate", summary="tokens per day"),
        Registration("budget", "penstock_gates.budget:BudgetGate", summary="USD per run or per day"),
        Registration("adaptive", "penstock_gates.adaptive:AdaptiveGate", summary="as many calls at once as go well"),
        Registration("breaker", "penstock_gates.breaker:BreakerGate", summary="stops calls that cannot succeed"),
    ]
