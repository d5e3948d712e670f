"""The providers of the table of services: one class for each row, all of them OpenAI's with other facts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace, new_class
from typing import ClassVar, Literal

from attrs import evolve

from penstock_http import Timeouts
from penstock_http.transport import DEFAULT_MAX_BODY
from penstock_openai.provider import OpenAIProvider
from penstock_openai.services import SERVICES, CompatibleService

__all__ = ["PROVIDERS", "CompatibleProvider"]

_FREE: Mapping[str, Mapping[str, Decimal]] = MappingProxyType(
    {"*": MappingProxyType({"input": Decimal(0), "output": Decimal(0)})}
)


class CompatibleProvider(OpenAIProvider):
    """Calls one service of the table. Its subclasses are in `PROVIDERS`, by the name of the service."""

    service: ClassVar[CompatibleService]
    base_url_variable: ClassVar[str] = ""
    account_variables: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls, *, service: CompatibleService) -> None:
        super().__init_subclass__()
        cls.service = service
        cls.name = service.name
        cls.default_base_url = service.base_url
        cls.key_variable = service.key_variable
        cls.request_id_header = service.request_id_header
        cls.settles = service.settles
        cls.embeds = service.embeds
        if service.local:
            cls.costs = _FREE

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        engine: str | None = None,
        api: Literal["chat", "responses"] | None = None,
        max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None,
        stream_usage: bool | None = None,
        reserve_max_tokens: bool | None = None,
    ) -> None:
        """Take the settings, which are those of `OpenAIProvider`; None takes what the table says of the service.

        Raises ValueError for a base URL that is none, and for an engine that is unknown or not installed.
        """
        service = self.service
        super().__init__(
            api_key=api_key,
            base_url=base_url,
            headers=headers,
            timeouts=timeouts,
            max_body=max_body,
            engine=engine,
            api=api or service.api,
            max_tokens_field=max_tokens_field or service.max_tokens_field,
            stream_usage=service.stream_usage if stream_usage is None else stream_usage,
            reserve_max_tokens=service.reserves if reserve_max_tokens is None else reserve_max_tokens,
        )
        self._dialect = evolve(self._dialect, seed_field=service.seed_field, dimensions_field=service.dimensions_field)


def _class_of(service: CompatibleService) -> type[CompatibleProvider]:
    made: type[CompatibleProvider] = new_class(
        f"{service.title.replace(' ', '').replace('.', '')}Provider", (CompatibleProvider,), {"service": service}
    )
    made.__doc__ = f"Calls {service.title}."
    made.__module__ = __name__
    return made


PROVIDERS = SimpleNamespace(**{name: _class_of(service) for name, service in SERVICES.items()})
"""The classes by the names of their services, such as `PROVIDERS.groq`."""
