"""What the entry point loads: the registration alone. The gate is imported when it is first used."""

from penstock import Registration, hookimpl

penstock_api = 1
"""The version of penstock's hooks that this is written for."""


@hookimpl
def penstock_gates() -> list[Registration]:
    """Offer the gate `hours`."""
    return [
        Registration(
            "hours",
            "penstock_example_hours.gate:HoursGate",
            settings="penstock_example_hours.gate:HoursSettings",
            summary="calls within certain hours of the day only",
        )
    ]
