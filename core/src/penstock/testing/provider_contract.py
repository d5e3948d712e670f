"""The suite of providers."""

from __future__ import annotations

from penstock.testing.provider_calls import CallChecks
from penstock.testing.provider_failures import FailureChecks
from penstock.testing.provider_requests import RequestChecks

__all__ = ["ProviderContract"]


class ProviderContract(FailureChecks, CallChecks, RequestChecks, suite=True):
    """Checks a provider against a service that the author fakes, such as penstock-sim's server.

    Define `make` and `model`; with `faults`, failures are checked too.

    Attributes:
        model: a model's name, without the provider's prefix.
        embedding_model: one that embeds, for a provider that does; by default the same.
        faults: how the fake service can be made to fail, in the author's own words, and the error of each.
        stream_faults: likewise, of those that only streams can meet.
        stall: the fault of a service that never answers.
        unsupported: fields of requests that the vendor cannot do, each as a mapping such as {"seed": 1}.
        secret: the credential that `make` is to give the provider; None for a provider that has none.
        streams: False for a provider whose streams hold one chunk.
        tools, images: False for a provider that refuses them.
        extras: False for a provider that has no payload to put `extra` fields in.
        json_payload: False for a payload that is not JSON.
        repeatable: False for a fake service that answers the same request in another way the next time.
        virtual_time: True for a provider within the process; by default, as sockets take none of it, time is real.
    """
