"""As users have it: installed, and found by its name in a penstock.toml."""

from pathlib import Path

import pytest
from penstock import Service

from vendor import tiny

CONFIG = """\
[service]
default_model = "tiny/large-1"

[providers.tiny]
base_url = "URL"
"""


def test_penstock_finds_it_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_API_KEY", "sk-1")
    config = tmp_path / "penstock.toml"
    with tiny() as server:
        config.write_text(CONFIG.replace("URL", server.url))
        with Service.from_config(config) as service:
            result = service.generate_output("How deep is the lake?")
    assert result.content == "Thirty metres.", result.error_message
    assert result.usage.total_tokens == 10
