"""For tests of penstock and of its plugins: clocks that a test controls, fakes that follow the contracts, and suites.

A suite is subclassed by whoever writes a plugin; it needs the extra `penstock[testing]`. Names are imported when they
are asked for, so that a fake brings no pytest along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.testing.clock import ManualClock, VirtualTimeLoop, virtual_time
    from penstock.testing.contract import replaces_check
    from penstock.testing.fakes import RecordingSink, ScriptedGenerate, ScriptedProvider, step_context
    from penstock.testing.gate_contract import GateContract
    from penstock.testing.gate_machine import GateMachine
    from penstock.testing.provider_contract import ProviderContract
    from penstock.testing.samples import odd_events, sample_events, sample_result
    from penstock.testing.sink_contract import SinkContract
    from penstock.testing.step_contract import StepContract
    from penstock.testing.turnstile import Passage, Turnstile

__all__ = [
    "GateContract",
    "GateMachine",
    "ManualClock",
    "Passage",
    "ProviderContract",
    "RecordingSink",
    "ScriptedGenerate",
    "ScriptedProvider",
    "SinkContract",
    "StepContract",
    "Turnstile",
    "VirtualTimeLoop",
    "odd_events",
    "replaces_check",
    "sample_events",
    "sample_result",
    "step_context",
    "virtual_time",
]

_PLACES = {
    "GateContract": "gate_contract",
    "GateMachine": "gate_machine",
    "ManualClock": "clock",
    "Passage": "turnstile",
    "ProviderContract": "provider_contract",
    "RecordingSink": "fakes",
    "ScriptedGenerate": "fakes",
    "ScriptedProvider": "fakes",
    "SinkContract": "sink_contract",
    "StepContract": "step_contract",
    "Turnstile": "turnstile",
    "VirtualTimeLoop": "clock",
    "odd_events": "samples",
    "replaces_check": "contract",
    "sample_events": "samples",
    "sample_result": "samples",
    "step_context": "fakes",
    "virtual_time": "clock",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name in {"pytest", "hypothesis"}:
            raise ImportError(f"{name} needs {error.name}: pip install 'penstock[testing]'") from error
        raise
