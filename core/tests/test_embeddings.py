"""Texts to embed: one request, one result with a vector for each; refused where nobody can, before any call."""

from decimal import Decimal

import pytest

from penstock import (
    BaseLLMProvider,
    ErrorType,
    GenerationRequest,
    GenerationResult,
    LLMCallRequest,
    RetryPolicy,
    Service,
    Usage,
)
from penstock.schema import ProviderReply
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio


class Embedder(BaseLLMProvider):
    """Says of each text how long it is."""

    name = "len"
    embeds = True

    def convert_request(self, request: LLMCallRequest):
        return {"model": request.model, "input": list(request.inputs), "dimensions": request.dimensions}

    async def _invoke_impl(self, payload):
        vectors = tuple((float(len(text)),) * (payload["dimensions"] or 2) for text in payload["input"])
        return ProviderReply(None, Usage(input_tokens=1_000_000), embeddings=vectors)


def embed(**fields):
    return GenerationRequest(**{"model": "len/m", "inputs": ("one", "three"), **fields})


async def test_a_request_has_one_result_with_a_vector_for_each_input_in_their_order():
    async with Service(providers=[Embedder()], costs={"len/m": {"input": "0.02", "output": 0}}) as service:
        result = await service.generate_output_async(embed(dimensions=3))
    assert result.success
    assert result.embeddings == ((3.0, 3.0, 3.0), (5.0, 5.0, 5.0))
    assert (result.content, result.raw_content) == (None, None)
    assert result.cost_usd == Decimal("0.02")
    assert GenerationResult.from_dict(result.to_dict()) == result


async def test_no_step_sees_embeddings():
    async with Service(providers=[Embedder()], pipeline=[str.upper]) as service:
        result = await service.generate_output_async(embed())
    assert result.success
    assert not result.degraded
    assert result.pipeline_results == ()


async def test_a_provider_that_does_not_embed_is_not_asked():
    provider = ScriptedProvider()
    async with Service(providers=[provider]) as service:
        result = await service.generate_output_async(embed(model="fake/m"))
    assert result.error_type is ErrorType.INVALID_REQUEST
    assert result.error_message == "inputs: provider 'fake' does not embed; give it a prompt or messages"
    assert provider.calls == []
    assert result.attempts == ()


async def test_embeddings_are_not_streamed():
    async with Service(providers=[Embedder()]) as service, service.stream(embed()) as stream:
        assert [chunk async for chunk in stream] == []
    assert stream.result.error_type is ErrorType.INVALID_REQUEST
    assert "inputs" in str(stream.result.error_message)
    assert stream.result.attempts == ()


async def test_an_answer_that_lacks_a_vector_is_malformed_and_paid_for():
    class ForgetfulEmbedder(Embedder):
        async def _invoke_impl(self, payload):
            return (await super()._invoke_impl(payload))._replace(embeddings=((1.0, 2.0),))

    prices = {"len/m": {"input": "0.02", "output": 0}}
    async with Service(providers=[ForgetfulEmbedder()], costs=prices, retry=RetryPolicy(max_retries=0)) as service:
        result = await service.generate_output_async(embed())
    assert result.error_type is ErrorType.MALFORMED_RESPONSE
    assert result.error_message == "1 embeddings came for 2 inputs"
    assert result.embeddings == ()
    assert result.cost_usd == Decimal("0.02")


def test_the_default_estimate_counts_the_inputs_and_no_output():
    call = LLMCallRequest.of(embed(inputs=("x" * 400, "y" * 40)), model="m", trace_id="", stream=False)
    demand = Embedder().estimate(call)
    assert (demand.input_tokens, demand.output_tokens) == (112, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "hi"}, "and not both"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "and not both"),
        ({"inputs": ()}, "or inputs to embed instead"),
        ({"inputs": ("a", 1)}, r"inputs\[1\] must be a str, not int"),
        ({"dimensions": 0}, "dimensions must be positive, got 0"),
        ({"inputs": (), "prompt": "hi", "dimensions": 3}, "dimensions goes with inputs"),
    ],
)
async def test_a_request_that_makes_no_sense_cannot_be_made(fields, said):
    with pytest.raises(ValueError, match=said):
        embed(**fields)


async def test_one_text_is_one_input_and_not_its_letters():
    assert embed(inputs="a text").inputs == ("a text",)


async def test_a_request_to_embed_is_a_record_like_any_other():
    request = embed(dimensions=8)
    assert request.conversation == ()
    assert GenerationRequest.from_dict(request.to_dict()) == request
