"""The provider's settings, what it says of itself, and whole calls over a transport that answers from memory."""

import json
import subprocess
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, RetryPolicy, Service, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand, GenerationChunk, ImagePart, ReplyBuilder, TextPart, ToolDefinition
from penstock_anthropic import AnthropicProvider
from penstock_anthropic.plugin import penstock_providers
from penstock_http import Event, HttpResponse, HttpStream, Options, Transport

CALL = LLMCallRequest(model="claude-sonnet-4-5", messages=(Message("user", "What is a penstock?"),), max_tokens=5)
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "A pipe."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "cache_read_input_tokens": 1000, "output_tokens": 4},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**ANSWER, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A pipe."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]
LIMITS = {
    "request-id": "req_1",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2000-01-01T00:00:00Z",
    "anthropic-ratelimit-input-tokens-limit": "40000",
    "anthropic-ratelimit-input-tokens-remaining": "39000",
    "anthropic-ratelimit-input-tokens-reset": "2000-01-01T00:00:00Z",
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def stream_of(*events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


class MemoryTransport(Transport):
    """Answers each request with the same status, headers and body."""

    name = "memory"

    def __init__(self, body, *, status=200, headers=None):
        super().__init__(Options())
        self.body, self.status, self.headers = body, status, headers or {}
        self.sent = []

    async def send(self, request, *, total_s=None):
        self.sent.append(request)
        return HttpResponse(self.status, self.headers, self.body)

    @asynccontextmanager
    async def stream(self, request, *, total_s=None):
        self.sent.append(request)

        async def pieces():
            yield self.body

        body = pieces()
        try:
            yield HttpStream(self.status, {"content-type": "text/event-stream", **self.headers}, body)
        finally:
            await body.aclose()

    async def aclose(self):
        pass


def over(body, **answer):
    provider = AnthropicProvider(api_key="sk-ant-secret")
    provider._transport = MemoryTransport(body, **answer)
    return provider


async def streamed(provider):
    builder = ReplyBuilder()
    async for chunk in provider.stream(provider.convert_request(CALL.replace(stream=True))):
        builder.add(chunk)
    return builder.build()


async def collect(provider, texts):
    async for chunk in provider.stream(provider.convert_request(CALL)):
        texts += [chunk.text]


# ---------------------------------------------------------------- calls


@pytest.mark.anyio
async def test_an_answer_has_text_usage_limits_and_the_request_id():
    provider = over(json.dumps(ANSWER).encode(), headers=LIMITS)
    reply = await provider.invoke(provider.convert_request(CALL))
    assert (reply.content, reply.finish_reason, reply.request_id) == ("A pipe.", "stop", "req_1")
    assert reply.usage == Usage(input_tokens=1012, output_tokens=4, cache_read_input_tokens=1000)
    assert [(r.dimension, r.limit, r.remaining, r.reset_s) for r in reply.limits] == [
        ("requests", 50, 49, 0),
        ("input_tokens", 40_000, 39_000, 0),
    ]


@pytest.mark.anyio
async def test_a_stream_adds_up_to_the_answer_that_is_not_streamed():
    provider = over(stream_of(*EVENTS), headers=LIMITS)
    reply = await streamed(provider)
    whole = over(json.dumps(ANSWER).encode(), headers=LIMITS)
    assert reply == await whole.invoke(whole.convert_request(CALL))
    # No event has been read by a reader of another stream.
    assert (await streamed(provider)) == reply


@pytest.mark.anyio
async def test_an_error_in_mid_stream_keeps_what_came_before_and_says_what_it_is():
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    provider = over(stream_of(*EVENTS[:4], overloaded), headers=LIMITS)
    texts = []
    with pytest.raises(ProviderError, match=r"200 from api\.anthropic\.com: Overloaded") as caught:
        await collect(provider, texts)
    assert "".join(texts) == "A pipe."
    assert (caught.value.error_type, caught.value.request_id) == (ErrorType.OVERLOADED, "req_1")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("cut", "error_type"), [(0, ErrorType.MALFORMED_RESPONSE), (4, ErrorType.CONNECTION), (5, ErrorType.CONNECTION)]
)
async def test_a_stream_that_ends_early_is_an_error(cut, error_type):
    with pytest.raises(ProviderError) as caught:
        await streamed(over(stream_of(*EVENTS[:cut])))
    assert caught.value.error_type is error_type


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"{}", b"[]", b"no", b'{"content": 1}', b'{"content": [{"type": "text"}]}'])
async def test_an_answer_of_another_shape_is_malformed(body):
    provider = over(body)
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(provider.convert_request(CALL))
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "no block"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 1}},
        {"type": "message_start", "message": {}},
        {"no": "type"},
    ],
)
async def test_an_event_of_another_shape_is_malformed(event):
    with pytest.raises(ProviderError) as caught:
        await streamed(over(b"data: " + json.dumps(event).encode() + b"\n\n"))
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


def refusal(kind, **details):
    return json.dumps({"type": "error", "error": {"type": kind, "message": "No.", "details": details}}).encode()


@pytest.mark.anyio
async def test_a_rate_limit_is_tried_again_after_its_hint_and_a_spend_limit_never():
    provider = over(refusal("rate_limit_error"), status=429, headers={"retry-after": "7", "x-should-retry": "true"})
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(provider.convert_request(CALL))
    assert (caught.value.error_type, caught.value.retry_after_s) == (ErrorType.HTTP_429, 7.0)
    assert caught.value.should_retry is True

    spent = refusal("rate_limit_error", error_code="enforced_spend_limit_reached")
    provider = over(spent, status=429, headers={"x-should-retry": "true"})
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(provider.convert_request(CALL))
    assert (caught.value.error_type, caught.value.should_retry) == (ErrorType.INSUFFICIENT_QUOTA, None)
    assert not caught.value.error_type.retryable


def test_a_result_of_a_service_has_the_price_of_the_cached_tokens():
    provider = over(json.dumps(ANSWER).encode())
    with Service(providers=[provider], default_model="anthropic/claude-sonnet-4-5") as service:
        result = service.generate_output("What is a penstock?")
    # USD a million tokens, as Anthropic lists them: input 3, cache read 0.30, output 15.
    assert result.cost_usd == (12 * Decimal(3) + 1000 * Decimal("0.3") + 4 * Decimal(15)) / 1_000_000


def test_a_result_of_a_service_has_the_price_of_what_was_written_to_the_cache_for_minutes_and_for_an_hour():
    written = {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 1000}
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 1200, "cache_creation": written, "output_tokens": 0}
    provider = over(json.dumps(ANSWER | {"usage": usage}).encode())
    with Service(providers=[provider], default_model="anthropic/claude-sonnet-4-5") as service:
        result = service.generate_output("What is a penstock?")
    # Anthropic's page on prices: 1.25 times the input price for five minutes, twice for an hour.
    assert result.cost_usd == (10 * Decimal(3) + 200 * Decimal("3.75") + 1000 * Decimal(6)) / 1_000_000


@pytest.mark.anyio
async def test_a_stream_cut_short_has_the_input_that_was_billed_and_an_estimate_of_its_output():
    long = {**EVENTS[3], "delta": {"type": "text_delta", "text": "A pipe. " * 50}}
    provider = over(stream_of(*EVENTS[:3], long))
    request = GenerationRequest(model="anthropic/claude-sonnet-4-5", prompt="?", retry=RetryPolicy(max_retries=0))
    async with Service(providers=[provider]) as service, service.stream(request) as stream:
        assert [chunk.text async for chunk in stream][-1] == "A pipe. " * 50
    attempt = stream.result.attempts[0]
    assert attempt.error_type is ErrorType.CONNECTION
    assert attempt.usage == Usage(input_tokens=1012, output_tokens=100, cache_read_input_tokens=1000, estimated=True)


def test_an_event_can_be_read_alone():
    chunk = AnthropicProvider(api_key="k").parse_event(Event(json.dumps(EVENTS[3])))
    assert isinstance(chunk, GenerationChunk)
    assert chunk.text == "A pipe."


# ---------------------------------------------------------------- settings


def test_without_a_key_a_request_fails_and_names_the_variable():
    with pytest.raises(ProviderError, match="ANTHROPIC_API_KEY is not set") as caught:
        AnthropicProvider().convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/")
    provider = AnthropicProvider()
    provider.convert_request(CALL)
    assert provider.url == "http://127.0.0.1:9/v1/messages"
    assert provider._open().options.headers == {
        "content-type": "application/json",
        "user-agent": "penstock",
        "x-api-key": "sk-ant-env",
        "anthropic-version": "2023-06-01",
    }


def test_given_headers_win():
    headers = {"Anthropic-Version": "2027-01-01", "anthropic-beta": "files-api-2025-04-14"}
    sent = AnthropicProvider(api_key="k", headers=headers)._open().options.headers
    assert sent["anthropic-version"] == "2027-01-01"
    assert sent["anthropic-beta"] == "files-api-2025-04-14"


def test_the_unstated_max_tokens_is_a_setting():
    assert (
        AnthropicProvider(api_key="k", max_tokens=9).convert_request(CALL.replace(max_tokens=None))["max_tokens"] == 9
    )
    with pytest.raises(ValueError, match="max_tokens must be positive"):
        AnthropicProvider(api_key="k", max_tokens=0)


def test_what_is_reserved_is_the_most_and_what_is_charged_is_what_was_used():
    provider = AnthropicProvider(api_key="k")
    assert provider.estimate(CALL) == Demand(input_tokens=12, output_tokens=5)
    assert provider.estimate(CALL.replace(max_tokens=None)).output_tokens == 4096
    picture = Message("user", [TextPart("Look: "), ImagePart(url="https://example.com/a.png")])
    weather = ToolDefinition(name="weather", description="Tells it.", parameters={"type": "object"})
    rich = CALL.replace(messages=(picture,), tools=(weather,))
    assert provider.estimate(rich).input_tokens == 6 // 4 + 8 + 1600 + 500 + (7 + 9 + 17) // 4
    used = Usage(input_tokens=1012, output_tokens=4, cache_read_input_tokens=1000)
    assert provider.charge(used) == Demand(input_tokens=12, output_tokens=4)


def test_it_tells_where_it_calls_and_never_its_key():
    provider = AnthropicProvider(api_key="sk-ant-secret", engine="httpx")
    assert provider.describe().startswith("https://api.anthropic.com via httpx ")
    assert "sk-ant-secret" not in repr(provider) + repr(vars(provider)) + provider.describe()


def test_the_plugin_offers_anthropic_and_imports_nothing_heavy():
    assert [offer.name for offer in penstock_providers()] == ["anthropic"]
    heavy = {"httpx", "aiohttp", "orjson", "penstock_http"}
    look = f"import sys, penstock_anthropic.plugin; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_attribute_that_is_not_there_is_an_attribute_error():
    import penstock_anthropic  # the module itself is looked at

    with pytest.raises(AttributeError):
        penstock_anthropic.nothing  # noqa: B018  # looking is the test
