"""Texts to embed: what is sent, what comes back, what it counts; on the Gemini API and on Vertex AI."""

import json
from decimal import Decimal

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Service, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand
from penstock_gemini import GeminiProvider, VertexProvider
from penstock_gemini.embedding import embeddings_of
from penstock_http.status import UNEXPECTED_SHAPE


def asking(*inputs, model="gemini-embedding-001", **fields):
    return LLMCallRequest(model=model, messages=(), inputs=inputs, **fields)


def sent(provider, request):
    made = provider.http_request(provider.convert_request(request), stream=False)
    return made.url.rpartition("/models/")[2], json.loads(made.body)


GEMINI = GeminiProvider(api_key="test-key", base_url="https://generativelanguage.googleapis.com/v1beta")
VERTEX = VertexProvider(project="p", access_token="t")


def content(text):
    return {"parts": [{"text": text}]}


def test_the_gemini_api_has_a_request_for_each_text():
    body = {"model": "models/gemini-embedding-001"}
    assert sent(GEMINI, asking("a", "b")) == (
        "gemini-embedding-001:batchEmbedContents",
        {"requests": [body | {"content": content("a")}, body | {"content": content("b")}]},
    )
    asked = asking("a", dimensions=768, extra={"taskType": "RETRIEVAL_QUERY"})
    told = {"content": content("a"), "outputDimensionality": 768, "taskType": "RETRIEVAL_QUERY"}
    assert sent(GEMINI, asked)[1] == {"requests": [body | told]}


def test_vertex_has_a_method_for_one_text_one_for_several_and_one_for_older_models():
    newer = "gemini-embedding-2"
    assert sent(VERTEX, asking("a", model=newer, dimensions=64, extra={"taskType": "CLUSTERING"})) == (
        "gemini-embedding-2:embedContent",
        {"content": content("a"), "embedContentConfig": {"outputDimensionality": 64, "taskType": "CLUSTERING"}},
    )
    assert sent(VERTEX, asking("a", "b", model=newer)) == (
        "gemini-embedding-2:batchEmbedContents",
        {"requests": [{"content": content("a")}, {"content": content("b")}]},
    )
    older = asking("a", "b", model="text-embedding-005", dimensions=64, extra={"task_type": "T", "autoTruncate": False})
    assert sent(VERTEX, older) == (
        "text-embedding-005:predict",
        {
            "instances": [{"content": "a", "task_type": "T"}, {"content": "b", "task_type": "T"}],
            "parameters": {"outputDimensionality": 64, "autoTruncate": False},
        },
    )


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gemini-embedding-001", "predict"),
        ("gemini-embedding-2", "embedContent"),
        ("text-multilingual-embedding-002", "predict"),
        ("intfloat/multilingual-e5-large-instruct-maas", "embedContent"),
    ],
)
def test_vertex_tells_older_models_by_their_names(model, method):
    assert sent(VERTEX, asking("a", model=model))[0].endswith(f":{method}")


@pytest.mark.parametrize("provider", [GEMINI, VERTEX], ids=["gemini", "vertex"])
def test_more_texts_than_a_call_takes_are_refused_before_it(provider):
    provider.convert_request(asking(*["a"] * 100))
    with pytest.raises(ProviderError, match=r"^inputs: .* 100 texts a call, not 101") as caught:
        provider.convert_request(asking(*["a"] * 101))
    assert caught.value.error_type is ErrorType.INVALID_REQUEST


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        ({"embeddings": [{"values": [0.5, 1]}, {"values": [0, -0.5]}]}, None),
        (
            {
                "embeddings": [{"values": [0.5, 1]}, {"values": [0, -0.5]}],
                "usageMetadata": {
                    "promptTokenCount": 7,
                    "promptTokenDetails": [{"modality": "IMAGE", "tokenCount": 5}, {"modality": "TEXT"}],
                },
            },
            Usage(input_tokens=7, input_image_tokens=5),
        ),
        (
            {
                "predictions": [
                    {"embeddings": {"values": [0.5, 1.0], "statistics": {"token_count": 3, "truncated": False}}},
                    {"embeddings": {"values": [0.0, -0.5], "statistics": {"token_count": 4}}},
                ],
                "metadata": {"billableCharacterCount": 9},
            },
            Usage(input_tokens=7),
        ),
    ],
    ids=["plain", "with usage", "predict"],
)
def test_the_vectors_come_back_in_order(data, usage):
    reply = GEMINI.parse_reply(data)
    assert reply.embeddings == ((0.5, 1.0), (0.0, -0.5))
    assert (reply.content, reply.usage) == (None, usage)


def test_a_single_vector_is_one():
    data = {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 2}}
    reply = VERTEX.parse_reply(data)
    assert (reply.embeddings, reply.usage) == (((0.5,),), Usage(input_tokens=2))


@pytest.mark.parametrize("data", [{"embeddings": [{}]}, {"embeddings": [{"values": ["x"]}]}, {"embedding": 5}])
def test_what_is_no_vector_is_not_taken_for_one(data):
    with pytest.raises(UNEXPECTED_SHAPE):
        embeddings_of(data)


def test_each_text_counts_as_a_request():
    assert GEMINI.estimate(asking("12345678", "")) == Demand(input_tokens=4, output_tokens=0, requests=2)


def test_a_service_embeds_and_costs_it(answering):
    body = {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 1_000_000}}
    with Service(providers=[answering(json.dumps(body))]) as service:
        result = service.generate_output(GenerationRequest(model="gemini/gemini-embedding-001", inputs=["water"]))
    assert result.success, result.error_message
    assert (result.embeddings, result.content) == (((1.0,),), None)
    assert result.cost_usd == Decimal("0.15")  # USD a million tokens, as Google lists it


# ---------------------------------------------------------------- recorded exchanges


@pytest.fixture(scope="session")
def recorded(realdata):
    lines = (realdata / "exchanges" / "gemini.jsonl").read_text().rstrip("\n").split("\n")
    return [data for data in map(json.loads, lines) if data["kind"] == "embeddings"]


def request_of(body):
    """The request that gives `body`; None where a text is not all that a content has."""
    parts = [each["content"]["parts"] for each in body["requests"]]
    if any(set(part) != {"text"} for each in parts for part in each) or any(len(each) != 1 for each in parts):
        return None
    known = ("model", "content", "outputDimensionality")
    (extra,) = {json.dumps({name: each[name] for name in each if name not in known}) for each in body["requests"]}
    return asking(
        *(part["text"] for (part,) in parts),
        model=body["requests"][0]["model"].removeprefix("models/"),
        dimensions=body["requests"][0].get("outputDimensionality"),
        extra=json.loads(extra),
    )


def test_every_recorded_request_of_texts_is_rebuilt_field_for_field(recorded):
    rebuilt = 0
    for exchange in recorded:
        for each in exchange["request_body"]["requests"]:
            each["content"].pop("role", None)  # of no meaning here
        if (request := request_of(exchange["request_body"])) is not None:
            made = GEMINI.http_request(GEMINI.convert_request(request), stream=False)
            assert made.url == exchange["endpoint"].partition("?")[0]
            assert json.loads(made.body or b"") == exchange["request_body"]
            rebuilt += 1
    assert (rebuilt, len(recorded)) == (16, 18)


def test_every_recorded_answer_has_its_vectors_and_tokens(recorded):
    for exchange in recorded:
        data = json.loads(exchange["response_body"])
        if exchange["status"] != 200:
            assert GEMINI.parse_error(exchange["status"], data).error_type is ErrorType.NOT_FOUND
            continue
        reply = GEMINI.parse_reply(data)
        assert [list(vector) for vector in reply.embeddings] == [each["values"] for each in data["embeddings"]]
        told = data.get("usageMetadata", {}).get("promptTokenCount")
        assert (reply.usage and reply.usage.input_tokens) == told
