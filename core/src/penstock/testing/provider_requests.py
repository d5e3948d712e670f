"""The suite of providers, first part: what happens before a call."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from penstock.errors import ErrorType
from penstock.schema import Demand, ImagePart, Message, TextPart, Usage
from penstock.testing.provider_suite import ProviderSuite, a_tool, image_of

__all__ = ["RequestChecks"]

IMAGE = ImagePart(data="iVBORw0KGgo=", media_type="image/png")
ROUNDS = 20


class RequestChecks(ProviderSuite, suite=True):
    """Checks names, payloads, estimates and descriptions: no call is made."""

    def test_its_name_can_stand_before_a_slash(self) -> None:
        """A provider's name is lower case without white space or "/": users write it in "provider/model"."""
        name = self.make().name
        assert isinstance(name, str), f"name is {name!r}; make it a str"
        assert re.fullmatch(r"[^A-Z\s/]+", name), (
            f"name is {name!r}; set the class attribute `name` to something like 'acme'"
        )

    def test_converting_is_pure(self) -> None:
        """`convert_request` answers the same for the same request, and changes nothing of it."""
        provider = self.make()
        request, same = self.request(tools=self.tools_if_any()), self.request(tools=self.tools_if_any())
        first = provider.convert_request(request)
        kept = image_of(first)
        assert isinstance(first, dict), f"convert_request() returns {type(first).__name__}; return a dict"
        assert request == same, "convert_request() changed the request; build a payload of copies"
        second = provider.convert_request(request)
        assert image_of(second) == kept, (
            f"converted again it is {second!r:.300} and not {kept!r:.300}; put no time or id in it"
        )
        _spoil(first)
        third = provider.convert_request(same)
        assert image_of(third) == kept, "two payloads share a list or a dict; make each payload anew"

    def test_its_payload_is_json(self) -> None:
        """A payload is plain JSON data, so that it can be logged, compared and sent by any transport."""
        self.needs("json_payload")
        payload = self.make().convert_request(self.request(tools=self.tools_if_any()))
        try:
            again = json.loads(json.dumps(payload, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AssertionError(
                f"the payload is no JSON: {error}; convert what is of a class, or say json_payload = False"
            ) from error
        assert again == payload, "the payload does not survive JSON; use lists, and str as keys"

    def test_fields_of_other_names_reach_the_payload(self) -> None:
        """What a request has under `extra` is in the payload unchanged; penstock need not know it."""
        self.needs("extras")
        payload = self.make().convert_request(self.request(extra={"x_conformance": {"depth": [30]}}))
        assert _holds(payload, "x_conformance", {"depth": [30]}), (
            f"extra {{'x_conformance': ...}} is not in {payload!r:.300}; merge request.extra into it"
        )

    def test_tools_are_taken_or_refused(self) -> None:
        """A provider takes tools, or refuses them before the call; it never leaves them out silently."""
        self._taken_or_refused("tools", tools=(a_tool(),))

    def test_images_are_taken_or_refused(self) -> None:
        """A provider takes images, or refuses them before the call; it never leaves them out silently."""
        self._taken_or_refused("images", messages=(Message("user", (TextPart("What is this?"), IMAGE)),))

    def test_what_the_vendor_cannot_do_is_refused_before_the_call(self) -> None:
        """`convert_request` raises INVALID_REQUEST, naming the field, for what the vendor cannot do."""
        unsupported = [dict(fields) for fields in self.unsupported]
        if not unsupported:
            pytest.skip(f"{type(self).__name__} names nothing `unsupported`")
        for fields in unsupported:
            error = self.refusal(self.make(), fields)
            assert error is not None, (
                f"{fields} is not refused; raise ProviderError of INVALID_REQUEST in convert_request()"
            )
            assert error.error_type is ErrorType.INVALID_REQUEST, (
                f"{error.error_type}: {error}; make it INVALID_REQUEST"
            )
            assert any(name in str(error) for name in fields), f"{error}; name the field: {', '.join(fields)}"

    def test_an_estimate_is_a_demand(self) -> None:
        """`estimate` says what the vendor will count: a request, its input, and more output if more may come."""
        provider = self.make()
        request, same = self.request(max_tokens=100), self.request(max_tokens=100)
        demand = provider.estimate(request)
        assert isinstance(demand, Demand), f"estimate() returns {demand!r:.100}; return a Demand"
        assert demand.requests >= 1, f"{demand}; a call is a request"
        assert demand.input_tokens >= 1, f"{demand}; a text has tokens"
        assert demand.output_tokens >= 0, f"{demand}; the output cannot be negative"
        more = provider.estimate(self.request(max_tokens=10_000))
        assert more.output_tokens >= demand.output_tokens, f"max_tokens 100: {demand}; 10,000: {more}"
        longer = provider.estimate(self.request("water " * 10_000, max_tokens=100))
        assert longer.input_tokens > demand.input_tokens, f"10,000 words more, and {longer} instead of {demand}"
        assert request == same, "estimate() changed the request"

    def test_an_estimate_is_cheap(self) -> None:
        """`estimate` runs on the event loop before each call: it does no I/O and takes less than a millisecond."""
        provider, request = self.make(), self.request("What is a penstock? " * 50)
        provider.estimate(request)
        took_ms = min(_timed_ms(lambda: provider.estimate(request)) for _ in range(ROUNDS))
        assert took_ms <= 1.0, f"it takes {took_ms:.2f} ms for a thousand characters; count characters / 4"

    def test_a_charge_is_a_demand(self) -> None:
        """`charge` says what the vendor counted once usage is known, or None where the estimate stands."""
        provider = self.make()
        for usage in (Usage(), Usage(input_tokens=1000, output_tokens=50, cache_read_input_tokens=900)):
            demand = provider.charge(usage)
            if demand is None:
                continue
            assert isinstance(demand, Demand), f"charge() returns {demand!r:.100}; return a Demand or None"
            assert min(demand.input_tokens, demand.output_tokens, demand.requests) >= 0, f"{demand} for {usage}"

    def test_it_tells_no_secret_of_itself(self) -> None:
        """No credential is in a provider's repr or description; the latter is one line."""
        provider = self.make()
        described = provider.describe()
        assert isinstance(described, str), f"describe() returns {described!r:.100}; return a str"
        assert "\n" not in described, "describe() is more than a line"
        if self.secret is None:
            pytest.skip(f"{type(self).__name__} says secret = None")
        for text, where in ((repr(provider), "repr()"), (str(provider), "str()"), (described, "describe()")):
            assert self.secret not in text, f"{where} shows the credential; leave it out"

    def _taken_or_refused(self, capability: str, **fields: Any) -> None:
        error = self.refusal(self.make(), fields)
        if getattr(self, capability):
            assert error is None, f"refused: {error}; take {capability}, or say {capability} = False"
            return
        assert error is not None, (
            f"{capability} = False, and they are not refused; raise ProviderError of INVALID_REQUEST"
        )
        assert error.error_type is ErrorType.INVALID_REQUEST, f"{error.error_type}: {error}; make it INVALID_REQUEST"


def _holds(data: Any, key: str, value: Any) -> bool:
    """Say whether `key` has `value` somewhere in a payload."""
    if isinstance(data, dict):
        return data.get(key) == value or any(_holds(item, key, value) for item in data.values())
    return isinstance(data, list) and any(_holds(item, key, value) for item in data)


def _spoil(data: Any) -> None:
    """Change a payload in every place that can be changed."""
    for item in data.values() if isinstance(data, dict) else data:
        if isinstance(item, dict | list):
            _spoil(item)
    if isinstance(data, list):
        data.append("spoilt")
    else:
        with suppress(TypeError):  # frozen, and so nobody else's to spoil
            data["spoilt"] = True


def _timed_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000.0
