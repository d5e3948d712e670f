"""Gates that keep a budget are told what a call may cost before it, and what it cost after it."""

from decimal import Decimal

import pytest

from penstock import (
    ErrorType,
    Gate,
    GenerationChunk,
    GenerationRequest,
    Permit,
    ProviderError,
    ProviderReply,
    RetryPolicy,
    Service,
    Usage,
)
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio

COSTS = {"fake/m": {"input": "1", "output": "2"}}


class Purse(Gate):
    """Writes down what it is told."""

    name = "purse"

    def __init__(self, *, needs_cost=True):
        self.needs_cost = needs_cost
        self.asked, self.cost = [], []

    def delay(self, demand, now):
        return 0.0

    def take(self, demand, now):
        self.asked.append(demand.cost_usd)
        return _Note(self)


class _Note(Permit):
    def __init__(self, purse):
        self.purse = purse

    def settle(self, outcome, now):
        self.purse.cost.append(outcome.cost_usd)


async def spend(purse, *lines, costs=COSTS, provider=ScriptedProvider, **request):
    service = Service(providers=[provider(lines)], gates=[purse], costs=costs, retry=RetryPolicy(max_retries=0))
    async with service:
        fields = {"model": "fake/m", "prompt": "x" * 39, **request}
        return await service.generate_output_async(GenerationRequest(**fields))


async def test_a_budget_is_asked_for_all_that_max_tokens_allows_and_told_the_real_cost():
    purse = Purse()
    result = await spend(purse, ProviderReply("ok", Usage(input_tokens=10, output_tokens=3)), max_tokens=100)
    assert purse.asked == [Decimal("0.000210")]
    assert purse.cost == [Decimal("0.000016")] == [result.cost_usd]


async def test_money_is_reserved_for_output_that_a_provider_does_not_count():
    class InputOnly(ScriptedProvider):
        def estimate(self, request):
            return super().estimate(request).replace(output_tokens=0)

    purse = Purse()
    await spend(purse, "ok", provider=InputOnly, max_tokens=100)
    assert purse.asked == [Decimal("0.000210")]


async def test_a_call_that_nobody_answered_has_an_unknown_cost_and_a_refused_one_has_none():
    for error, cost in [(ErrorType.TIMEOUT, None), (ErrorType.CONNECTION, None), (ErrorType.HTTP_429, 0)]:
        purse = Purse()
        await spend(purse, ProviderError("no", error))
        assert purse.cost == [cost]


async def test_an_unknown_price_is_told_as_such():
    purse = Purse()
    await spend(purse, "ok", costs={})
    assert purse.asked == [None]


async def test_gates_that_do_not_need_an_estimate_are_asked_without_one():
    purse = Purse(needs_cost=False)
    await spend(purse, "ok")
    assert purse.asked == [None]


class CutShortProvider(ScriptedProvider):
    """Says what the input was, sends some of the answer, and breaks off."""

    async def stream(self, payload):
        yield GenerationChunk("x" * 40, usage=Usage(input_tokens=1000, output_tokens=1, estimated=True))
        raise ProviderError("broke off", ErrorType.CONNECTION)


async def test_a_stream_cut_short_is_billed_as_its_provider_had_counted_the_input():
    service = Service(providers=[CutShortProvider([])], costs=COSTS, retry=RetryPolicy(max_retries=0))
    request = GenerationRequest(model="fake/m", prompt="x" * 39)
    async with service, service.stream(request) as stream:
        assert [chunk.text async for chunk in stream] == ["x" * 40]
    assert stream.result.usage == Usage(input_tokens=1000, output_tokens=10, estimated=True)
    assert stream.result.cost_usd == Decimal("0.001020")


async def test_no_money_is_reserved_for_output_of_a_call_that_embeds():
    class EmbeddingProvider(ScriptedProvider):
        embeds = True

        def convert_request(self, request):
            return {"prompt": "".join(request.inputs)}

    purse = Purse()
    await spend(purse, "ok", provider=EmbeddingProvider, prompt=None, inputs=("x" * 36, "y" * 4))
    assert purse.asked == [Decimal("0.000012")]


async def test_a_call_that_failed_and_was_billed_all_the_same_is_on_record_with_its_usage_and_cost():
    used = Usage(input_tokens=70, output_tokens=5)
    for error_type in (ErrorType.CONTENT_FILTER, ErrorType.TIMEOUT):
        purse = Purse()
        result = await spend(purse, ProviderError("blocked", error_type, usage=used))
        assert not result.success
        assert [attempt.usage for attempt in result.attempts] == [used]
        assert (result.usage, result.cost_usd) == (used, Decimal("0.000080"))
        assert purse.cost == [Decimal("0.000080")]


async def test_an_answer_that_nobody_can_read_was_paid_for_and_is_estimated():
    purse = Purse()
    result = await spend(purse, ProviderError("half a sentence of JSON", ErrorType.MALFORMED_RESPONSE))
    assert result.usage == Usage(input_tokens=10, estimated=True)
    assert result.cost_usd == Decimal("0.000010")
    assert purse.cost == [Decimal("0.000010")]
