"""The gate lab: real gates in a real `Service`, against a server's limits, in virtual time.

`run_lab(LabConfig(...))` gives a `LabReport`; `penstock sim gates` is the same as a command.
"""

from penstock_sim.lab.config import LabConfig, Sizes
from penstock_sim.lab.report import DimensionReport, GateReport, LabReport
from penstock_sim.lab.run import run_lab

__all__ = ["DimensionReport", "GateReport", "LabConfig", "LabReport", "Sizes", "run_lab"]
