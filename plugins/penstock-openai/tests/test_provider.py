"""The provider's settings, and what it says of itself."""

import subprocess
import sys

import pytest

from penstock import ErrorType, LLMCallRequest, Message, Service, Usage
from penstock.errors import ProviderError
from penstock.schema import Demand
from penstock_openai import OpenAIProvider
from penstock_openai.plugin import penstock_providers
from penstock_openai.services import SERVICES

CALL = LLMCallRequest(model="gpt-4o-mini", messages=(Message("user", "hi"),), max_tokens=5, stream=True)


def test_without_a_key_a_request_fails_and_names_the_variable():
    with pytest.raises(ProviderError, match="OPENAI_API_KEY is not set") as caught:
        OpenAIProvider().convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


def test_a_service_without_a_key_gives_a_failed_result_and_sends_nothing():
    with Service(default_model="openai/gpt-4o-mini") as service:
        result = service.generate_output("hi")
    assert (result.success, result.error_type, result.attempts) == (False, ErrorType.AUTHENTICATION, ())


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    provider = OpenAIProvider()
    provider.convert_request(CALL)
    assert provider.url == "http://127.0.0.1:9/v1/chat/completions"
    assert provider._open().options.headers == {
        "content-type": "application/json",
        "user-agent": "penstock",
        "authorization": "Bearer sk-env",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
    }


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://api.openai.com.example.invalid/v1", "max_tokens"),
        ("https://notapi.openai.com/v1", "max_tokens"),
        ("http://127.0.0.1:8000/v1", "max_tokens"),
    ],
)
def test_the_name_of_max_tokens_goes_with_the_host(base_url, name):
    assert OpenAIProvider(api_key="k", base_url=base_url).convert_request(CALL)[name] == 5


def test_settings_override_the_dialect():
    provider = OpenAIProvider(api_key="k", max_tokens_field="max_tokens", stream_usage=False)
    payload = provider.convert_request(CALL)
    assert payload["max_tokens"] == 5
    assert "stream_options" not in payload


def test_what_is_reserved_stands_unless_the_call_used_nothing():
    provider = OpenAIProvider(api_key="k")
    assert provider.estimate(CALL) == Demand(input_tokens=4, output_tokens=5)
    assert provider.charge(Usage(input_tokens=4, output_tokens=1)) is None
    assert provider.charge(Usage()) == Demand()
    assert OpenAIProvider(api_key="k", reserve_max_tokens=False).estimate(CALL).output_tokens == 0


def test_it_tells_where_it_calls_and_never_its_key():
    provider = OpenAIProvider(api_key="sk-secret", engine="httpx")
    assert provider.describe().startswith("https://api.openai.com/v1 via httpx ")
    assert "sk-secret" not in repr(provider) + repr(vars(provider)) + provider.describe()


def test_the_plugin_offers_openai_azure_and_the_services_and_imports_nothing_heavy():
    assert [offer.name for offer in penstock_providers()] == ["openai", "azure", *SERVICES]
    heavy = {"httpx", "aiohttp", "orjson", "penstock_http"}
    look = f"import sys, penstock_openai.plugin; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_attribute_that_is_not_there_is_an_attribute_error():
    import penstock_openai  # the module itself is looked at

    with pytest.raises(AttributeError):
        penstock_openai.nothing  # noqa: B018  # looking is the test


def test_the_exact_tokenizer_counts_as_openais_models_do():
    request = LLMCallRequest(model="m", messages=(Message("user", "hello world, how are you?"),), max_tokens=1)
    fast, exact = OpenAIProvider(api_key="k"), OpenAIProvider(api_key="k", tokenizer="exact")
    assert fast.estimate(request).input_tokens == 1 + 3 + 25 // 4
    assert exact.estimate(request).input_tokens == 1 + 3 + 7


def test_an_exact_tokenizer_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    with pytest.raises(ValueError, match="penstock-openai\\[exact\\]"):
        OpenAIProvider(api_key="k", tokenizer="exact")
