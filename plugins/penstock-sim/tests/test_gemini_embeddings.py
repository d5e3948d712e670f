"""Gemini's embeddings over HTTP, as a client sees it."""

import math

import pytest

from penstock import GenerationRequest, Service
from penstock_gemini import GeminiProvider

PATH = "/v1beta/models/gemini-embedding-001"


def ask(client, *texts, **more):
    requests = [
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, **more} for text in texts
    ]
    return client.post(f"{PATH}:batchEmbedContents", json={"requests": requests})


def test_each_text_gets_its_vector(serve, client):
    answer = ask(client(serve()), "one", "two", "one")
    first, second, third = (item["values"] for item in answer.json()["embeddings"])
    assert first == third != second
    assert len(first) == 3072
    assert math.hypot(*first) == pytest.approx(1)


def test_one_text_may_be_asked_for_alone(serve, client):
    one = client(serve())
    alone = one.post(f"{PATH}:embedContent", json={"content": {"parts": [{"text": "one"}]}}).json()
    assert alone == {"embedding": ask(one, "one").json()["embeddings"][0]}


def test_the_older_model_tells_no_usage_and_others_do(serve, client):
    one = client(serve())
    assert "usageMetadata" not in ask(one, "one").json()
    requests = [{"content": {"parts": [{"text": "one"}]}}]
    newer = one.post("/v1beta/models/gemini-embedding-2:batchEmbedContents", json={"requests": requests}).json()
    assert newer["usageMetadata"]["promptTokenCount"] == 1


def test_vectors_may_be_shorter(serve, client):
    (item,) = ask(client(serve()), "one", outputDimensionality=8).json()["embeddings"]
    assert len(item["values"]) == 8


def test_the_texts_count_against_the_limits(serve, client):
    server = serve(tpm=1000)
    ask(client(server), "one", "12345")
    assert server.stats.charged_tokens == 3


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [{}] * 101}, "requests"),
        ({"requests": [5]}, "requests[0]"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [{"content": {}}]}, "requests[0].content.parts"),
        (
            {"requests": [{"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 4000}]},
            "requests[0].outputDimensionality",
        ),
    ],
)
def test_a_bad_field_is_a_400_that_says_which(serve, client, sent, field):
    answer = client(serve()).post(f"{PATH}:batchEmbedContents", json=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["fieldViolations"][0]["field"] == field


def test_a_fault_is_an_error(serve, client):
    assert ask(client(serve(script="error-event")), "one").json()["error"]["status"] == "INTERNAL"


@pytest.mark.anyio
# httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
@pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning")
async def test_the_provider_reads_them(serve):
    provider = GeminiProvider(base_url=f"{serve().url}/v1beta", api_key="k")
    async with Service(providers=[provider], default_model="gemini/gemini-embedding-001") as service:
        result = await service.generate_output_async(GenerationRequest(inputs=("one", "two"), dimensions=8))
    assert result.success, result.error_message
    assert [len(vector) for vector in result.embeddings] == [8, 8]
