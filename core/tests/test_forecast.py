"""The forecast learns from what calls counted."""

import anyio
import pytest

from penstock import Demand, GenerationRequest, ProviderReply, Service, TpmGate, Usage
from penstock.forecast import Forecast
from penstock.testing import ScriptedProvider

ESTIMATE = Demand(input_tokens=100, output_tokens=4000)


def learned(counted, *, operation=None):
    forecast = Forecast()
    for demand in counted:
        forecast.learn("fake/m", operation, ESTIMATE, demand)
    return forecast


def test_at_first_the_providers_estimate_stands():
    forecast = learned([Demand(input_tokens=10, output_tokens=10)] * 5)
    assert forecast.expect("fake/m", None, ESTIMATE) is ESTIMATE


def test_input_is_scaled_by_the_ratio_that_calls_showed():
    forecast = learned([Demand(input_tokens=130, output_tokens=50)] * 30)
    assert forecast.expect("fake/m", None, ESTIMATE.replace(input_tokens=1000)).input_tokens == 1300


def test_the_output_reserved_is_what_nearly_all_calls_stayed_within():
    forecast = learned([Demand(input_tokens=100, output_tokens=n) for n in range(1, 101)])
    assert forecast.expect("fake/m", None, ESTIMATE).output_tokens == 96


def test_it_never_reserves_more_output_than_the_provider_estimates():
    forecast = learned([Demand(input_tokens=100, output_tokens=5000)] * 40)
    assert forecast.expect("fake/m", None, ESTIMATE.replace(output_tokens=300)).output_tokens == 300


def test_models_and_operations_are_learned_apart():
    forecast = learned([Demand(input_tokens=200, output_tokens=1)] * 40, operation="a")
    assert forecast.expect("fake/m", "b", ESTIMATE) is ESTIMATE
    assert forecast.expect("fake/n", "a", ESTIMATE) is ESTIMATE


def test_its_memory_is_bounded():
    forecast = Forecast()
    for number in range(5000):
        forecast.learn(f"fake/{number}", None, ESTIMATE, ESTIMATE)
    assert len(forecast._habits) <= 1024


@pytest.mark.anyio
async def test_short_answers_to_generous_requests_soon_use_the_whole_token_limit():
    reply = ProviderReply("short", Usage(input_tokens=50, output_tokens=50))
    provider = ScriptedProvider([reply], latency_s=0.5)
    request = GenerationRequest(prompt="x" * 196, max_tokens=4000)
    async with Service(providers=[provider], gates=[TpmGate(60_000)], default_model="fake/m") as s:
        began = anyio.current_time()
        async for _ in s.generate_many((request for _ in range(1500)), max_in_flight=200):
            pass
        minutes = (anyio.current_time() - began) / 60
    assert 1500 * 100 / minutes >= 0.8 * 60_000
