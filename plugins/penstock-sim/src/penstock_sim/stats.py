"""What the server counts about itself, for `GET /sim/stats` and the last line on exit."""

from collections import Counter
from typing import Any

from attrs import define, field

from penstock_sim.limiters import LimitName


@define
class Stats:
    """Counters since the start or the last reset; connections and requests under way are never reset to zero.

    `requests` are model calls; control requests and the list of models are not counted.
    """

    requests: int = 0
    refused: Counter[LimitName] = field(factory=Counter)
    """429s of the limiters, by limit."""
    streams: int = 0
    charged_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    statuses: Counter[int] = field(factory=Counter)
    connections: int = 0
    max_connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0

    def connected(self) -> None:
        """Count a connection that opened."""
        self.connections += 1
        self.max_connections = max(self.max_connections, self.connections)

    def disconnected(self) -> None:
        """Count a connection that closed."""
        self.connections -= 1

    def began(self) -> None:
        """Count an answer under way."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self) -> None:
        """Count an answer that is out, or given up."""
        self.in_flight -= 1

    def reset(self) -> None:
        """Zero the counters; what is open or under way stays counted."""
        self.requests = self.streams = 0
        self.charged_tokens = self.prompt_tokens = self.completion_tokens = 0
        self.refused.clear()
        self.statuses.clear()
        self.max_connections = self.connections
        self.max_in_flight = self.in_flight

    def as_dict(self) -> dict[str, Any]:
        """The counters as JSON has them: statuses are keyed by their text."""
        return {
            "requests": self.requests,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "refused": {"requests": 0, "tokens": 0, **self.refused},
            "streams": self.streams,
            "tokens": {
                "charged": self.charged_tokens,
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
            },
            "connections": {"now": self.connections, "max": self.max_connections},
            "in_flight": {"now": self.in_flight, "max": self.max_in_flight},
        }

    def line(self) -> str:
        """One line for people."""
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items())) or "none"
        return (
            f"{self.requests} requests ({statuses}), {self.prompt_tokens + self.completion_tokens} tokens, "
            f"at most {self.max_in_flight} at once on {self.max_connections} connections"
        )
