"""The server as penstock's own providers see it: answers, tools, limits and the time to wait, by each API."""

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, RetryPolicy, Service, ToolDefinition
from penstock_anthropic import AnthropicProvider
from penstock_gemini import GeminiProvider
from penstock_openai import OpenAIProvider
from penstock_sim import SimProvider

pytestmark = [
    pytest.mark.anyio,
    # httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning"),
]

ONCE = RetryPolicy(strategy="none")
KEY = "key-right-0123456789"
WEATHER = ToolDefinition(
    name="get_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)

PROVIDERS = {
    "chat": lambda url, key=KEY: OpenAIProvider(base_url=f"{url}/v1", api_key=key),
    "responses": lambda url, key=KEY: OpenAIProvider(base_url=f"{url}/v1", api_key=key, api="responses"),
    "messages": lambda url, key=KEY: AnthropicProvider(base_url=url, api_key=key),
    "gemini": lambda url, key=KEY: GeminiProvider(base_url=f"{url}/v1beta", api_key=key),
}


@pytest.fixture(params=PROVIDERS)
def make(request):
    """Each of the providers, to be called at a server."""
    return PROVIDERS[request.param]


def service(provider, **options):
    options = {"max_rpm": None, "retry": ONCE, "default_model": f"{provider.name}/sim-1", **options}
    return Service(providers=[provider], **options)


async def test_a_question_is_answered_whole_and_as_a_stream(serve, make):
    async with service(make(serve(api_key=KEY).url)) as one:
        whole = await one.generate_output_async("How deep is the lake?")
        async with one.stream("How deep is the lake?") as stream:
            chunks = [chunk.text async for chunk in stream]
    assert whole.success, whole.error_message
    assert len([chunk for chunk in chunks if chunk]) > 3
    assert "".join(filter(None, chunks)) == whole.content == stream.result.content
    assert whole.usage == stream.result.usage
    assert whole.usage.input_tokens == 7
    assert (whole.finish_reason, stream.result.finish_reason) == ("stop", "stop")
    assert whole.response_model == "sim-1"


async def test_the_same_question_gets_the_same_answer_by_each_api(serve):
    url, answers = serve().url, set()
    for make in PROVIDERS.values():
        async with service(make(url)) as one:
            answers.add((await one.generate_output_async("How deep is the lake?")).content)
    assert len(answers) == 1


async def test_a_tool_is_called_and_answered(serve, make):
    asked = Message("user", "Use get_weather.")
    async with service(make(serve().url)) as one:
        first = await one.generate_output_async(GenerationRequest(messages=(asked,), tools=(WEATHER,)))
        async with one.stream(GenerationRequest(messages=(asked,), tools=(WEATHER,))) as stream:
            assert [chunk async for chunk in stream]
        (call,) = first.tool_calls
        turns = (asked, Message("assistant", tool_calls=(call,)), Message("tool", "3 degrees", tool_call_id=call.id))
        last = await one.generate_output_async(GenerationRequest(messages=turns, tools=(WEATHER,)))
    assert (call.name, first.finish_reason) == ("get_weather", "tool_calls")
    assert [(each.name, each.arguments) for each in stream.result.tool_calls] == [(call.name, call.arguments)]
    assert last.content


async def test_a_refusal_for_the_rate_is_understood_with_the_time_to_wait(serve, make):
    async with service(make(serve(rpm=1, limiter="sliding").url)) as one:
        results = [await one.generate_output_async("How deep?") for _ in range(2)]
    assert [result.error_type for result in results] == [None, ErrorType.HTTP_429]
    (attempt,) = results[1].attempts
    assert 55 < attempt.retry_after_s <= 60


async def test_what_fails_for_a_while_is_tried_again(serve, make):
    server = serve(script="429-none,503")
    async with service(make(server.url), retry=RetryPolicy(strategy="constant", base_s=0)) as one:
        result = await one.generate_output_async("How deep?")
    assert result.success
    assert [attempt.error_type for attempt in result.attempts] == [
        ErrorType.HTTP_429,
        ErrorType.OVERLOADED,
        None,
    ]


async def test_a_wrong_key_is_understood(serve, make):
    async with service(make(serve(api_key=KEY).url, "key-wrong-0123456789")) as one:
        result = await one.generate_output_async("How deep?")
    assert result.error_type is ErrorType.AUTHENTICATION


@pytest.mark.parametrize("fault", ["torn", "unfinished", "malformed"])
async def test_a_cut_stream_is_no_answer(serve, make, fault):
    async with service(make(serve(script=fault).url)) as one, one.stream("How deep?") as stream:
        chunks = [chunk async for chunk in stream]
    assert chunks
    assert stream.result.error_type in (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chat", {"requests": 599, "tokens": 5893}),
        ("responses", {"requests": 599, "tokens": 5893}),
        ("messages", {"requests": 599, "tokens": 5993, "input_tokens": 3993, "output_tokens": 600}),
        ("gemini", {}),
    ],
)
async def test_limits_are_read_from_the_headers_that_tell_them(serve, name, expected):
    server = serve(rpm=600, tpm=6000, input_tpm=4000, output_tpm=600)
    provider = PROVIDERS[name](server.url)
    async with service(provider):
        call = LLMCallRequest(model="sim-1", messages=(Message("user", "How deep is the lake?"),), max_tokens=100)
        reply = await provider.invoke(provider.convert_request(call))
    assert {reading.dimension: reading.remaining for reading in reply.limits} == expected


async def test_texts_are_embedded_as_they_are_within_the_process(serve):
    server = serve()
    async with service(PROVIDERS["chat"](server.url)) as one:
        result = await one.generate_output_async(GenerationRequest(inputs=("one", "two"), dimensions=8))
    assert result.success, result.error_message
    assert [len(vector) for vector in result.embeddings] == [8, 8]
    assert result.usage.input_tokens == 2
    assert server.stats.requests == 1
    async with service(SimProvider()) as one:
        here = await one.generate_output_async(GenerationRequest(inputs=("one", "two"), dimensions=8))
    assert here.usage == result.usage
    for vector, same in zip(result.embeddings, here.embeddings, strict=True):
        assert vector == pytest.approx(same)
