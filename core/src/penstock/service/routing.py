"""From a model's name to the provider that serves it. Never guesses: an unknown name is an error with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.config import provider_part
from penstock.contracts import BaseLLMProvider
from penstock.costs import CostTable
from penstock.errors import ConfigError, ErrorType, PluginError, ProviderError
from penstock.flight import Route
from penstock.registry import Registry
from penstock.spelling import did_you_mean

__all__ = ["Routes", "named"]

MOST_ROUTES = 1024
"""How many model names are remembered; more are looked up each time."""


def named(providers: Iterable[BaseLLMProvider] | Mapping[str, BaseLLMProvider]) -> Mapping[str, BaseLLMProvider]:
    """Return providers by the names that a mapping gives them, or else by their own.

    Raises ConfigError when two have the same.
    """
    if isinstance(providers, Mapping):
        return providers
    by_name: dict[str, BaseLLMProvider] = {}
    for provider in providers:
        if by_name.setdefault(provider.name, provider) is not provider:
            raise ConfigError([f"providers: two are named {provider.name!r}; a mapping gives each a name of its own"])
    return by_name


class Routes:
    """Finds, and builds on first use, the provider of a "provider/model" name.

    Args:
        providers: made by the caller; their names win over registered ones. A mapping names them itself.
        registry: gives the registered providers; called only when one is needed.
        options: settings by provider name; `use` among them says which registered provider it is.
        default_model: for requests that name none.
        default_provider: for model names without a slash.
        costs: learns the prices that each provider declares.
    """

    def __init__(
        self,
        providers: Iterable[BaseLLMProvider] | Mapping[str, BaseLLMProvider],
        *,
        registry: Registry,
        options: Mapping[str, Mapping[str, Any]],
        default_model: str | None,
        default_provider: str | None,
        costs: CostTable,
    ) -> None:
        self._providers = dict(named(providers))
        for provider in self._providers.values():
            costs.declare(provider.name, provider.costs)
        self._registry = registry
        self._options = options
        self._default_model = default_model
        self._default_provider = default_provider
        self._costs = costs
        self._routes: dict[str | None, Route] = {}

    @property
    def built(self) -> tuple[BaseLLMProvider, ...]:
        """The providers that exist so far."""
        return tuple(dict.fromkeys(self._providers.values()))

    def resolve(self, name: str | None) -> Route:
        """Return the route of `name`, which is split at its first slash.

        Raises ProviderError: INVALID_REQUEST for a name that cannot be split, NOT_FOUND for an unknown provider,
        and whatever the provider's construction raises.
        """
        route = self._routes.get(name)
        if route is None:
            provider_name, model = self._split(name)
            route = Route(self._provider(provider_name, name), provider_name, model)
            if len(self._routes) < MOST_ROUTES:
                self._routes[name] = route
        return route

    def _split(self, name: str | None) -> tuple[str, str]:
        full = name or self._default_model
        if not full:
            raise ProviderError(
                "the request names no model and the service has no default_model", ErrorType.INVALID_REQUEST
            )
        provider, slash, model = full.partition("/")
        if not slash and self._default_provider:
            provider, model = self._default_provider, full
        if not provider or not model:
            raise ProviderError(
                f"model {full!r} does not say whose it is; write it as provider/model, "
                f"such as {self._example(full)!r}, or set default_provider",
                ErrorType.INVALID_REQUEST,
            )
        return provider, model

    def _example(self, model: str) -> str:
        return f"{next(iter(self._known()), 'openai')}/{model.strip('/')}"

    def _known(self) -> list[str]:
        return sorted({*self._providers, *self._options, *self._registry.names("provider")})

    def _provider(self, name: str, model: str | None) -> BaseLLMProvider:
        provider = self._providers.get(name)
        if provider is not None:
            return provider
        known = self._known()
        if name not in known:
            raise ProviderError(
                f"no provider named {name!r} for model {model!r}{did_you_mean(name, known)} "
                "(providers come with plugins such as penstock-openai; `penstock plugins` lists what is installed)",
                ErrorType.NOT_FOUND,
            )
        try:
            use, options = provider_part(name, self._options)
            built = self._registry.build("provider", use, options, path=f"providers.{name}")
        except ConfigError as error:
            raise ProviderError("; ".join(error.problems), ErrorType.INVALID_REQUEST) from error
        except PluginError as error:
            raise ProviderError(str(error), ErrorType.INVALID_REQUEST) from error
        if not isinstance(built, BaseLLMProvider):
            raise ProviderError(f"the plugin of provider {name!r} did not make a provider", ErrorType.INVALID_REQUEST)
        try:
            self._costs.declare(built.name, built.costs)
        except ValueError as error:
            raise ProviderError(f"provider {name!r} declares {error}", ErrorType.INVALID_REQUEST) from error
        self._providers[name] = built
        return built
