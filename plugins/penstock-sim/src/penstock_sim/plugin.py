"""What the entry point loads: the registration alone. The provider comes with the first use."""

from penstock import Registration, hookimpl

penstock_api = 1


@hookimpl
def penstock_providers() -> list[Registration]:
    """Offer the provider `sim`."""
    return [
        Registration(
            "sim",
            "penstock_sim.provider:SimProvider",
            summary="a simulated model in this process: no network, no key, limits and faults on demand",
        )
    ]
