"""What a step costs an answer of some 300 characters, as a multiple of what `json.loads` takes for its JSON.

Run it by itself: `python tests/benchmarks/bench_steps.py`. Each step is called as the pipeline calls it, on an answer
that it takes.
"""

import json
import subprocess
import sys
import time

import pytest
from attrs import frozen

from penstock.testing import step_context
from penstock_steps import (
    Boolean,
    Choice,
    ExtractValue,
    JsonLoad,
    JsonSchema,
    Number,
    Regex,
    StringMatch,
    StripFences,
    Structure,
    ToDict,
)

CALLS = 2_000
ROUNDS = 5


@frozen
class Item:
    name: str
    price: float
    tags: list[str]


@frozen
class Order:
    number: int
    items: list[Item]


DATA = {
    "number": 7,
    "items": [
        {"name": "fountain pen, black", "price": 24.5, "tags": ["office", "gift"]},
        {"name": "notebook, ruled, A5", "price": 6.25, "tags": ["office"]},
        {"name": "blotting paper", "price": 1.75, "tags": []},
        {"name": "ink, 50 ml, blue", "price": 11.0, "tags": ["office", "refill"]},
    ],
}
JSON = json.dumps(DATA)
FENCED = f"Sure, here it is:\n\n```json\n{JSON}\n```\n"
SCHEMA = {
    "type": "object",
    "required": ["number", "items"],
    "properties": {
        "items": {"type": "array", "items": {"required": ["name"], "properties": {"price": {"type": "number"}}}}
    },
}
PROSE = "The reviewer praises the pen and the paper at length, and finds little fault with either of them. " * 3

# What a step may cost, in the time of a `json.loads` of JSON: generous, for machines differ; it is to catch a blunder.
STEPS = {
    "to_dict, JSON": (ToDict(), JSON, 10),
    "to_dict, fenced": (ToDict(), FENCED, 60),
    "to_dict, Python": (ToDict(), repr(DATA), 200),
    "to_dict, cut off": (ToDict(), JSON[:-40], 200),
    "to_dict, repaired": (ToDict(), JSON.replace("black", '"black"'), 1000),
    "json_load": (JsonLoad(), JSON, 10),
    "extract_value, data": (ExtractValue("items[*].price"), DATA, 10),
    "extract_value, JSON": (ExtractValue("items[*].price"), JSON, 15),
    "json_schema, data": (JsonSchema(SCHEMA), DATA, 200),
    "structure, data": (Structure(Order), DATA, 30),
    "strip_fences": (StripFences(), FENCED, 20),
    "regex": (Regex(r"praises the (\w+)", group=1), PROSE, 10),
    "string_match": (StringMatch(all_of=["pen", "fault"]), PROSE, 10),
    "choice": (Choice(["positive", "negative"]), f"{PROSE} It is positive.", 60),
    "number": (Number(), f"{PROSE} So: 1,250.", 60),
    "boolean": (Boolean(), f"Yes. {PROSE}", 30),
}


def us_of(call):
    """Return the least CPU time of a call in some rounds, in microseconds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return min(rounds)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", STEPS)
def test_a_step_costs_an_answer_no_more_than_it_may(name):
    step, content, most = STEPS[name]
    context = step_context(content)
    reference = us_of(lambda: json.loads(JSON))
    took = us_of(lambda: step.process(content, context))
    print(f"\n{name}: {took:.1f} µs, {took / reference:.1f} times json.loads ({reference:.1f} µs; at most {most})")
    assert took / reference <= most


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-m", "benchmark", "-s", "-q"]))
