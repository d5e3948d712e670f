"""OpenAI's embeddings over HTTP, as a client sees it; and the vectors themselves."""

import math
import struct
from base64 import b64decode

import pytest

from penstock_sim.vectors import unit_vector

PATH = "/v1/embeddings"


def ask(client, given="How deep is the lake?", **more):
    return client.post(PATH, json={"model": "text-embedding-3-small", "input": given, **more})


def vectors_of(answer):
    assert answer.status_code == 200
    return [item["embedding"] for item in answer.json()["data"]]


def test_an_answer_is_a_list_of_vectors_in_the_order_of_the_texts(serve, client):
    one = client(serve())
    body = ask(one, ["one", "two", "one"]).json()
    assert (body["object"], body["model"]) == ("list", "text-embedding-3-small")
    assert [(item["object"], item["index"]) for item in body["data"]] == [("embedding", n) for n in range(3)]
    first, second, third = (item["embedding"] for item in body["data"])
    assert first == third != second
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)],
)
def test_vectors_are_as_long_as_the_models_have_them_and_of_length_1(serve, client, model, dimensions):
    (vector,) = vectors_of(ask(client(serve()), model=model))
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1)


def test_the_same_text_has_the_same_vector_from_every_server(serve, client):
    assert vectors_of(ask(client(serve(seed=1)))) == vectors_of(ask(client(serve(seed=2))))


def test_fewer_dimensions_are_the_first_ones(serve, client):
    one = client(serve())
    (long,), (short,) = vectors_of(ask(one)), vectors_of(ask(one, dimensions=64))
    scale = math.hypot(*long[:64])
    assert short == pytest.approx([number / scale for number in long[:64]])


def test_vectors_may_be_packed(serve, client):
    one = client(serve())
    (packed,) = vectors_of(ask(one, encoding_format="base64"))
    (plain,) = vectors_of(ask(one, encoding_format="float"))
    assert struct.unpack("<1536f", b64decode(packed)) == pytest.approx(plain)


def test_tokens_may_stand_for_texts(serve, client):
    one = client(serve())
    alone = ask(one, [791, 6864, 315])
    assert alone.json()["usage"]["prompt_tokens"] == 3
    several = ask(one, [[791, 6864, 315], [200_000]])
    assert several.json()["usage"]["prompt_tokens"] == 4
    assert vectors_of(several)[0] == vectors_of(alone)[0]


def test_limits_hold_and_output_costs_nothing(serve, client):
    server = serve(rpm=2, tpm=1000, limiter="sliding")
    one = client(server)
    assert ask(one, ["x" * 400, "y" * 4]).headers["x-ratelimit-remaining-tokens"] == "899"
    refused = [ask(one), ask(one)][-1]
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "requests")
    assert server.stats.completion_tokens == 0


@pytest.mark.parametrize("fault", ["500", "error-event"])
def test_a_fault_is_an_error(serve, client, fault):
    answer = ask(client(serve(script=fault)))
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"model": ""}, (None, None)),
        ({"input": None}, ("input", "missing_required_parameter")),
        ({"input": 5}, ("input", "invalid_type")),
        ({"input": []}, ("input", "invalid_array_length")),
        ({"input": ["x"] * 2049}, ("input", "invalid_array_length")),
        ({"input": [""]}, ("input[0]", "invalid_value")),
        ({"input": [None]}, ("input[0]", "invalid_type")),
        ({"input": [[1, "x"]]}, ("input[0]", "invalid_value")),
        ({"encoding_format": "hex"}, ("encoding_format", "invalid_value")),
        ({"dimensions": 0}, ("dimensions", "integer_below_min_value")),
        ({"dimensions": 1537}, ("dimensions", "integer_above_max_value")),
        ({"model": "text-embedding-ada-002", "dimensions": 8}, (None, None)),
    ],
)
def test_a_bad_field_is_a_400_that_says_which(serve, client, more, expected):
    answer = client(serve()).post(PATH, json={"model": "text-embedding-3-small", "input": "x", **more})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == expected


def test_a_vector_is_the_same_in_every_process_and_version():
    drawn = [30214, -7250, 3547, 11265]
    assert unit_vector("m", "x", 4) == pytest.approx([number / math.hypot(*drawn) for number in drawn])
