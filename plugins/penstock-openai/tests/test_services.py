"""The table of services: each row as a provider, alone and in a service; its facts against recorded exchanges."""

import json

import pytest

from penstock import ErrorType, LLMCallRequest, Message, Outcome, RpmGate, Service, TpmGate, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand
from penstock_http import parse_limits
from penstock_openai.compatible import PROVIDERS
from penstock_openai.services import SERVICES
from penstock_sim import SimServer

CALL = LLMCallRequest(model="some/model", messages=(Message("user", "hi"),), max_tokens=5, seed=1, stream=True)
CHATTING = sorted(name for name, service in SERVICES.items() if service.api == "chat")
HOSTED = sorted(name for name, service in SERVICES.items() if not service.local)
LOCAL = sorted(set(SERVICES) - set(HOSTED))


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch):
    for service in SERVICES.values():
        if service.key_variable:
            monkeypatch.delenv(service.key_variable, raising=False)


def made(name, **settings):
    return getattr(PROVIDERS, name)(**settings)


def sent(provider, call=CALL):
    """The URL, the headers and the body of what a provider sends."""
    request = provider.http_request(provider.convert_request(call), stream=call.stream)
    return request.url, provider._open().options.headers, json.loads(request.body)


# ---------------------------------------------------------------- what is sent


def test_a_model_of_a_service_is_called_when_its_key_is_set(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk-env")
    url, headers, body = sent(made("groq"))
    assert url == "https://api.groq.com/openai/v1/chat/completions"
    assert headers["authorization"] == "Bearer gsk-env"
    assert body == {
        "model": "some/model",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 5,
        "seed": 1,
        "stream": True,
    }


@pytest.mark.parametrize("name", HOSTED)
def test_each_hosted_service_is_sent_its_key_at_its_address(name, monkeypatch):
    service = SERVICES[name]
    monkeypatch.setenv(service.key_variable, "key-1")
    url, headers, _ = sent(made(name), CALL.replace(seed=None))
    end = {"chat": "/chat/completions", "responses": "/responses"}[service.api]
    assert (url, headers["authorization"]) == (service.base_url + end, "Bearer key-1")
    assert url.startswith("https://")


@pytest.mark.parametrize("name", HOSTED)
def test_each_hosted_service_without_a_key_is_refused_and_named(name):
    with pytest.raises(ProviderError, match=f"{SERVICES[name].key_variable} is not set") as caught:
        made(name).convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


@pytest.mark.parametrize("name", LOCAL)
def test_each_local_server_needs_no_key_and_costs_nothing(name):
    provider = made(name)
    url, headers, body = sent(provider)
    assert url == f"{SERVICES[name].base_url}/chat/completions"
    assert "authorization" not in headers
    assert body["max_tokens"] == 5
    assert provider.costs == {"*": {"input": 0, "output": 0}}


@pytest.mark.parametrize("name", CHATTING)
def test_each_service_has_its_own_names_of_fields(name):
    service = SERVICES[name]
    _, _, body = sent(made(name, api_key="k"))
    assert body[service.max_tokens_field] == 5
    assert body[service.seed_field] == 1
    assert ("stream_options" in body) is service.stream_usage
    assert len(body) == 5 + service.stream_usage  # so that none of them goes by two names


def test_mistral_is_sent_nothing_that_it_refuses():
    _, _, body = sent(made("mistral", api_key="k"))
    assert body["random_seed"] == 1
    assert body.keys().isdisjoint({"seed", "stream_options", "max_completion_tokens"})


def test_what_the_table_says_can_be_overridden():
    provider = made("mistral", api_key="k", base_url="http://127.0.0.1:9/v1", stream_usage=True)
    url, _, body = sent(provider)
    assert url == "http://127.0.0.1:9/v1/chat/completions"
    assert body["stream_options"] == {"include_usage": True}
    elsewhere = made("groq", api_key="k", api="responses")
    assert sent(elsewhere, CALL.replace(seed=None))[0] == "https://api.groq.com/openai/v1/responses"


def test_an_account_at_openai_is_no_other_services_business(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    url, headers, _ = sent(made("vllm"))
    assert url == "http://127.0.0.1:8000/v1/chat/completions"
    assert headers.keys() == {"content-type", "user-agent"}


# ---------------------------------------------------------------- in a service


@pytest.mark.parametrize("name", CHATTING)
def test_each_service_answers_by_its_name(name):
    with SimServer.in_thread() as server:
        settings = {name: {"base_url": f"{server.url}/v1"}}
        with Service(provider_options=settings, default_model=f"{name}/some/model") as service:
            result = service.generate_output("What is a penstock?")
    assert result.success, result.error_message
    assert result.content
    assert result.cost_usd == (0 if SERVICES[name].local else None)


def test_a_listed_price_is_found_under_the_services_name():
    with SimServer.in_thread() as server:
        settings = {"groq": {"base_url": f"{server.url}/v1"}}
        with Service(provider_options=settings, default_model="groq/llama-3.3-70b-versatile") as service:
            result = service.generate_output("What is a penstock?")
    assert (result.cost_usd or 0) > 0


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("name", "reserved", "charged"),
    [
        ("groq", 5, None),
        ("mistral", 0, Demand(input_tokens=4, output_tokens=1)),
        ("cerebras", 5, Demand(input_tokens=4, output_tokens=1)),
    ],
)
def test_tokens_are_counted_as_each_service_counts_them(name, reserved, charged):
    provider = made(name, api_key="k")
    assert provider.estimate(CALL).output_tokens == reserved
    assert provider.charge(Usage(input_tokens=4, output_tokens=1)) == charged


def test_requests_a_day_are_not_mistaken_for_requests_a_minute():
    # Groq's headers speak of requests a day and of tokens a minute, under the names that are both a minute's at OpenAI.
    rpm, tpm = RpmGate(1_000, burst=1_000), TpmGate(100_000, burst=100_000)
    for number in range(1, 20):
        headers = {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": str(14_400 - number),
            "x-ratelimit-reset-requests": f"{6 * number}s",
            "x-ratelimit-limit-tokens": "6000",
            "x-ratelimit-remaining-tokens": str(6_000 - 100 * number),
            "x-ratelimit-reset-tokens": f"{number}s",
        }
        outcome = Outcome(limits=parse_limits(headers, now_wall=0.0))
        for gate in (rpm, tpm):
            gate.take(Demand(input_tokens=100), 0.0).settle(outcome, 0.0)
    assert not rpm._mirror.proven
    assert rpm.delay(Demand(), 0.0) == 0.0
    assert tpm._mirror.proven
    assert tpm.delay(Demand(input_tokens=5_000), 0.0) > 0.0


# ---------------------------------------------------------------- against what was recorded


def test_recorded_calls_went_where_the_table_says(exchanges):
    seen: dict[str, set[str]] = {}
    for exchange in exchanges:
        seen.setdefault(exchange.where.partition(":")[0], set()).add(exchange.endpoint)
    known = {name: made(name).url for name in CHATTING if name in seen}
    assert {name for name, url in known.items() if url in seen[name]} == known.keys()
    assert known.keys() == {"cerebras", "deepseek", "groq", "mistral", "openrouter", "together"}


def test_recorded_answers_carry_the_request_id_that_the_table_names(exchanges):
    found = {
        name
        for exchange in exchanges
        if (name := exchange.where.partition(":")[0]) in SERVICES
        and SERVICES[name].request_id_header in exchange.headers
    }
    assert found == {"cerebras", "deepseek", "groq", "mistral", "openrouter", "perplexity", "together"}


@pytest.mark.parametrize("name", ["groq", "mistral"])
def test_a_recorded_stream_has_its_usage_unasked_where_the_table_does_not_ask(exchanges, name):
    streams = [
        exchange
        for exchange in exchanges
        if exchange.streaming and exchange.where.startswith(f"{name}:") and '"error":{' not in exchange.body
    ]
    assert len(streams) > 5
    assert [each.where for each in streams if "stream_options" in each.request or '"usage":{' not in each.body] == []
    assert not SERVICES[name].stream_usage


def test_recorded_costs_of_mistral_are_what_was_used_and_never_what_was_asked_for(exchanges):
    header = "x-ratelimit-tokens-query-cost"
    compared = 0
    for exchange in exchanges:
        if header in exchange.headers and not exchange.streaming and exchange.body:
            usage = json.loads(exchange.body)["usage"]
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            if not cached and "prompt_audio_seconds" not in usage:
                compared += 1
                # One is 5 less, with a max_tokens of 500: the markers around the prompt are not always counted.
                assert 0 <= usage["total_tokens"] - int(exchange.headers[header]) <= 5, exchange.where
    assert compared > 10
