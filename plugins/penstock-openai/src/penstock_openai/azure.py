"""The provider `azure`: OpenAI's models as deployments of an Azure resource, which are addressed in two ways."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from attrs import evolve

from penstock_http import HttpRequest, Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY
from penstock_openai.provider import OpenAIProvider

__all__ = ["AzureOpenAIProvider"]

NEW_FIELDS_SINCE = "2024-09-01"
"""The first API version that takes `max_completion_tokens` and `stream_options`; an older one refuses a field that it
does not know."""

_OTHER_CREDENTIALS = ("api-key", "authorization")


class AzureOpenAIProvider(OpenAIProvider):
    """Calls a deployment of an Azure OpenAI or Foundry resource; the model of a request is the deployment's name.

    Without an API version, the v1 API is called, at `/openai/v1`, where the deployment stands in the body. With one,
    the API of that version, where it stands in the path: `/openai/deployments/NAME/chat/completions`.
    """

    name = "azure"
    default_base_url: ClassVar[str] = ""
    key_variable: ClassVar[str] = "AZURE_OPENAI_API_KEY"
    base_url_variable: ClassVar[str] = ""
    request_id_header: ClassVar[str] = "apim-request-id"
    account_variables: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
        api: Literal["chat", "responses"] = "chat",
        max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None,
        stream_usage: bool | None = None,
        reserve_max_tokens: bool = True,
    ) -> None:
        """Take the settings; nothing is opened before the first call. Those not named here are `OpenAIProvider`'s.

        Raises ValueError for an endpoint that is missing or none, and for an engine that is unknown or not installed.

        Args:
            endpoint: of the resource, such as "https://NAME.openai.azure.com"; None takes AZURE_OPENAI_ENDPOINT.
            api_key: the key; None takes AZURE_OPENAI_API_KEY. A token of Entra ID goes in `headers`, as
                `authorization`, and then no key is needed.
            api_version: such as "2024-10-21"; None takes OPENAI_API_VERSION, else the v1 API, which has no version.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
            api: "responses" calls the Responses API, which has no deployment in its path.
            max_tokens_field: None takes "max_tokens" for API versions before 2024-09-01, else the newer name.
            stream_usage: None asks for usage at the end of a stream, but for API versions before 2024-09-01.
            reserve_max_tokens: whether gates on tokens count `max_tokens` before the call, as Azure documents it.
        """
        root = (endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT") or "").strip().rstrip("/")
        if not root:
            raise ValueError("AZURE_OPENAI_ENDPOINT is not set; set it, or give the provider an endpoint")
        root = root.removesuffix("/v1").removesuffix("/openai")
        self._api_version = api_version or os.environ.get("OPENAI_API_VERSION")
        self._has_credentials = any(name.lower() in _OTHER_CREDENTIALS for name in headers or ())
        old = self._api_version is not None and self._api_version < NEW_FIELDS_SINCE
        super().__init__(
            api_key=api_key,
            base_url=f"{root}/openai" if self._api_version else f"{root}/openai/v1",
            headers=headers,
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
            api=api,
            max_tokens_field=max_tokens_field or ("max_tokens" if old else "max_completion_tokens"),
            stream_usage=not old if stream_usage is None else stream_usage,
            reserve_max_tokens=reserve_max_tokens,
        )

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the key as Azure takes it."""
        return {"api-key": key}

    def needs_key(self) -> bool:
        """Return whether there is no other credential among the headers."""
        return not self._has_credentials

    def http_request(self, payload: dict[str, Any], *, stream: bool) -> HttpRequest:
        """Return the request; with an API version, the URL names it, and but for Responses the deployment too."""
        request = super().http_request(payload, stream=stream)
        if not self._api_version:
            return request
        deployment, version = quote(str(payload["model"]), safe=""), quote(self._api_version, safe="")
        path = self.path_of(payload)
        place = path if path == "/responses" else f"/deployments/{deployment}{path}"
        return evolve(request, url=f"{self.base_url}{place}?api-version={version}")
