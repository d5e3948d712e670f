"""Output lines whose bodies are not just a text: embeddings, and answers with the likelihood of their tokens."""

import json

from penstock import GenerationRequest, GenerationResult, Usage
from penstock.bulk.lines import ModelRules, Row, parse_line
from penstock.bulk.reading import RawLine
from penstock.bulk.rows import output_line
from penstock.schema import TokenLogprob

LOGPROBS = (TokenLogprob("Hi", -0.5, bytes=(72, 105), top=(TokenLogprob("Yo", -1.0),)),)


def body_of(line, **fields):
    """The body of the response in the output line of an answer to `line`."""
    text = json.dumps(line).encode()
    row = parse_line(RawLine(1, text, len(text)), ModelRules())
    assert isinstance(row, Row)
    result = GenerationResult(success=True, trace_id="t", request=row.request, model="m", **fields)
    return json.loads(output_line(row, result))["response"]["body"]


def test_a_row_of_the_embeddings_endpoint_is_answered_in_its_shape():
    line = {"custom_id": "e", "url": "/v1/embeddings", "body": {"model": "m", "input": ["a", "b"]}}
    vectors = ((0.5, -1.25), (1e-07, 3.0))
    assert body_of(line, embeddings=vectors, usage=Usage(input_tokens=7), response_model="m-2") == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.25]},
            {"object": "embedding", "index": 1, "embedding": [1e-07, 3.0]},
        ],
        "model": "m-2",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_logprobs_are_those_of_the_content_or_of_the_refusal():
    line = {"model": "m", "prompt": "hi", "logprobs": True}
    told = [
        {
            "token": "Hi",
            "logprob": -0.5,
            "bytes": [72, 105],
            "top_logprobs": [{"token": "Yo", "logprob": -1.0, "bytes": None}],
        }
    ]
    spoke = body_of(line, content="Hi", raw_content="Hi", logprobs=LOGPROBS)["choices"][0]
    assert spoke["logprobs"] == {"content": told, "refusal": None}
    refused = body_of(line, refusal="Hi", logprobs=LOGPROBS)["choices"][0]
    assert refused["logprobs"] == {"content": None, "refusal": told}
    assert body_of(line, content="Hi", raw_content="Hi")["choices"][0]["logprobs"] is None


def test_a_request_that_was_made_in_code_is_a_line_too():
    request = GenerationRequest(model="openai/m", inputs=("a", "b"), dimensions=5)
    text = json.dumps(request.to_dict()).encode()
    row = parse_line(RawLine(1, text, len(text)), ModelRules())
    assert isinstance(row, Row)
    assert (row.request.inputs, row.request.dimensions) == (("a", "b"), 5)
