"""A gate for penstock: calls within certain hours of the day only."""

from penstock_example_hours.gate import HoursGate, HoursSettings

__all__ = ["HoursGate", "HoursSettings"]
