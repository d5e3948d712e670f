"""As users have it: installed, and found by its name in a penstock.toml."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from penstock import ConfigError, Service
from penstock.testing import ScriptedProvider

CONFIG = """\
[[gates]]
use = "hours"
opens = "{opens:%H:%M}"
closes = "{closes:%H:%M}"
tz = "{tz}"
match = "fake/*"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config file whose hours are those around now."""
    now = datetime.now(UTC)
    path = tmp_path / "penstock.toml"
    path.write_text(CONFIG.format(opens=now - timedelta(hours=1), closes=now + timedelta(hours=1), tz="UTC"))
    return path


def test_penstock_finds_it_by_its_name(config: Path) -> None:
    with Service.from_config(config, providers=[ScriptedProvider()], default_model="fake/m") as service:
        results = list(service.generate_many(f"What is {n} times {n}?" for n in range(10)))
        gates = service.snapshot().gates
    assert all(result.success for result in results)
    assert [(gate.name, gate.match) for gate in gates] == [("hours", "fake/*")]


def test_a_zone_that_is_none_is_told_with_its_place(config: Path) -> None:
    config.write_text(config.read_text().replace("UTC", "Europe/Atlantis"))
    with pytest.raises(ConfigError, match="Europe/Atlantis"):
        Service.from_config(config, providers=[ScriptedProvider()], default_model="fake/m")
