"""The provider against the simulated server on a real socket: answers, streams, and each fault's right ErrorType."""

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import ReplyBuilder, ToolDefinition
from penstock_http import ENGINES, Timeouts
from penstock_openai import OpenAIProvider
from penstock_sim import SimConfig, SimServer

RUNS = [(engine.name, backend) for engine in ENGINES.values() for backend in sorted(engine.backends)]

pytestmark = [
    pytest.mark.anyio,
    # httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning"),
]

# The engines do not agree on whether a connection that closes too early is a bad one or a bad answer; both are retried.
CUT_SHORT = (ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE)

FAULTS = {
    "429": ErrorType.HTTP_429,
    "429-none": ErrorType.HTTP_429,
    "too-large": ErrorType.HTTP_429,
    "quota": ErrorType.INSUFFICIENT_QUOTA,
    "401": ErrorType.AUTHENTICATION,
    "403": ErrorType.UNSUPPORTED_REGION,
    "404": ErrorType.NOT_FOUND,
    "context": ErrorType.CONTEXT_LENGTH,
    "500": ErrorType.SERVER_ERROR,
    "503": ErrorType.OVERLOADED,
    "slow:5": ErrorType.TIMEOUT,
    "stall": ErrorType.TIMEOUT,
    "torn": CUT_SHORT,
    "malformed": ErrorType.MALFORMED_RESPONSE,
    "empty": ErrorType.MALFORMED_RESPONSE,
    "oversized": ErrorType.MALFORMED_RESPONSE,
    "close": CUT_SHORT,
    "reset": ErrorType.CONNECTION,
    "error-event": ErrorType.SERVER_ERROR,
}
STREAM_FAULTS = FAULTS | {"unfinished": ErrorType.CONNECTION}

HINTS = {"429-seconds:3": 3.0, "429-float:1.5": 1.5, "429-ms:250": 250.0, "429-retry-info:2": 2.0, "429:4": 4.0}


@pytest.fixture(params=RUNS, ids="-".join)
def run(request):
    if not ENGINES[request.param[0]].installed:
        pytest.skip(f"{request.param[0]} is not installed")
    return request.param


@pytest.fixture
def anyio_backend(run):
    return run[1]


@pytest.fixture
def serve(run):
    """Start a server with a script of faults, and make a provider that calls it."""
    servers = []

    def start(script="", **settings):
        context = SimServer.in_thread(SimConfig(script=script, oversized_bytes=200_000, grace_s=0.0, **settings))
        server = context.__enter__()
        servers.append(context)
        timeouts = Timeouts(connect=5.0, first_byte=0.3, idle=0.3)
        return OpenAIProvider(
            api_key="sk-test", base_url=f"{server.url}/v1", engine=run[0], timeouts=timeouts, max_body=100_000
        )

    yield start
    for context in servers:
        context.__exit__(None, None, None)


def call(**changes):
    asked = LLMCallRequest(model="gpt-4o-mini", messages=(Message("user", "What is a penstock?"),), max_tokens=30)
    return asked.replace(**changes)


async def streamed(provider, request):
    builder = ReplyBuilder()
    async for chunk in provider.stream(provider.convert_request(request)):
        builder.add(chunk)
    return builder.build()


def assert_type(error, expected):
    assert error.error_type in (expected if isinstance(expected, tuple) else (expected,)), error


async def test_an_answer_has_text_usage_limits_and_the_request_id(serve):
    provider = serve(rpm=600, tpm=100_000)
    reply = await provider.invoke(provider.convert_request(call()))
    await provider.aclose()
    assert reply.content
    assert reply.usage.output_tokens <= 30
    assert reply.finish_reason in {"stop", "length"}
    assert "req_" in (reply.request_id or "")
    assert [(reading.dimension, reading.limit) for reading in reply.limits] == [("requests", 600), ("tokens", 100_000)]


async def test_a_stream_adds_up_to_the_answer_that_is_not_streamed(serve):
    provider = serve(rpm=600)
    whole = await provider.invoke(provider.convert_request(call(seed=1)))
    added_up = await streamed(provider, call(seed=1, stream=True))
    await provider.aclose()
    assert (added_up.content, added_up.usage, added_up.finish_reason) == (
        whole.content,
        whole.usage,
        whole.finish_reason,
    )
    assert added_up.request_id.startswith("req_")
    assert added_up.limits[0].limit == 600


async def test_tool_calls_come_whole_and_in_pieces(serve):
    provider = serve()
    tool = ToolDefinition(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
    request = call(tools=(tool,), tool_choice="weather")
    whole = await provider.invoke(provider.convert_request(request))
    added_up = await streamed(provider, request.replace(stream=True))
    await provider.aclose()
    assert [(made.name, made.arguments) for made in whole.tool_calls] == [
        (made.name, made.arguments) for made in added_up.tool_calls
    ]
    assert whole.tool_calls[0].name == "weather"
    assert whole.content is None


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_of_an_answer_has_its_error_type(serve, fault):
    provider = serve(fault)
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(provider.convert_request(call()))
    await provider.aclose()
    assert_type(caught.value, FAULTS[fault])
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_each_fault_of_a_stream_has_its_error_type(serve, fault):
    provider = serve(fault)
    with pytest.raises(ProviderError) as caught:
        await streamed(provider, call(stream=True))
    await provider.aclose()
    assert_type(caught.value, STREAM_FAULTS[fault])
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("fault", HINTS)
async def test_each_dialect_of_hint_is_understood(serve, fault):
    provider = serve(fault)
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(provider.convert_request(call()))
    await provider.aclose()
    assert caught.value.retry_after_s == HINTS[fault]
    assert "req_" in (caught.value.request_id or "")


async def test_a_stream_left_early_leaves_the_provider_usable(serve):
    provider = serve(chunk_gap_s=0.01)
    chunks = provider.stream(provider.convert_request(call(stream=True)))
    first = await anext(chunks)
    await chunks.aclose()
    reply = await provider.invoke(provider.convert_request(call()))
    await provider.aclose()
    assert first.text
    assert reply.content


async def test_a_closed_provider_opens_again_when_it_is_called(serve):
    provider = serve()
    await provider.aclose()
    await provider.aclose()
    reply = await provider.invoke(provider.convert_request(call()))
    await provider.aclose()
    assert reply.content
