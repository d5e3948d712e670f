"""Vertex AI: its hosts, its paths, its two ways of authentication, and what its errors mean."""

import json

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock_gemini import VertexProvider

CALL = LLMCallRequest(model="gemini-2.5-flash", messages=(Message("user", "hi"),))
WHOLE = {"candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}


@pytest.fixture(autouse=True)
def no_cloud_outside(monkeypatch):
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_BASE_URL", "VERTEX_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def vertex(**settings):
    return VertexProvider(**{"project": "my-project", "access_token": "token"} | settings)


def url_of(provider, model="gemini-2.5-flash", *, stream=False):
    return provider.http_request(provider.convert_request(CALL.replace(model=model)), stream=stream).url


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location, host):
    place = f"projects/my-project/locations/{location or 'global'}/publishers/google/models/gemini-2.5-flash"
    assert url_of(vertex(location=location)) == f"https://{host}/v1beta1/{place}:generateContent"
    assert url_of(vertex(location=location), stream=True).endswith(":streamGenerateContent?alt=sse")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "projects/my-project/locations/global/publishers/google/models/gemini-2.5-pro"),
        ("acme/large", "projects/my-project/locations/global/publishers/acme/models/large"),
        ("publishers/google/models/m", "projects/my-project/locations/global/publishers/google/models/m"),
        ("endpoints/123", "projects/my-project/locations/global/endpoints/123"),
        ("projects/other/locations/us/endpoints/1", "projects/other/locations/us/endpoints/1"),
    ],
)
def test_a_model_has_its_path(model, path):
    assert url_of(vertex(), model) == f"https://aiplatform.googleapis.com/v1beta1/{path}:generateContent"


def test_express_mode_has_an_api_key_and_no_project(monkeypatch):
    provider = VertexProvider(api_key="key", location="europe-west4")
    assert url_of(provider) == (
        "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"
    )
    assert provider.auth_headers("key") == {"x-goog-api-key": "key"}
    monkeypatch.setenv("GOOGLE_API_KEY", "from outside")
    assert "/projects/" not in url_of(VertexProvider())
    assert "/projects/p/" in url_of(VertexProvider(project="p", access_token="t"))


def test_settings_come_from_the_environment(monkeypatch):
    for name, value in {
        "GOOGLE_CLOUD_PROJECT": "example.com:p",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "VERTEX_ACCESS_TOKEN": "from-outside",
        "GOOGLE_API_KEY": "never used",
    }.items():
        monkeypatch.setenv(name, value)
    provider = VertexProvider()
    assert "us-central1-aiplatform.googleapis.com/v1beta1/projects/example.com:p/locations/us-central1/" in (
        url_of(provider)
    )
    assert provider._open().options.headers["authorization"] == "Bearer from-outside"
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", "http://127.0.0.1:1/v1/")
    assert url_of(VertexProvider()).startswith("http://127.0.0.1:1/v1/projects/")


def test_without_a_credential_a_request_fails_and_names_the_variable():
    with pytest.raises(ProviderError, match="VERTEX_ACCESS_TOKEN is not set") as caught:
        vertex(access_token=None).convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION
    vertex(access_token=None, headers={"Authorization": "Bearer mine"}).convert_request(CALL)
    vertex(access_token=None, base_url="http://127.0.0.1:1/v1").convert_request(CALL)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "GOOGLE_CLOUD_PROJECT is not set"),
        ({"project": "p", "api_key": "k"}, "a project, or an api_key"),
        ({"project": "p", "location": "evil.example/"}, "location must be a name"),
    ],
)
def test_settings_that_go_nowhere_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        VertexProvider(**settings)


def test_a_project_cannot_lead_to_another_place():
    assert "/projects/a%2F..%2Fb/" in url_of(vertex(project="a/../b"))


@pytest.mark.anyio
async def test_a_token_that_changes_is_asked_for(answering):
    provider = vertex(access_token=lambda: "fresh")
    provider._transport = transport = answering(json.dumps(WHOLE))._transport
    reply = await provider.invoke(provider.convert_request(CALL))
    assert reply.content == "hello"
    assert transport.requests[0].headers == {"authorization": "Bearer fresh"}


def test_a_failed_precondition_is_about_the_project_and_not_the_country():
    data = {"error": {"code": 400, "message": "prose", "status": "FAILED_PRECONDITION"}}
    assert vertex().parse_error(400, data).error_type is ErrorType.INVALID_REQUEST


def test_it_tells_where_it_calls_and_never_its_token():
    provider = vertex(location="europe-west4", access_token="a-token")
    assert "europe-west4-aiplatform.googleapis.com/v1beta1" in provider.describe()
    assert "a-token" not in provider.describe() + repr(provider)
