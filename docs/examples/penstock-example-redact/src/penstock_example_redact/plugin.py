"""What the entry point loads: the registration alone. The step is imported when it is first used."""

from penstock import Registration, hookimpl

penstock_api = 1
"""The version of penstock's hooks that this is written for."""


@hookimpl
def penstock_steps() -> list[Registration]:
    """Offer the step `redact`."""
    return [
        Registration(
            "redact",
            "penstock_example_redact.step:RedactStep",
            settings="penstock_example_redact.step:RedactSettings",
            summary="masks e-mail addresses and telephone numbers",
        )
    ]
