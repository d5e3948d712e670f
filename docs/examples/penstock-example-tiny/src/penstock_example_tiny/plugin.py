"""What the entry point loads: the registration alone. The provider is imported when it is first used."""

from penstock import Registration, hookimpl

penstock_api = 1
"""The version of penstock's hooks that this is written for."""


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the provider `tiny`."""
    return [
        Registration(
            "tiny",
            "penstock_example_tiny.provider:TinyProvider",
            summary="the models of Tiny, a vendor that does not exist",
        )
    ]
