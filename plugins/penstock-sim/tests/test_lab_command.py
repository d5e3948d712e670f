"""`penstock sim gates`: what it takes and what it prints."""

import json

import pytest

from penstock.cli import main
from penstock_sim.limiters import SERVER_MODELS


def gates(*options):
    return main(["sim", "gates", "--minutes", "1", *options])


def test_it_prints_a_table(capsys):
    assert gates("--limit", "60", "--server", "second", "--latency", "0.5:2") == 0
    out = capsys.readouterr().out
    assert "server 'second', jitter 0.02 to 0.2 s, latency 0.5 to 2 s, 1 min" in out
    assert "requests*        60" in out
    assert "429" in out
    assert "rpm " in out


def test_it_prints_json(capsys):
    options = "--limit 600 --limit 200000tpm --sizes bimodal --headers --change 2@0.5 --clients 2 --json"
    assert gates(*options.split(), "--charging", "usage", "--gate", "rpm:limit=300,burst=2.5") == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["limit"] for each in report["dimensions"]] == [600, 200_000]
    assert [(gate["name"], gate["limit"]) for gate in report["gates"]] == [("rpm", 300)]
    assert report["sent"] == sum(report["sent_by_client"])


def test_the_grid_has_a_line_for_every_server(capsys):
    assert gates("--limit", "60", "--grid") == 0
    head, *rows = capsys.readouterr().out.splitlines()[:-3]
    assert head.split()[:6] == ["limit", "unit", "size", "jitter", "latency", "server"]
    for jitter in ("0", "0.02:0.2"):
        assert [row.split()[5] for row in rows if row.split()[3] == jitter] == 2 * list(SERVER_MODELS)
    assert gates("--limit", "60", "--grid", "--json", "--jitter", "0.1", "--latency", "2") == 0
    assert [json.loads(row)["server"] for row in capsys.readouterr().out.splitlines()] == list(SERVER_MODELS)


def test_what_is_repeated_makes_the_grid(capsys):
    options = "--grid --limit 60 --limit 60000tpm --server second --latency 1 --jitter 0:1 --sizes 500 --sizes 50:2,900"
    assert gates(*options.split(), "--gate", "rpm:limit=30") == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()[1:-3]]
    assert [row[:6] for row in rows] == [
        ["60", "requests", "any", "0:1", "1", "second"],
        ["60000", "tokens", "500", "0:1", "1", "second"],
        ["60000", "tokens", "50,900", "0:1", "1", "second"],
    ]


def test_it_tries_the_gates_of_a_config_file(tmp_path, capsys):
    file = tmp_path / "penstock.toml"
    file.write_text('[[gates]]\nuse = "rpm"\nlimit = 120\nmatch = "openai/*"\n[service]\nmax_concurrent_requests = 7\n')
    assert gates("--limit", "600", "--config", str(file), "--model", "openai/gpt-4o", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [(gate["name"], gate["limit"]) for gate in report["gates"]] == [("rpm", 120), ("concurrency", 7)]
    assert report["sent"] == pytest.approx(120, abs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "say --limit once"),
        ("--limit 60 --limit 70", "say --limit once"),
        ("--limit 60 --latency 1 --latency 2", "say --latency once"),
        ("--limit ten", "--limit 'ten'"),
        ("--limit 60x", "--limit '60x'"),
        ("--limit 0", "rpm"),
        ("--limit 60 --jitter fast", "--jitter 'fast'"),
        ("--limit 60 --change 2", "change"),
        ("--limit 60 --sizes vast", "sizes 'vast'"),
        ("--limit 60 --gate rpm:limit", "'limit' is not OPTION=VALUE"),
        ("--limit 60 --gate rpn:limit=6", "did you mean 'rpm'?"),
        ("--limit 60 --gate rpm:limt=6", "did you mean 'limit'?"),
        ("--limit 60 --gate rpm:limit=6 --config x.toml", "not both"),
        ("--limit 60 --config absent.toml", "absent.toml"),
    ],
)
def test_a_bad_option_is_told_on_stderr(options, message, capsys):
    assert gates(*options.split()) == 2
    assert message in capsys.readouterr().err
