"""As users have it: installed, and found by its name in a penstock.toml."""

from pathlib import Path

from penstock import Service
from penstock.testing import ScriptedProvider

CONFIG = """\
[[sinks]]
use = "ledger"
path = "ledger.csv"
"""


def test_penstock_finds_it_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    ledger = tmp_path / "ledger.csv"
    config.write_text(CONFIG.replace("ledger.csv", ledger.as_posix()))
    with Service.from_config(config, providers=[ScriptedProvider()], default_model="fake/m") as service:
        service.generate_output("How deep is the lake?")
    assert len(ledger.read_text().splitlines()) == 2
    assert service.snapshot().sinks[0].failed == 0
