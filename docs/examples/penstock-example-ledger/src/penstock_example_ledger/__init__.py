"""A sink for penstock: a line of CSV for each request, with its cost."""

from penstock_example_ledger.sink import LedgerSettings, LedgerSink

__all__ = ["LedgerSettings", "LedgerSink"]
