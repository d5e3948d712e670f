"""More gates for penstock: input and output tokens, days, money, adaptive concurrency, a circuit breaker."""

from penstock_gates.adaptive import AdaptiveGate
from penstock_gates.breaker import BreakerGate
from penstock_gates.budget import BudgetGate
from penstock_gates.daily import RpdGate, TpdGate
from penstock_gates.tokens import ItpmGate, OtpmGate

__all__ = ["AdaptiveGate", "BreakerGate", "BudgetGate", "ItpmGate", "OtpmGate", "RpdGate", "TpdGate"]
