"""The package as penstock finds it, and what its gates say of options that cannot be."""

import pytest

from penstock import Service
from penstock.errors import ConfigError
from penstock_gates import AdaptiveGate, BreakerGate, BudgetGate, ItpmGate, OtpmGate, RpdGate, TpdGate

FILE = """
gates = [
  {use = "itpm", limit = 1000},
  {use = "otpm", limit = 1000},
  {use = "rpd", limit = 5, reset = "midnight", spread = true},
  {use = "tpd", limit = 5, tz = "Europe/Berlin"},
  {use = "budget", limit_usd = 0.5, per = "day", when_spent = "wait"},
  {use = "adaptive", maximum = 50},
  {use = "breaker", match = "fake/*", name = "fuse", when_open = "wait"},
]
"""
WRONG = 'gates = [{use = "rpd", limit = 5, reset = "noon"}, {use = "budget", usd = 1}]'


def test_every_gate_is_found_by_name_with_its_options(tmp_path):
    (tmp_path / "penstock.toml").write_text(FILE)
    with Service.from_config(tmp_path / "penstock.toml") as service:
        names = [gate.name for gate in service.snapshot().gates]
    assert set(names) >= {"itpm", "otpm", "rpd", "tpd", "budget", "adaptive", "fuse"}


def test_a_wrong_option_is_told_with_its_path(tmp_path):
    (tmp_path / "penstock.toml").write_text(
        'gates = [{use = "rpd", limit = 5, reset = "noon"}, {use = "budget", usd = 1}]'
    )
    with pytest.raises(ConfigError) as caught:
        Service.from_config(tmp_path / "penstock.toml")
    assert any(problem.startswith("gates[0].reset") for problem in caught.value.problems)
    assert any(problem.startswith("gates[1]") and "limit_usd" in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("gate", "arguments", "options", "message"),
    [
        (ItpmGate, (0,), {}, "limit must be a positive number"),
        (OtpmGate, (-1,), {}, "limit must be a positive number"),
        (RpdGate, (0,), {}, "limit must be a positive number"),
        (TpdGate, (5,), {"reset": "noon"}, "reset must be one of 'rolling', 'midnight', got 'noon'"),
        (RpdGate, (5,), {"reset": "midnight", "tz": "Mars/Olympus"}, "tz must be an IANA time zone"),
        (RpdGate, (5,), {"reset": "midnight", "tz": "../etc/passwd"}, "tz must be an IANA time zone"),
        (BudgetGate, (float("nan"),), {}, "limit_usd must be a positive number"),
        (BudgetGate, (1,), {"per": "week"}, "per must be one of"),
        (BudgetGate, (1,), {"unknown": "maybe"}, "unknown must be one of"),
        (AdaptiveGate, (), {"start": 0}, "start must be between minimum and maximum"),
        (AdaptiveGate, (), {"slowdown": 1.0}, "slowdown must be more than 1"),
        (BreakerGate, (), {"share": 0}, "share must be more than 0"),
        (BreakerGate, (), {"probes": 0}, "probes must be a positive number"),
        (BreakerGate, (), {"when_open": "hope"}, "when_open must be one of"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(gate, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        gate(*arguments, **options)
