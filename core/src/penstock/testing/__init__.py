"""For tests of penstock and of its plugins: clocks that a test controls, and fakes that follow the contracts."""

from penstock.testing.clock import ManualClock, VirtualTimeLoop
from penstock.testing.fakes import RecordingSink, ScriptedProvider

__all__ = ["ManualClock", "RecordingSink", "ScriptedProvider", "VirtualTimeLoop"]
