"""As users have it: installed, and found by its name in a penstock.toml."""

from pathlib import Path

from penstock import Service
from penstock.testing import ScriptedProvider

CONFIG = """\
[[pipeline]]
use = "redact"
phones = false
email_mask = "***"
"""


def test_penstock_finds_it_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(CONFIG)
    provider = ScriptedProvider(["Ask ann@lake.example."])
    with Service.from_config(config, providers=[provider], default_model="fake/m") as service:
        result = service.generate_output("Whom do I ask?")
    assert result.content == "Ask ***."
    assert result.raw_content == "Ask ann@lake.example."
