"""The provider `azure`: both of its addresses, its key, and what older API versions do not know."""

import json

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock_openai import AzureOpenAIProvider

HOME = "https://mine.openai.azure.com"
CALL = LLMCallRequest(model="my-gpt", messages=(Message("user", "hi"),), max_tokens=5, stream=True)


@pytest.fixture(autouse=True)
def no_azure_from_outside(monkeypatch):
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


def sent(provider, call=CALL):
    """The URL, the headers and the body of what a provider sends."""
    request = provider.http_request(provider.convert_request(call), stream=call.stream)
    return request.url, provider._open().options.headers, json.loads(request.body)


def test_without_a_version_the_v1_api_is_called_with_the_deployment_as_the_model(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{HOME}/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    url, headers, body = sent(AzureOpenAIProvider())
    assert url == f"{HOME}/openai/v1/chat/completions"
    assert headers == {"content-type": "application/json", "user-agent": "penstock", "api-key": "azure-1"}
    assert body == {
        "model": "my-gpt",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("end", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_an_endpoint_may_be_written_with_its_path(end):
    assert sent(AzureOpenAIProvider(endpoint=HOME + end, api_key="k"))[0] == f"{HOME}/openai/v1/chat/completions"


def test_with_a_version_the_deployment_stands_in_the_path(monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    provider = AzureOpenAIProvider(endpoint=HOME, api_key="k")
    start = f"{HOME}/openai/deployments"
    assert sent(provider)[0] == f"{start}/my-gpt/chat/completions?api-version=2024-10-21"
    strange = sent(provider, CALL.replace(model="a/b?c"))[0]
    assert strange == f"{start}/a%2Fb%3Fc/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("version", "url"),
    [
        (None, f"{HOME}/openai/v1/responses"),
        ("2025-03-01-preview", f"{HOME}/openai/responses?api-version=2025-03-01-preview"),
    ],
)
def test_the_responses_api_has_no_deployment_in_its_path(version, url):
    assert sent(AzureOpenAIProvider(endpoint=HOME, api_key="k", api_version=version, api="responses"))[0] == url


@pytest.mark.parametrize(
    ("version", "field", "asks"),
    [
        ("2024-02-01", "max_tokens", False),
        ("2024-08-01-preview", "max_tokens", False),
        ("2024-09-01-preview", "max_completion_tokens", True),
        ("2024-10-21", "max_completion_tokens", True),
    ],
)
def test_a_version_is_not_sent_fields_that_it_does_not_know(version, field, asks):
    _, _, body = sent(AzureOpenAIProvider(endpoint=HOME, api_key="k", api_version=version))
    assert body[field] == 5
    assert ("stream_options" in body) is asks


def test_a_missing_endpoint_is_named():
    with pytest.raises(ValueError, match="AZURE_OPENAI_ENDPOINT is not set"):
        AzureOpenAIProvider(api_key="k")


def test_a_missing_key_is_named_before_anything_is_sent():
    with pytest.raises(ProviderError, match="AZURE_OPENAI_API_KEY is not set") as caught:
        AzureOpenAIProvider(endpoint=HOME).convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


def test_a_token_of_entra_id_stands_in_for_the_key():
    _, headers, _ = sent(AzureOpenAIProvider(endpoint=HOME, headers={"Authorization": "Bearer entra"}))
    assert headers["authorization"] == "Bearer entra"
    assert "api-key" not in headers


def test_recorded_calls_are_addressed_the_same(exchanges):
    compared = 0
    for exchange in exchanges:
        home, found, rest = exchange.endpoint.partition("/openai/deployments/")
        if not exchange.where.startswith("azure:") or not found:
            continue
        deployment, _, version = rest.partition("/chat/completions?api-version=")
        provider = AzureOpenAIProvider(endpoint=home, api_key="k", api_version=version)
        assert sent(provider, CALL.replace(model=deployment))[0] == exchange.endpoint
        compared += 1
    assert compared > 15
