"""The provider's settings, its calls and its streams, and what it says of itself."""

import json
import subprocess
import sys

import pytest

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, Service, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand, ReplyBuilder
from penstock_gemini import GeminiProvider
from penstock_gemini.plugin import penstock_providers

CALL = LLMCallRequest(model="gemini-2.5-flash", messages=(Message("user", "hi"),), max_tokens=5)
HOME = "https://generativelanguage.googleapis.com/v1beta"
PLAIN = json.dumps({"candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}]})


def events(*answers):
    return "".join(f"data: {json.dumps(answer)}\r\n\r\n" for answer in answers)


def piece(*parts, **candidate):
    return {"candidates": [{"content": {"parts": list(parts)}, **candidate}], "responseId": "r", "modelVersion": "m"}


async def streamed(provider):
    builder = ReplyBuilder()
    async for chunk in provider.stream(provider.convert_request(CALL)):
        builder.add(chunk)
    return builder.build()


# ---------------------------------------------------------------- settings


def test_without_a_key_a_request_fails_and_names_the_variable():
    with pytest.raises(ProviderError, match="GEMINI_API_KEY is not set") as caught:
        GeminiProvider().convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"GEMINI_API_KEY": "first", "GOOGLE_API_KEY": "second"}, "first"),
        ({"GOOGLE_API_KEY": "second"}, "second"),
    ],
)
def test_the_key_comes_from_either_variable_and_goes_in_a_header(monkeypatch, variables, key):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider = GeminiProvider()
    provider.convert_request(CALL)
    assert provider._open().options.headers == {
        "content-type": "application/json",
        "user-agent": "penstock",
        "x-goog-api-key": key,
    }


def test_the_base_url_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("GEMINI_BASE_URL", "http://127.0.0.1:9/v1/")
    request = GeminiProvider().http_request({"model": "m"}, stream=False)
    assert request.url == "http://127.0.0.1:9/v1/models/m:generateContent"


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("odd name?key=1#x", "models/odd%20name%3Fkey%3D1%23x"),
    ],
)
def test_the_model_goes_in_the_url_and_not_in_the_body(model, place):
    provider = GeminiProvider(api_key="k")
    payload = provider.convert_request(CALL.replace(model=model))
    whole = provider.http_request(payload, stream=False)
    stream = provider.http_request(payload, stream=True)
    assert (whole.method, whole.url) == ("POST", f"{HOME}/{place}:generateContent")
    assert stream.url == f"{HOME}/{place}:streamGenerateContent?alt=sse"
    assert b'"model"' not in (whole.body or b"")
    assert payload["model"] == model  # it is sent again after a failure


@pytest.mark.parametrize("model", ["", "..", "models/../files", "a//b", "models/."])
def test_a_model_cannot_lead_to_another_place(model):
    with pytest.raises(ProviderError, match="model") as caught:
        GeminiProvider(api_key="k").convert_request(CALL.replace(model=model))
    assert caught.value.error_type is ErrorType.INVALID_REQUEST


def test_input_is_what_counts_before_and_after():
    provider = GeminiProvider(api_key="k")
    assert provider.estimate(CALL) == Demand(input_tokens=1, output_tokens=0)
    assert provider.charge(Usage(input_tokens=4, output_tokens=9)) == Demand(input_tokens=4, output_tokens=0)


def test_it_tells_where_it_calls_and_never_its_key():
    provider = GeminiProvider(api_key="sk-secret", engine="httpx")
    assert provider.describe().startswith(f"{HOME} via httpx ")
    assert "sk-secret" not in repr(provider) + repr(vars(provider)) + provider.describe()


def test_the_plugin_offers_both_providers_and_imports_nothing_heavy():
    assert [offer.name for offer in penstock_providers()] == ["gemini", "vertex"]
    look = "import sys, penstock_gemini.plugin; print({'httpx', 'orjson', 'penstock_http'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_attribute_that_is_not_there_is_an_attribute_error():
    import penstock_gemini  # the module itself is looked at

    with pytest.raises(AttributeError):
        penstock_gemini.nothing  # noqa: B018  # looking is the test


# ---------------------------------------------------------------- calls


@pytest.mark.anyio
async def test_a_call_sends_one_request_and_gives_its_answer(answering):
    provider = answering(PLAIN)
    reply = await provider.invoke(provider.convert_request(CALL))
    (sent,) = provider._transport.requests
    assert sent.url.endswith(":generateContent")
    assert json.loads(sent.body) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }
    assert (reply.content, reply.finish_reason) == ("hello", "stop")


@pytest.mark.anyio
async def test_the_calls_of_a_stream_are_numbered_in_one_row_and_end_it_as_calls(answering):
    provider = answering(
        events(
            piece({"text": "hm", "thought": True}),
            piece({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}),
            piece({"functionCall": {"name": "f", "args": {"a": 2}}}, {"functionCall": {"name": "g"}}),
            piece(finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}},
        )
    )
    reply = await streamed(provider)
    assert provider._transport.requests[0].url.endswith(":streamGenerateContent?alt=sse")
    assert [(call.id, call.name, call.arguments, call.signature) for call in reply.tool_calls] == [
        ("r-0", "f", '{"a":1}', "s"),
        ("r-1", "f", '{"a":2}', None),
        ("r-2", "g", "{}", None),
    ]
    assert (reply.finish_reason, reply.reasoning, reply.content) == ("tool_calls", "hm", None)
    assert reply.usage == Usage(input_tokens=3, output_tokens=2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        (events(piece({"text": "half"})), ErrorType.CONNECTION),
        ("", ErrorType.MALFORMED_RESPONSE),
        ("data: {broken\n\n", ErrorType.MALFORMED_RESPONSE),
        (events({"promptFeedback": {"blockReason": "OTHER"}}), ErrorType.CONTENT_FILTER),
        (
            events(piece({"text": "half"}), {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}),
            ErrorType.OVERLOADED,
        ),
    ],
)
async def test_a_stream_that_fails_says_how(answering, body, error_type):
    with pytest.raises(ProviderError) as caught:
        await streamed(answering(body))
    assert caught.value.error_type is error_type


@pytest.mark.anyio
async def test_a_list_in_answer_to_a_request_for_a_stream_is_one_chunk(answering):
    body = json.dumps([piece({"text": "h"}), piece({"text": "i"}, finishReason="STOP")])
    provider = answering(body, headers={"content-type": "application/json; charset=UTF-8"})
    assert (await streamed(provider)).content == "hi"


def test_a_round_of_tools_gives_the_signature_back(answering):
    first = piece({"functionCall": {"name": "f"}, "thoughtSignature": "s"}, finishReason="STOP")
    provider = answering(json.dumps(first))
    transport = provider._transport  # the service closes it
    with Service(providers=[provider], default_model="gemini/gemini-3-pro-preview") as service:
        result = service.generate_output("hi")
        (call,) = result.tool_calls
        answered = GenerationRequest(
            messages=[
                Message("user", "hi"),
                Message("assistant", tool_calls=result.tool_calls),
                Message("tool", "done", tool_call_id=call.id),
            ]
        )
        service.generate_output(answered)
    sent = json.loads(transport.requests[-1].body)["contents"]
    assert sent[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "r-0"}, "thoughtSignature": "s"}]
    assert sent[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "done"}, "id": "r-0"}}]


def test_the_cost_is_that_of_the_published_prices(answering):
    body = json.loads(PLAIN) | {
        "modelVersion": "gemini-2.5-flash",
        "usageMetadata": {"promptTokenCount": 1_000_000, "candidatesTokenCount": 0, "thoughtsTokenCount": 1_000_000},
    }
    provider = answering(json.dumps(body))
    with Service(providers=[provider], default_model="gemini/gemini-2.5-flash") as service:
        result = service.generate_output("hi")
    assert result.usage.output_tokens == 1_000_000
    assert result.cost_usd is not None
    assert float(result.cost_usd) == pytest.approx(0.30 + 2.50)
