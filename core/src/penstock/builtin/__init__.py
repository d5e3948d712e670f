"""What penstock offers itself, registered through the same hooks as anyone's; each part is imported when it is used."""

from __future__ import annotations

from penstock.contracts import Registration
from penstock.hookspecs import hookimpl

__all__ = ["penstock_api", "penstock_gates", "penstock_sinks"]

penstock_api = 1


@hookimpl
def penstock_gates() -> list[Registration]:
    """Offer the gates for requests and tokens per window, and for calls at once."""
    return [
        Registration("rpm", "penstock.builtin.gates:RpmGate", summary="requests per minute"),
        Registration("tpm", "penstock.builtin.gates:TpmGate", summary="tokens per minute"),
        Registration("concurrency", "penstock.builtin.gates:ConcurrencyGate", summary="calls at once"),
    ]


@hookimpl
def penstock_sinks() -> list[Registration]:
    """Offer the sinks that need nothing installed: the metrics log and a file of JSON lines."""
    return [
        Registration("log", "penstock.builtin.log_sink:LogSink", summary="a line of figures now and then"),
        Registration("jsonl", "penstock.builtin.jsonl_sink:JsonlSink", summary="every event, a line of JSON each"),
    ]
