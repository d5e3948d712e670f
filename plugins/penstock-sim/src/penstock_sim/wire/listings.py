"""Which models there are: `GET /v1/models` as OpenAI tells it, `GET /v1beta/models` as Google does, and each alone."""

import re
from collections.abc import Callable, Iterable
from typing import Final

import orjson
from attrs import frozen

from penstock_sim.wire import DEFAULT_WIRE
from penstock_sim.wire.base import Wire
from penstock_sim.wire.gemini import GenerateContent


@frozen
class Listing:
    """The models in one API's words.

    `path` is that of all, or of one with its name. `wire` finds keys and words failures; `all` and `one` write the
    bodies.
    """

    path: re.Pattern[str]
    wire: Wire
    all: Callable[[Iterable[str]], bytes]
    one: Callable[[str], bytes]


def _openai(model: str) -> dict[str, object]:
    return {"id": model, "object": "model", "created": 1_735_689_600, "owned_by": "penstock-sim"}


def _gemini(model: str) -> dict[str, object]:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model,
        "description": "Simulated by penstock-sim",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    }


LISTINGS: Final = (
    Listing(
        re.compile(r"/v1/models(?:/(.*))?"),
        DEFAULT_WIRE,
        lambda models: orjson.dumps({"object": "list", "data": list(map(_openai, models))}),
        lambda model: orjson.dumps(_openai(model)),
    ),
    Listing(
        re.compile(r"/v1beta/models(?:/([^/:]*))?"),
        GenerateContent(),
        lambda models: orjson.dumps({"models": list(map(_gemini, models))}),
        lambda model: orjson.dumps(_gemini(model)),
    ),
)


def listing_of(path: str) -> tuple[Listing | None, str]:
    """Find whose list a path is, and the name in it, empty for the whole list."""
    for listing in LISTINGS:
        if match := listing.path.fullmatch(path):
            return listing, match[1] or ""
    return None, ""
