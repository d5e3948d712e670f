"""Two hundred requests each to servers that others wrote: llama.cpp, a LiteLLM proxy, Prism by OpenAI's specification.

They are not started here: an environment variable says where each is, up to and including its version, and a test of
a server that is not named is skipped. `python3 dev.py test -m slow plugins/penstock-openai -s` prints the figures.
"""

import itertools
import os
import time
from collections import Counter
from typing import Any

import pytest

from penstock import ErrorType, GenerationRequest, ImagePart, Message, ResponseFormat, RetryPolicy, Service, TextPart
from penstock.schema import ToolCall, ToolDefinition
from penstock_openai import OpenAIProvider

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

REQUESTS = 200
TOGETHER = 8
"""How many calls are under way at once: the slots of the llama.cpp server that the figures were taken from."""

KEYS = {"LITELLM": os.environ.get("PENSTOCK_LITELLM_KEY", "sk-local-test"), "PRISM": "sk-any"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def server(name):
    """The address of a server, or the reason why the test is skipped."""
    url = os.environ.get(f"PENSTOCK_{name}_URL")
    return url or pytest.skip(f"PENSTOCK_{name}_URL does not say where such a server is")


async def run(name, requests, *, stream=False, api="chat", retries=1):
    """The results of `requests`, in their order; prints how fast they came."""
    provider = OpenAIProvider(api_key=KEYS.get(name), base_url=server(name), api=api)
    service = Service(
        providers=[provider],
        max_rpm=None,
        max_concurrent_requests=TOGETHER,
        retry=RetryPolicy(max_retries=retries, base_s=0.01),
    )
    began = time.perf_counter()
    async with service:
        if stream:
            results = [await streamed(service, request) for request in requests]
        else:
            results = [result async for result in service.generate_many(requests, ordered=True)]
    seconds = time.perf_counter() - began
    figures = service.snapshot()
    assert figures.in_flight == 0
    assert figures.usage == sum((result.usage for result in results), type(figures.usage)())
    ends = Counter("ok" if result.success else result.error_type.value for result in results)
    how = f"{api}, {'one stream after another' if stream else f'{TOGETHER} at once'}"
    rate = f"{len(results)} in {seconds:.1f} s, {len(results) / seconds:.0f}/s"
    print(f"\n{name} ({how}): {rate}, {dict(ends)}")  # noqa: T201  # the figures are what a run is for
    return results


async def streamed(service, request):
    """The result of a stream that was read to its end, whose chunks add up to it."""
    async with service.stream(request) as stream:
        text = "".join([chunk.text async for chunk in stream])
    assert text == (stream.result.content or "")
    return stream.result


def questions(model, count=REQUESTS, **fields):
    return [
        GenerationRequest(model=f"openai/{model}", prompt=f"Question {number}?", **fields) for number in range(count)
    ]


# ---------------------------------------------------------------- llama.cpp


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_llama_answers_every_request_and_counts_it(api, stream):
    results = await run("LLAMA", questions("tiny-random", max_tokens=8), stream=stream, api=api)
    assert all(result.success for result in results), {result.error_message for result in results}
    assert all(result.content for result in results)
    # It closes a connection after a hundred requests, and one that is just being sent then has to be sent again.
    assert sum(len(result.attempts) for result in results) <= REQUESTS + 10
    assert all(1 <= result.usage.output_tokens <= 8 and not result.usage.estimated for result in results)
    assert {result.response_model for result in results} == {"tiny-random"}


@pytest.mark.parametrize("stream", [False, True])
async def test_llama_tells_how_likely_its_tokens_were(stream):
    asked = questions("tiny-random", 20, max_tokens=4, extra={"logprobs": True, "top_logprobs": 2})
    for result in await run("LLAMA", asked, stream=stream):
        assert b"".join(bytes(token.bytes) for token in result.logprobs).decode(errors="ignore") in result.content
        assert len(result.logprobs) == result.usage.output_tokens
        assert all(len(token.top) == 2 and token.logprob <= 0 for token in result.logprobs)


async def test_llama_says_what_is_wrong_with_a_request():
    asked = questions("tiny-random", 5, extra={"messages": "no list"})
    assert {result.error_type for result in await run("LLAMA", asked)} <= {
        ErrorType.INVALID_REQUEST,
        ErrorType.SERVER_ERROR,
    }
    asked = [GenerationRequest(model="openai/tiny-random", prompt="word " * 20_000)]
    assert (await run("LLAMA", asked))[0].error_type is ErrorType.CONTEXT_LENGTH


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_llama_embeds(encoding):
    asked = [
        GenerationRequest(
            model="openai/tiny-random", inputs=(f"text {n}", "the same"), extra={"encoding_format": encoding}
        )
        for n in range(REQUESTS)
    ]
    results = await run("LLAMA_EMBEDDINGS", asked)
    assert all(result.success for result in results), {result.error_message for result in results}
    for result in results:
        first, second = result.embeddings
        assert sum(number * number for number in first) == pytest.approx(1.0, abs=1e-3)
        assert len(first) == len(second)
        assert first != second
        assert result.usage.input_tokens > 0


# ---------------------------------------------------------------- LiteLLM


@pytest.mark.parametrize("stream", [False, True])
async def test_a_litellm_proxy_answers_every_request(stream):
    results = await run("LITELLM", questions("fake-ok"), stream=stream)
    assert {result.content for result in results} == {"Hello from the mock. It has several words."}
    assert all(result.usage.total_tokens > 0 for result in results)


@pytest.mark.parametrize(
    ("model", "error_type"),
    [
        ("fake-429", ErrorType.HTTP_429),
        ("fake-500", ErrorType.SERVER_ERROR),
        ("fake-ctx", ErrorType.INVALID_REQUEST),  # of this error it keeps no code, only prose
        ("no-such-model", ErrorType.INVALID_REQUEST),
    ],
)
async def test_a_litellm_proxys_failures_have_their_types(model, error_type):
    for result in await run("LITELLM", questions(model, 10)):
        assert result.error_type is error_type, result.error_message
        assert len(result.attempts) == (2 if error_type.retryable else 1)


# ---------------------------------------------------------------- OpenAI's specification

WEATHER = ToolDefinition(
    name="weather", description="of a place", parameters={"type": "object", "properties": {"place": {"type": "string"}}}
)
SCHEMA = ResponseFormat(schema={"type": "object", "properties": {}}, name="thing", strict=False)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TALKS = (
    (Message("user", "hi"),),
    (
        Message("system", "be brief"),
        Message("user", [TextPart("what is this?"), ImagePart(data=PIXEL, media_type="image/png")]),
    ),
    (
        Message("developer", "use the tool"),
        Message("user", "how is it outside?"),
        Message("assistant", "", tool_calls=[ToolCall(id="c1", name="weather", arguments='{"place":"here"}')]),
        Message("tool", "rain", tool_call_id="c1"),
    ),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"max_tokens": 20, "temperature": 0.3, "top_p": 0.9},
    {"tools": (WEATHER,), "tool_choice": "weather"},
    {"tools": (WEATHER,), "tool_choice": "required"},
    {"response_format": SCHEMA},
    {"response_format": ResponseFormat(type="json_object"), "extra": {"user": "me", "metadata": {"a": "b"}}},
)


def combinations(api, count=REQUESTS):
    """Requests that say every combination of things, over and over.

    By Responses without parts: a message of parts fits two of the specification's schemas, and it wants exactly one.
    """
    talks = [talk for talk in TALKS if api == "chat" or all(isinstance(message.content, str) for message in talk)]
    made = [
        GenerationRequest(model="openai/gpt-4o", messages=talk, **options)
        for talk, options in itertools.product(talks, OPTIONS)
    ]
    return list(itertools.islice(itertools.cycle(made), count))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_every_body_is_accepted_by_openais_specification(api, stream):
    results = await run("PRISM", combinations(api), stream=stream, api=api, retries=0)
    # It answers with every field there is, so a response holds an error beside its output.
    refused = {
        result.error_message for result in results if not result.success and "200 from" not in result.error_message
    }
    assert not refused, refused


async def test_every_body_of_texts_to_embed_is_accepted_by_openais_specification():
    asked = [
        GenerationRequest(model="openai/text-embedding-3-small", inputs=f"text {n}", dimensions=n % 3 * 128 or None)
        for n in range(REQUESTS)
    ]
    results = await run("PRISM", asked)
    assert all(result.success for result in results), {result.error_message for result in results}


async def test_what_the_specification_refuses_is_an_invalid_request():
    for result in await run("PRISM", questions("gpt-4o", 5, extra={"messages": "not a list"})):
        assert result.error_type is ErrorType.INVALID_REQUEST
