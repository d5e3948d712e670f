"""The gauges: what a service counts of itself, and the pump that carries events to sinks."""

from penstock.metrics.meter import Meter
from penstock.metrics.pump import SinkPump
from penstock.metrics.window import Window

__all__ = ["Meter", "SinkPump", "Window"]
