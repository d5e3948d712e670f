"""Texts to embed: the body, the address, answers in numbers and in base64, and every recorded exchange."""

import base64
import json
import struct
from decimal import Decimal

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, Service
from penstock.bulk.body import embedding_fields
from penstock.costs import price
from penstock.errors import ProviderError
from penstock.schema import ResponseFormat, ToolDefinition, Usage
from penstock_http import parse_limits
from penstock_openai import AzureOpenAIProvider, OpenAIProvider
from penstock_openai.compatible import PROVIDERS
from penstock_openai.embeddings import embedding_payload_of, reply_of_embeddings
from penstock_openai.request import Dialect

CALL = LLMCallRequest(model="text-embedding-3-small", messages=(), inputs=("one", "two"), dimensions=3)


def test_the_body_has_the_inputs_and_whatever_extra_adds():
    assert embedding_payload_of(CALL, Dialect()) == {
        "model": "text-embedding-3-small",
        "input": ["one", "two"],
        "dimensions": 3,
    }
    extra = {"encoding_format": "base64", "user": "me"}
    assert embedding_payload_of(CALL.replace(dimensions=None, extra=extra), Dialect()) == {
        "model": "text-embedding-3-small",
        "input": ["one", "two"],
        **extra,
    }


@pytest.mark.parametrize(
    "field",
    [
        {"max_tokens": 5},
        {"temperature": 0.0},
        {"top_p": 0.5},
        {"stop": ("x",)},
        {"seed": 0},
        {"tools": (ToolDefinition(name="t"),)},
        {"tool_choice": "auto"},
        {"response_format": ResponseFormat(type="json_object")},
    ],
    ids=lambda field: next(iter(field)),
)
def test_a_field_about_words_is_refused_by_its_name(field):
    with pytest.raises(ProviderError, match=f"^{next(iter(field))}: ") as caught:
        embedding_payload_of(CALL.replace(**field), Dialect())
    assert caught.value.error_type is ErrorType.INVALID_REQUEST


def test_mistral_has_a_name_of_its_own_for_the_dimensions():
    assert PROVIDERS.mistral(api_key="k").payload(CALL)["output_dimension"] == 3
    assert PROVIDERS.together(api_key="k").payload(CALL)["dimensions"] == 3


def url_of(provider, call=CALL):
    return provider.http_request(provider.convert_request(call), stream=False).url


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_embeddings_have_an_address_of_their_own_whatever_the_api_of_texts(api):
    provider = OpenAIProvider(api_key="k", api=api)
    assert url_of(provider) == "https://api.openai.com/v1/embeddings"
    talk = LLMCallRequest(model="m", messages=(Message("user", "hi"),))
    assert url_of(provider, talk).endswith({"chat": "/chat/completions", "responses": "/responses"}[api])
    assert url_of(provider, talk.replace(extra={"input": "hi"})).endswith("/responses")
    assert url_of(provider, talk.replace(extra={"input": [{"role": "user", "content": "hi"}]})).endswith("/responses")


@pytest.mark.parametrize(
    ("version", "url"),
    [
        (None, "https://mine.openai.azure.com/openai/v1/embeddings"),
        (
            "2024-10-21",
            "https://mine.openai.azure.com/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21",
        ),
    ],
)
def test_a_deployment_at_azure_embeds_too(version, url):
    assert (
        url_of(AzureOpenAIProvider(endpoint="https://mine.openai.azure.com", api_key="k", api_version=version)) == url
    )


def answer(*vectors, **fields):
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in vectors]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return {"object": "list", "data": data, "model": "m", "usage": usage, **fields}


def test_vectors_are_in_the_order_of_the_inputs_by_their_index():
    reply = reply_of_embeddings(answer((1, [3, 4.5]), (0, [1.0, -2.0])))
    assert reply.embeddings == ((1.0, -2.0), (3.0, 4.5))
    assert (reply.content, reply.usage, reply.response_model) == (None, Usage(input_tokens=7), "m")


def test_base64_is_read_as_the_numbers_that_it_stands_for():
    text = base64.b64encode(struct.pack("<3f", 0.5, -1.25, 3.0)).decode()
    assert reply_of_embeddings(answer((0, text))).embeddings == ((0.5, -1.25, 3.0),)


@pytest.mark.parametrize(
    "wrong",
    [
        answer((0, [1.0]), (0, [2.0])),
        answer((1, [1.0])),
        answer((0, "AAAA")),
        answer((0, "not base64!")),
        answer((0, ["x"])),
        answer((0, 5)),
        {"data": None},
    ],
)
def test_an_answer_of_another_shape_is_malformed(wrong):
    provider = OpenAIProvider(api_key="k")
    with pytest.raises(ProviderError) as caught:
        provider._reply(200, {}, json.dumps(wrong).encode())
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


def test_an_error_in_the_place_of_vectors_is_read_as_one():
    with pytest.raises(ProviderError, match="overloaded"):
        OpenAIProvider(api_key="k").parse_reply({"error": {"message": "overloaded"}})


@pytest.mark.anyio
async def test_a_service_without_embeddings_is_not_asked():
    async with Service(providers=[PROVIDERS.groq(api_key="k")]) as service:
        result = await service.generate_output_async(GenerationRequest(model="groq/m", inputs="text"))
    assert result.error_type is ErrorType.INVALID_REQUEST
    assert "'groq' does not embed" in str(result.error_message)
    assert PROVIDERS.mistral.embeds


def test_no_output_is_reserved():
    demand = OpenAIProvider(api_key="k").estimate(CALL.replace(inputs=("x" * 40, "y" * 80)))
    assert (demand.input_tokens, demand.output_tokens) == (31, 0)


# ---------------------------------------------------------------- recorded exchanges


def test_every_recorded_answer_gives_the_right_vectors(embedding_exchanges):
    read = 0
    for exchange in embedding_exchanges:
        if exchange.status != 200:
            continue
        data = json.loads(exchange.body)
        reply = OpenAIProvider(api_key="k").parse_reply(data)
        asked = exchange.request["input"]
        assert len(reply.embeddings) == (1 if isinstance(asked, str) else len(asked)), exchange.where
        for item, vector in zip(data["data"], reply.embeddings, strict=True):
            told = item["embedding"]
            size = 3 * len(told.rstrip("=")) // 16 if isinstance(told, str) else len(told)
            assert len(vector) == size, exchange.where
            assert isinstance(told, str) or list(vector) == told, exchange.where
            wanted = exchange.request.get("dimensions")
            assert wanted is None or exchange.trimmed or len(vector) == wanted, exchange.where
            if not exchange.trimmed and reply.response_model != "embed-english-v3.0":
                assert sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-2), exchange.where
        assert reply.usage == Usage(input_tokens=data["usage"]["total_tokens"]), exchange.where
        read += 1
    assert read >= 29


def test_every_recorded_request_of_texts_is_sent_again_as_it_was(embedding_exchanges):
    rebuilt = 0
    for exchange in embedding_exchanges:
        body = {key: value for key, value in exchange.request.items() if value is not None}
        if any(not isinstance(text, str) for text in body["input"]):
            continue  # tokens: penstock takes texts
        fields = embedding_fields(body)
        request = GenerationRequest(**fields)
        call = LLMCallRequest.of(request, model=body["model"], trace_id="", stream=False)
        texts = body["input"]
        assert embedding_payload_of(call, Dialect()) == {**body, "input": [texts] if isinstance(texts, str) else texts}
        rebuilt += 1
    assert rebuilt >= 25


def test_what_the_limit_lost_is_what_was_estimated_give_or_take_a_token_for_each_text(embedding_exchanges):
    seen = 0
    for exchange in embedding_exchanges:
        texts = exchange.request["input"]
        texts = [texts] if isinstance(texts, str) else texts
        tokens = {reading.dimension: reading for reading in parse_limits(exchange.headers, now_wall=0.0)}.get("tokens")
        if "api.openai.com" not in exchange.endpoint or tokens is None or not isinstance(texts[0], str):
            continue
        call = LLMCallRequest(model="m", messages=(), inputs=texts)
        estimated = OpenAIProvider(api_key="k").estimate(call).input_tokens
        assert tokens.limit is not None
        assert tokens.remaining is not None
        assert tokens.limit - tokens.remaining == pytest.approx(estimated, abs=len(texts) + 1), exchange.where
        seen += 1
    assert seen >= 14


def test_embeddings_have_a_price_where_genai_prices_lists_one():
    pytest.importorskip("genai_prices")
    for model, cost in (("text-embedding-3-small", "0.02"), ("text-embedding-3-large", "0.13")):
        assert price("openai", model, Usage(input_tokens=1_000_000)) == Decimal(cost)
