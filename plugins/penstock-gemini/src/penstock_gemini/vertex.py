"""The provider `vertex`: Gemini's models on Vertex AI, which addresses and authenticates them in its own ways."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from penstock.errors import ErrorType, ProviderError
from penstock.schema import LLMCallRequest
from penstock_gemini.embedding import vertex_embedding_payload_of
from penstock_gemini.errors import error_of
from penstock_gemini.wire import GenerateContentProvider
from penstock_http import Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY

__all__ = ["VertexProvider"]

API_VERSION = "v1beta1"
"""The version that Google's own client calls, and the one in which several texts are embedded at once."""

_LOCATION = re.compile(r"[a-z0-9-]{1,40}")
"""A location stands in the host's name."""


class VertexProvider(GenerateContentProvider):
    """Calls Gemini's models on Vertex AI: in a project, with an access token, or in express mode, with an API key."""

    name = "vertex"
    default_base_url: ClassVar[str] = ""
    key_variable: ClassVar[str] = "VERTEX_ACCESS_TOKEN"

    def __init__(
        self,
        *,
        project: str | None = None,
        location: str | None = None,
        access_token: str | Callable[[], str] | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
    ) -> None:
        """Take the settings; nothing is opened before the first call.

        Raises ValueError unless there is either a project or an API key, for a location or a base URL that is none,
        and for an engine that is unknown or not installed.

        Args:
            project: the project's id; None takes GOOGLE_CLOUD_PROJECT.
            location: such as "europe-west4", "eu" or "global"; None takes GOOGLE_CLOUD_LOCATION, else "global".
            access_token: a token of Google Cloud, which lasts an hour, or a function that returns one that is valid;
                None takes VERTEX_ACCESS_TOKEN. Needed at Google, unless `headers` have an authorization.
            api_key: for express mode, which has no project; None takes GOOGLE_API_KEY where there is no project.
            base_url: up to and including "/v1beta1"; None takes GOOGLE_VERTEX_BASE_URL, else the location's own.
            headers: sent with every request; they win over the provider's own.
            timeouts: seconds for each phase of a call.
            max_body: the largest body accepted, in bytes after decompression.
            engine: the HTTP engine's name; None takes the fastest one that is installed and runs here.
        """
        if project and api_key:
            raise ValueError("give a project, or an api_key for express mode, which has none")
        project = project or (None if api_key else os.environ.get("GOOGLE_CLOUD_PROJECT"))
        api_key = api_key or (None if project else os.environ.get("GOOGLE_API_KEY"))
        if not project and not api_key:
            raise ValueError("GOOGLE_CLOUD_PROJECT is not set; set it, or give the provider a project or an api_key")
        location = location or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
        if not _LOCATION.fullmatch(location):
            raise ValueError("location must be a name such as 'europe-west4', 'eu' or 'global'")
        self._express = not project
        self._parent = f"projects/{quote(project, safe=':')}/locations/{location}/" if project else ""
        given = base_url or os.environ.get("GOOGLE_VERTEX_BASE_URL")
        self._needs_key = not given and not any(name.lower() == "authorization" for name in headers or ())
        super().__init__(
            api_key=api_key or access_token,
            base_url=given or f"https://{_host(location if project else 'global')}/{API_VERSION}",
            headers=headers,
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
        )

    def place(self, model: str) -> str:
        """Return the path of "gemini-2.5-flash", of "PUBLISHER/MODEL", or of a whole name such as "endpoints/123"."""
        kind, slash, rest = model.partition("/")
        if kind == "projects":
            return model
        if not slash:
            model = f"publishers/google/models/{model}"
        elif kind not in ("publishers", "endpoints"):
            model = f"publishers/{kind}/models/{rest}"
        return self._parent + model

    def embedding_payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the body for texts to embed, and the model beside it, as Vertex AI takes them."""
        return vertex_embedding_payload_of(request)

    def auth_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key of express mode, or the access token."""
        return {"x-goog-api-key": key} if self._express else {"authorization": f"Bearer {key}"}

    def needs_key(self) -> bool:
        """Return whether this is Google's own address, and no other credential is among the headers."""
        return self._needs_key

    def parse_error(self, status: int, data: Any) -> ProviderError:
        """Return what an error body says, by table; a failed precondition is about the project, not the country."""
        return error_of(status, data, precondition=ErrorType.INVALID_REQUEST)


def _host(location: str) -> str:
    """Return the host of a location: one for the world, one for each multi-region, one for each region."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
