"""What the entry point loads: the registration alone. The sink is imported when it is first used."""

from penstock import Registration, hookimpl

penstock_api = 1
"""The version of penstock's hooks that this is written for."""


@hookimpl
def penstock_sinks() -> list[Registration]:
    """Offer the sink `ledger`."""
    return [
        Registration(
            "ledger",
            "penstock_example_ledger.sink:LedgerSink",
            settings="penstock_example_ledger.sink:LedgerSettings",
            summary="a line of CSV for each request, with its cost",
        )
    ]
