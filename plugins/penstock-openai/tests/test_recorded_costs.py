"""What every recorded answer cost, against genai-prices' own reading of the same bodies.

The recordings are not part of the project; without them these tests are skipped.
"""

import json

import pytest

from penstock.costs import price
from penstock_openai.embeddings import reply_of_embeddings
from penstock_openai.reply import reply_of
from penstock_openai.responses_reply import reply_of_response

pytest.importorskip("genai_prices")

READERS = {"chat": reply_of, "responses": reply_of_response, "embeddings": reply_of_embeddings}
HOSTS = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.together.xyz": "together",
    "api.perplexity.ai": "perplexity",
}


def listed(provider):
    from genai_prices.data_snapshot import get_snapshot  # late: where it is not installed, this module is skipped

    return next(each for each in get_snapshot().providers if each.id == {"xai": "x-ai"}.get(provider, provider))


def their_cost(data, model, provider, api):
    """What genai-prices makes of a body; None where it has no price for the model, or cannot read the usage."""
    seller = listed(provider)
    found = seller.find_model(model)
    speaks = seller if any(each.api_flavor == api for each in seller.extractors or ()) else listed("openai")
    try:
        _, usage = speaks.extract_usage(data, api_flavor=api)
        return None if found is None else found.calc_price(usage, seller).total_price
    except ValueError:
        return None


def answers(exchanges, api):
    for exchange in exchanges:
        provider = HOSTS.get(exchange.endpoint.split("/")[2])
        if provider is None or exchange.status != 200 or exchange.streaming or not exchange.body:
            continue
        data = json.loads(exchange.body)
        if "model" in data and data.get("usage"):  # a compaction of a conversation names no model
            yield exchange.where, provider, data, READERS[api](data)


def differs_knowingly(usage):
    """Whether genai-prices leaves something out: what Mistral read from a cache, by the name it had, or heard."""
    left_out = usage["total_tokens"] - usage.get("prompt_tokens", 0) - usage.get("completion_tokens", 0)
    return usage.get("num_cached_tokens", 0) > 0 or ("prompt_tokens" in usage and left_out > 0)


@pytest.mark.parametrize(("api", "least"), [("chat", 530), ("responses", 390), ("embeddings", 25)])
def test_every_recorded_answer_costs_what_genai_prices_makes_of_it(
    api, least, exchanges, response_exchanges, embedding_exchanges
):
    recorded = {"chat": exchanges, "responses": response_exchanges, "embeddings": embedding_exchanges}[api]
    equal = 0
    for where, provider, data, reply in answers(recorded, api):
        theirs = their_cost(data, reply.response_model, provider, api)
        if theirs is None or differs_knowingly(data["usage"]) or reply.usage.web_search_requests:
            continue
        assert price(provider, reply.response_model, reply.usage) == theirs, where
        equal += 1
    assert equal >= least
