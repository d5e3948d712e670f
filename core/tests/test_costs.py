"""Prices: the user's own, those of genai-prices, and exact arithmetic in both."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import costs
from penstock.costs import MODEL_COSTS, CostTable, load_prices, price
from penstock.schema import FrozenMapping, Usage

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
needs_genai_prices = pytest.mark.skipif(not load_prices(), reason="genai-prices is not installed")


@pytest.fixture(autouse=True)
def _own_prices():
    """Each test begins and ends with no overrides and nothing remembered."""
    costs._remembered.clear()
    yield
    for key in list(MODEL_COSTS):
        del MODEL_COSTS[key]


amounts = st.decimals(min_value=0, max_value=1000, places=9)


@given(
    fresh=st.integers(0, 10**9),
    read=st.integers(0, 10**9),
    created=st.integers(0, 10**9),
    written=st.integers(0, 10**9),
    entry=st.fixed_dictionaries(
        {"input": amounts, "output": amounts}, optional={"cache_read": amounts, "cache_creation": amounts}
    ),
)
def test_b47_the_cost_is_the_formula_exactly(fresh, read, created, written, entry):
    usage = Usage(
        input_tokens=fresh + read + created,
        output_tokens=written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=created,
    )
    cost = price("sim", "m", usage, CostTable({"m": entry}))
    by_part = (
        fresh * Fraction(entry["input"])
        + read * Fraction(entry.get("cache_read", entry["input"]))
        + created * Fraction(entry.get("cache_creation", entry["input"]))
        + written * Fraction(entry["output"])
    )
    assert cost is not None
    assert Fraction(cost) == by_part / 1_000_000


PARTS = {
    "input_audio": "input_audio_tokens",
    "input_image": "input_image_tokens",
    "input_video": "input_video_tokens",
    "cache_read_audio": "cache_read_input_audio_tokens",
    "cache_creation_1h": "cache_creation_1h_input_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
    "reasoning": "reasoning_output_tokens",
}
"""The prices of tokens that are charged apart, and where a usage has their number."""


@given(
    counts=st.fixed_dictionaries({key: st.integers(0, 10**9) for key in ("fresh", "read", "created", "said", *PARTS)}),
    entry=st.fixed_dictionaries(
        {"input": amounts, "output": amounts},
        optional=dict.fromkeys(("cache_read", "cache_creation", *PARTS), amounts),
    ),
)
def test_b47_tokens_with_a_price_of_their_own_pay_it_and_all_others_pay_what_their_kind_does(counts, entry):
    kinds = {
        "input": ["fresh", "input_audio", "input_image", "input_video"],
        "cache_read": ["read", "cache_read_audio"],
        "cache_creation": ["created", "cache_creation_1h"],
        "output": ["said", "output_audio", "output_image", "reasoning"],
    }
    sums = {kind: sum(counts[key] for key in keys) for kind, keys in kinds.items()}
    parts = {field: counts[key] for key, field in PARTS.items()}
    parts["input_audio_tokens"] += parts["cache_read_input_audio_tokens"]
    usage = Usage(
        input_tokens=sums["input"] + sums["cache_read"] + sums["cache_creation"],
        output_tokens=sums["output"],
        cache_read_input_tokens=sums["cache_read"],
        cache_creation_input_tokens=sums["cache_creation"],
        **parts,
    )
    prices = {"cache_read": entry["input"], "cache_creation": entry["input"]} | entry
    if "input_audio" in prices:
        prices.setdefault("cache_read_audio", prices["input_audio"])
    by_part = [counts[key] * Fraction(prices.get(key, prices[kind])) for kind, keys in kinds.items() for key in keys]
    cost = price("sim", "m", usage, CostTable({"m": entry}))
    assert cost is not None
    assert Fraction(cost) == sum(by_part) / 1_000_000


def test_b47_no_rounding_whatever_the_callers_decimal_context():
    table = CostTable({"m": {"input": "1.23456789", "output": "9.87654321"}})
    usage = Usage(input_tokens=123_456_789, output_tokens=987_654_321)
    exact = price("sim", "m", usage, table)
    with localcontext() as context:
        context.prec = 2
        assert price("sim", "m", usage, table) == exact
    by_part = 123_456_789 * Fraction("1.23456789") + 987_654_321 * Fraction("9.87654321")
    assert exact is not None
    assert Fraction(exact) == by_part / 1_000_000


def test_b47_failure_12_ten_thousand_calls_of_two_millionths_cost_two_cents():
    MODEL_COSTS["sim/tiny"] = {"input": 2, "output": 0}
    spent = [price("sim", "tiny", Usage(input_tokens=1)) for _ in range(10_000)]
    assert sum(each for each in spent if each is not None) == Decimal("0.02")


def test_b47_the_seeds_table_and_formula_hold():
    MODEL_COSTS["sim/m"] = {"input": 0.15, "output": 0.60}
    assert price("sim", "m", Usage(input_tokens=1000, output_tokens=100)) == Decimal("0.00021")
    assert (1000 * MODEL_COSTS["sim/m"]["input"] + 100 * MODEL_COSTS["sim/m"]["output"]) / 1_000_000 == Decimal(
        "0.00021"
    )


def test_b47_an_unknown_model_costs_none_and_never_zero():
    assert price("sim", "no-such-model", MILLION) is None
    assert price("openai", "no-such-model", MILLION) is None
    assert price("sim", "no-such-model", Usage()) is None
    with pytest.raises(KeyError):
        MODEL_COSTS["sim/no-such-model"]
    with pytest.raises(KeyError):
        MODEL_COSTS["no-such-model"]
    assert "sim/no-such-model" not in MODEL_COSTS


def test_b47_the_name_with_its_provider_goes_before_the_bare_name():
    table = CostTable({"m": {"input": 1, "output": 1}, "sim/m": {"input": 5, "output": 5}})
    assert price("sim", "m", MILLION, table) == 10
    assert price("other", "m", MILLION, table) == 2


def test_b47_a_services_own_table_goes_before_the_one_of_all():
    MODEL_COSTS["sim/m"] = {"input": 1, "output": 1}
    table = CostTable({"sim/n": {"input": 2, "output": 2}}, under=MODEL_COSTS)
    assert price("sim", "m", MILLION, table) == 2
    assert price("sim", "n", MILLION, table) == 4
    MODEL_COSTS["bare"] = {"input": 3, "output": 3}
    assert table["bare"]["input"] == 3
    assert list(table) == ["sim/n"]


def test_a_providers_own_prices_come_after_every_other_source():
    table = CostTable(under=CostTable({"mill/large": {"input": 5, "output": 0}}))
    table.declare("mill", {"*": {"input": 1, "output": 0}, "small": {"input": "0.5", "output": 0}})
    table.declare("openai", {"*": {"input": 9, "output": 9}})
    usage = Usage(input_tokens=1_000_000)
    assert [price("mill", model, usage, table) for model in ("small", "other", "large")] == [Decimal("0.5"), 1, 5]
    assert price("else", "small", usage, table) is None
    table["mill/small"] = {"input": 3, "output": 0}
    assert price("mill", "small", usage, table) == 3
    assert set(table) == {"mill/small"}
    with pytest.raises(ValueError, match=r"costs\['mill/odd'\] lacks 'output'"):
        table.declare("mill", {"odd": {"input": 1}})


def test_a_plain_mapping_of_prices_will_do():
    assert price("sim", "m", MILLION, {"sim/m": {"input": 1, "output": 2}}) == 3


def test_a_changed_or_removed_override_counts_at_once():
    MODEL_COSTS["sim/m"] = {"input": 1, "output": 1}
    assert price("sim", "m", MILLION) == 2
    MODEL_COSTS["sim/m"] = {"input": 2, "output": 2}
    assert price("sim", "m", MILLION) == 4
    del MODEL_COSTS["sim/m"]
    assert price("sim", "m", MILLION) is None


def test_a_price_for_each_call_is_added_to_calls_that_used_tokens():
    table = CostTable({"m": {"input": 1, "output": 1, "request": 5000}})
    assert price("sim", "m", Usage(input_tokens=1), table) == Decimal("0.005001")
    assert price("sim", "m", Usage(), table) == 0


def test_searches_are_charged_by_their_number():
    table = CostTable({"m": {"input": 1, "output": 1, "web_search": 10_000}})
    usage = Usage(input_tokens=1, web_search_requests=3)
    assert price("sim", "m", usage, table) == Decimal("0.030001")
    assert price("sim", "m", usage, CostTable({"m": {"input": 1, "output": 1}})) == Decimal("0.000001")
    assert (usage + usage).web_search_requests == 6


def test_a_provider_that_reports_more_cached_than_input_tokens_makes_no_negative_cost():
    table = CostTable({"m": {"input": 10, "output": 1, "cache_read": 1}})
    assert price("sim", "m", Usage(input_tokens=5, cache_read_input_tokens=10), table) == Decimal("0.00001")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"input": 1}, r"costs\['a/b'\] lacks 'output'"),
        ({"output": 1}, r"costs\['a/b'\] lacks 'input'"),
        ({"input": 1, "output": 1, "cached": 1}, r"costs\['a/b'\] has an unknown key 'cached'.*cache_read"),
        ({"input": -1, "output": 1}, r"costs\['a/b'\]\['input'\] must be a number of at least 0, not -1"),
        ({"input": "free", "output": 1}, r"\['input'\] must be a number"),
        ({"input": 1, "output": float("nan")}, r"\['output'\] must be a number"),
        ({"input": 1, "output": float("inf")}, r"\['output'\] must be a number"),
        ({"input": True, "output": 1}, r"\['input'\] must be a number"),
        ({"input": None, "output": 1}, r"\['input'\] must be a number"),
        (0.15, r"costs\['a/b'\] must be a mapping"),
    ],
)
def test_a_wrong_entry_is_refused_when_it_is_put_in(entry, said):
    with pytest.raises(ValueError, match=said):
        MODEL_COSTS["a/b"] = entry
    assert "a/b" not in list(MODEL_COSTS)


def test_an_entry_reads_back_exact_and_frozen():
    MODEL_COSTS["sim/m"] = {"input": 0.15, "output": "0.60", "cache_read": 0}
    entry = MODEL_COSTS["sim/m"]
    assert entry == {"input": Decimal("0.15"), "output": Decimal("0.60"), "cache_read": Decimal(0)}
    assert isinstance(entry, FrozenMapping)
    assert "0.15" in repr(MODEL_COSTS)


# ---------------------------------------------------------------- genai-prices


@needs_genai_prices
def test_b47_every_recorded_price_is_the_listed_one(realdata):
    recorded = json.loads((realdata / "prices.json").read_text())
    recorded.pop("about")
    assert recorded
    for name, figures in recorded.items():
        provider, _, model = name.partition("/")
        shown = MODEL_COSTS[name]
        assert [shown["input"], shown["output"], shown["cache_read"]] == [Decimal(str(each)) for each in figures], name
        usage = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=400)
        by_part = [Decimal(str(figure)) * tokens for figure, tokens in zip(figures, (600, 100, 400), strict=True)]
        assert price(provider, model, usage) == sum(by_part) / 1_000_000, name


@needs_genai_prices
def test_b47_a_listed_cost_is_the_one_that_genai_prices_reckons_for_every_model_that_it_knows():
    import genai_prices  # late: where it is not installed, this test is skipped
    from genai_prices.data_snapshot import get_snapshot

    reckoned = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            listed = costs._rates_of(model.get_prices(datetime.now(UTC)))
            if listed is None:
                continue
            for tokens in (1_000, 199_999, 200_000, 200_001, 900_000):
                usage, theirs = _full_usage(tokens, genai_prices.Usage, writes=listed.output is not None)
                assert listed.cost(usage) == model.calc_price(theirs, provider).total_price, (model.id, tokens)
                reckoned += 1
    assert reckoned > 5_000


def _full_usage(tokens, their_class, *, writes):
    """A usage with something of everything, in penstock's words and in genai-prices'."""
    part = tokens // 20
    said = tokens // 10 if writes else 0
    ours = Usage(
        input_tokens=tokens,
        output_tokens=said,
        cache_read_input_tokens=4 * part,
        cache_read_input_audio_tokens=part,
        cache_creation_input_tokens=3 * part,
        cache_creation_1h_input_tokens=2 * part,
        input_audio_tokens=3 * part,
        input_image_tokens=part,
        input_video_tokens=part,
        output_audio_tokens=said // 5,
        output_image_tokens=said // 4,
        reasoning_output_tokens=said // 3,
        web_search_requests=3,
    )
    theirs = their_class(
        input_tokens=tokens,
        output_tokens=said,
        cache_read_tokens=4 * part,
        cache_audio_read_tokens=part,
        cache_image_read_tokens=0,
        cache_video_read_tokens=0,
        cache_write_tokens=3 * part,
        cache_write_1h_tokens=2 * part,
        input_audio_tokens=3 * part,
        input_image_tokens=part,
        input_video_tokens=part,
        output_audio_tokens=said // 5,
        output_image_tokens=said // 4,
        output_video_tokens=0,
        output_reasoning_tokens=said // 3,
        output_citation_tokens=0,
        web_searches=3,
    )
    return ours, theirs


@needs_genai_prices
def test_b47_a_dated_name_is_the_model_that_it_dates():
    assert MODEL_COSTS["openai/gpt-4o-2024-08-06"] == MODEL_COSTS["openai/gpt-4o"]


@needs_genai_prices
def test_a_long_input_pays_the_price_of_its_tier_for_the_whole_call():
    short, long = (Usage(input_tokens=tokens, output_tokens=1000) for tokens in (200_000, 200_001))
    assert price("gemini", "gemini-2.5-pro", short) == Decimal("0.26")
    assert price("gemini", "gemini-2.5-pro", long) == Decimal("0.5150025")


@needs_genai_prices
def test_an_override_goes_before_the_listed_price():
    MODEL_COSTS["openai/gpt-4o"] = {"input": 1, "output": 1}
    assert price("openai", "gpt-4o", MILLION) == 2


@needs_genai_prices
def test_a_provider_that_only_sounds_like_a_listed_one_has_no_listed_price():
    assert price("my-openai-proxy", "gpt-4o", MILLION) is None


@needs_genai_prices
def test_a_model_without_a_price_of_output_is_unknown_once_it_writes():
    assert price("openai", "text-embedding-3-small", Usage(input_tokens=1_000_000)) == Decimal("0.02")
    assert price("openai", "text-embedding-3-small", MILLION) is None
    with pytest.raises(KeyError):
        MODEL_COSTS["openai/text-embedding-3-small"]


@needs_genai_prices
def test_a_listed_price_is_looked_up_again_after_a_minute(monkeypatch):
    looked_up = []
    real = costs._look_up
    monkeypatch.setattr(costs, "_look_up", lambda *names: (looked_up.append(names), real(*names))[1])  # type: ignore[func-returns-value]  # noted, then done
    clock = [1000.0]
    monkeypatch.setattr(costs.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]  # the module's own clock
    for _ in range(3):
        price("openai", "gpt-4o", MILLION)
        price("sim", "unknown", MILLION)
    assert len(looked_up) == 2
    clock[0] += 61
    price("openai", "gpt-4o", MILLION)
    assert len(looked_up) == 3


def test_names_that_come_with_requests_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(costs, "MOST_LISTED", 10)
    for number in range(100):
        price("sim", f"model {number}", MILLION)
    assert len(costs._remembered) <= 10


def test_without_genai_prices_a_price_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert not load_prices()
    assert price("openai", "gpt-4o", MILLION) is None


def test_the_price_list_is_not_imported_before_it_is_needed():
    script = "import sys, penstock.costs; assert not {'genai_prices', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)
