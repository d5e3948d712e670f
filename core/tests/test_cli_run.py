"""`penstock run` from the command line to the exit status, over a real service and a scripted provider."""

import gc
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial

import anyio
import pytest

from penstock import Service
from penstock.bulk.tally import Tally
from penstock.cli import main
from penstock.cli.amounts import duration_text, rate_text, usd_text
from penstock.cli.progress import ProgressLine
from penstock.errors import ErrorType, ProviderError
from penstock.schema import GateSnapshot, StatsSnapshot
from penstock.testing import ScriptedProvider


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_PLUGINS", "")
    return tmp_path


@pytest.fixture
def provider(monkeypatch):
    """The provider behind "sim/..." names, whose lines a test sets."""
    made = ScriptedProvider(["fine"], name="sim")

    class Scripted(Service):
        @classmethod
        def from_config(cls, config, **overrides):
            return super().from_config(config, **{"providers": [made], "max_rpm": None, **overrides})

    monkeypatch.setattr("penstock.cli.run.Service", Scripted)
    return made


def give(folder, *lines, name="in.jsonl"):
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / name).write_text(text)


def results(folder, name="out.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


PROMPTS = [{"custom_id": f"row-{number}", "prompt": f"say {number}"} for number in range(10)]
RUN = ("run", "in.jsonl", "-o", "out.jsonl", "-m", "sim/echo")


# ---------------------------------------------------------------- runs


def test_a_run_writes_a_line_for_each_row_and_a_summary(folder, provider, capsys):
    give(folder, *PROMPTS)
    assert main(list(RUN)) == 0
    assert sorted(line["custom_id"] for line in results(folder)) == sorted(row["custom_id"] for row in PROMPTS)
    said = capsys.readouterr()
    assert said.out == ""
    assert "10 rows" in said.err
    assert "10 ok, 0 failed" in said.err
    assert "10 rows without a known cost" in said.err
    assert "results: out.jsonl (10 rows)" in said.err
    assert "\r" not in said.err
    assert not (folder / "out.errors.jsonl").exists()


def test_failed_rows_are_exit_status_1_with_their_remedy_and_in_the_error_file(folder, provider, capsys):
    give(folder, *PROMPTS[:2], "not json")
    assert main(list(RUN)) == 1
    said = capsys.readouterr().err
    assert "1 invalid_line: Correct the line" in said
    assert "first in line 3: not JSON" in said
    assert [line["error"]["line"] for line in results(folder, "out.errors.jsonl")] == [3]


def test_the_summary_as_json_is_one_object_on_stdout(folder, provider, capsys):
    give(folder, *PROMPTS, "{")
    assert main([*RUN, "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rows"], summary["ok"], summary["failed"], summary["not_sent"]) == (11, 10, 1, 1)
    assert summary["output"] == {"path": "out.jsonl", "rows": 11}
    assert summary["error_file"] == {"path": "out.errors.jsonl", "rows": 1}
    assert summary["errors"]["invalid_line"]["rows"] == 1
    assert summary["stopped"] is None


def test_results_may_go_to_stdout(folder, provider, capfd):
    give(folder, *PROMPTS)
    assert main(["run", "in.jsonl", "-o", "-", "-m", "sim/echo"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 10


def test_a_gzip_file_is_read_as_it_is(folder, provider):
    (folder / "in.jsonl").write_bytes(gzip.compress(json.dumps(PROMPTS[0]).encode()))
    assert main(list(RUN)) == 0


def test_an_empty_input_is_an_empty_output_and_no_error(folder, provider, capsys):
    give(folder)
    assert main(list(RUN)) == 0
    assert (folder / "out.jsonl").read_bytes() == b""
    assert "no rows in in.jsonl" in capsys.readouterr().err


def test_a_plugin_that_is_left_out_is_said_once(folder, provider, monkeypatch, caplog):
    monkeypatch.setenv("PENSTOCK_PLUGINS", "nowhere")
    (folder / "penstock.toml").write_text("")
    give(folder, PROMPTS[0])
    assert main([*RUN, "--config", "penstock.toml"]) == 0
    assert caplog.text.count("plugin 'nowhere' is left out") == 1


def test_options_reach_the_service_and_win_over_the_config_file(folder, provider, monkeypatch):
    (folder / "penstock.toml").write_text(
        '[service]\ntimeout_s = 9\nretry = {max_retries = 4, strategy = "constant", base_s = 0.0}\n'
    )
    give(folder, PROMPTS[0])
    busy = ProviderError("busy", ErrorType.OVERLOADED)
    provider._lines = [busy, busy, "ok"]
    assert main([*RUN, "--config", "penstock.toml", "--max-retries", "1"]) == 1
    assert len(provider.calls) == 2
    provider._lines = [busy, busy, busy, "ok"]
    assert main([*RUN, "--config", "penstock.toml", "--overwrite"]) == 0


@pytest.mark.parametrize(("options", "said"), [((), True), (("--rpm", "500"), False)])
def test_the_default_limit_is_announced_when_nobody_set_one(folder, provider, capsys, options, said):
    give(folder, PROMPTS[0])
    main([*RUN, *options])
    assert ("100 requests a minute by default; set --rpm" in capsys.readouterr().err) is said


def test_a_dry_run_counts_and_sends_nothing(folder, provider, capsys):
    give(folder, *PROMPTS, "nonsense", {"prompt": "x" * 400, "max_tokens": 50, "model": "gpt-4o-mini"})
    assert main(["run", "in.jsonl", "--dry-run", "--json"]) == 1
    estimate = json.loads(capsys.readouterr().out)
    assert (estimate["rows"], estimate["malformed"]) == (12, 11)
    model = estimate["models"]["openai/gpt-4o-mini"]
    assert (model["rows"], model["input_tokens"], model["output_tokens_at_most"]) == (1, 101, 50)
    assert main(["run", "in.jsonl", "--dry-run", "-m", "nobody/knows"]) == 1
    assert "no known price" in capsys.readouterr().out
    assert provider.calls == []
    assert [path.name for path in folder.iterdir()] == ["in.jsonl"]


def test_a_budget_is_kept(folder, provider, capsys):
    (folder / "penstock.toml").write_text('[costs."sim/echo"]\ninput = 0\noutput = 500000\n')  # "fine" is 2 tokens
    give(folder, *PROMPTS)
    assert main([*RUN, "--config", "penstock.toml", "--budget", "4"]) == 1
    assert len(provider.calls) == 4
    assert "6 budget: Raise --budget" in capsys.readouterr().err


# ---------------------------------------------------------------- what cannot be used


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "missing.jsonl", "-o", "out"), "missing.jsonl: No such file"),
        (("run", ".", "-o", "out"), "Is a directory"),
        (("run", "in.jsonl"), "-o OUT"),
        (("run", "in.jsonl", "-o", "in.jsonl"), "the same file"),
        (("run", "in.jsonl", "-o", "there"), "there exists already; name another file, or add --overwrite"),
        (("run", "in.jsonl", "-o", "no/out"), "there is no folder"),
        (("run", "in.jsonl", "-o", "-", "--json"), "both write to stdout"),
        (("run", "in.jsonl", "-o", "out", "--rpm", "0"), "expected a number above 0"),
        (("run", "in.jsonl", "-o", "out", "--concurrency", "-3"), "expected"),
        (("run", "in.jsonl", "-o", "out", "--budget", "much"), "expected an amount in USD"),
        (("run", "in.jsonl", "-o", "out", "--config", "no.toml"), "no.toml"),
        (("run", "in.jsonl", "-o", "out", "--config", "wrong.toml"), "max_rmp"),
    ],
)
def test_what_cannot_be_used_is_one_message_exit_status_2_and_no_call(folder, provider, capsys, arguments, words):
    give(folder, *PROMPTS)
    (folder / "there").write_text("precious")
    (folder / "wrong.toml").write_text("[service]\nmax_rmp = 5\n")
    assert main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert provider.calls == []
    assert (folder / "there").read_text() == "precious"
    assert not (folder / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused_before_any_call(folder, provider, capsys):
    give(folder, *PROMPTS)
    (folder / "locked").mkdir(mode=0o500)
    assert main(["run", "in.jsonl", "-o", "locked/out"]) == 2
    assert "Permission denied" in capsys.readouterr().err
    assert provider.calls == []


def test_overwrite_replaces_the_files_of_an_earlier_run(folder, provider):
    give(folder, "{", *PROMPTS)
    assert main(list(RUN)) == 1
    give(folder, PROMPTS[0])
    assert main(list(RUN)) == 2
    assert main([*RUN, "--overwrite"]) == 0
    assert len(results(folder)) == 1
    assert not (folder / "out.errors.jsonl").exists()


def test_a_line_of_40_mb_is_one_failed_row(folder, provider):
    with (folder / "in.jsonl").open("w") as file:
        file.write('{"prompt": "' + "x" * 40_000_000 + '"}\n')
        file.write(json.dumps(PROMPTS[0]))
    assert main(list(RUN)) == 1
    assert {line["error"] and line["error"]["code"] for line in results(folder)} == {None, "line_too_long"}
    assert results(folder, "out.errors.jsonl")[0]["input"] is None


def test_b14_a_full_disk_is_one_message_and_every_whole_line_stays(folder, provider, capsys):
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(small)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    try:
        give(folder, *[{"prompt": f"say {number}"} for number in range(500)])
        assert main(["run", "in.jsonl", "-o", "small/out.jsonl", "-m", "sim/echo"]) == 2
        written = results(small)
        said = capsys.readouterr().err
        assert "No space left on device" in said
        assert f"{len(written)} rows are safely in small/out.jsonl" in said
        assert 0 < len(written) < 500
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_without_a_stdout_or_a_stdin_it_says_so(folder):
    give(folder, *PROMPTS)
    run = f"{sys.executable} -m penstock run -m sim/echo"
    for command, words in [
        (f"{run} in.jsonl -o - >&-", "stdout is closed"),
        (f"{run} - -o out <&-", "stdin is closed"),
    ]:
        told = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert (told.returncode, words in told.stderr, "Traceback" in told.stderr) == (2, True, False)


def test_the_summary_says_which_step_failed_first_and_why(folder, provider, capsys, monkeypatch):
    give(folder, *PROMPTS)
    provider._lines = ["not a number"]
    monkeypatch.setattr(Service, "from_config", partial(Service.from_config, pipeline=[float]))
    assert main(list(RUN)) == 0
    said = capsys.readouterr().err
    assert "10 degraded" in said
    assert "first in line 1: float: " in said
    assert "could not convert string to float" in said


def test_a_sink_that_failed_is_in_the_summary(folder, provider, capsys):
    give(folder, *PROMPTS)
    (folder / "penstock.toml").write_text('[[sinks]]\nuse = "jsonl"\npath = "nowhere/events.jsonl"\n')
    assert main([*RUN, "--config", "penstock.toml"]) == 0
    assert "sink jsonl failed" in capsys.readouterr().err.splitlines()[-2]
    assert main([*RUN, "--config", "penstock.toml", "--overwrite", "--json"]) == 0
    (sink,) = json.loads(capsys.readouterr().out)["sinks"]
    assert sink["failed"]


# ---------------------------------------------------------------- interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_finishes_what_is_under_way(folder, provider, capsys, number):
    def interrupt(payload):
        os.kill(os.getpid(), number)
        return "fine", None

    provider._lines = [*["fine"] * 5, interrupt, "fine"]
    provider.latency_s = 0.01
    give(folder, *[{"prompt": f"say {number}"} for number in range(500)])
    assert main([*RUN, "--concurrency", "2"]) == 130
    answered = [line for line in results(folder) if line["error"] is None]
    kept_back = results(folder, "out.errors.jsonl")
    assert len(answered) == len(provider.calls) <= 10  # the sixth call interrupts; the loop hears of it a moment later
    assert {line["error"]["code"] for line in kept_back} == {"not_run"}
    last = len(results(folder))
    assert len(answered) + len(kept_back) == last < 100
    said = capsys.readouterr().err
    assert "interrupt again to abandon" in said
    assert f"in.jsonl was read up to line {last}" in said


def test_the_second_interrupt_abandons_it(folder, provider, capsys):
    class Hanging(ScriptedProvider):
        async def _invoke_impl(self, payload):
            if len(self.calls) == 3:
                os.kill(os.getpid(), signal.SIGINT)
                await anyio.sleep(0.1)
                os.kill(os.getpid(), signal.SIGINT)
                await anyio.sleep_forever()
            return await super()._invoke_impl(payload)

    provider.__class__ = Hanging
    give(folder, *PROMPTS)
    assert main([*RUN, "--concurrency", "1"]) == 130
    codes = [line["error"] and line["error"]["code"] for line in results(folder)]
    assert codes == [None, None, None, "not_run", "abandoned"]
    abandoned = results(folder)[-1]["penstock"]
    assert (abandoned["attempts"], abandoned["cost_usd"]) == (None, None)
    assert [line["input"] for line in results(folder, "out.errors.jsonl")] == [PROMPTS[4], PROMPTS[3]]
    said = capsys.readouterr().err
    assert "1 abandoned: Run the error file" in said
    assert "Traceback" not in said


def test_an_interrupt_ends_the_wait_for_a_pipe():
    command = [sys.executable, "-m", "penstock", "run", "-", "-o", "-", "-m", "sim/echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(PROMPTS[0]).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["custom_id"] == "row-0"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


# ---------------------------------------------------------------- the progress line


def test_the_progress_line_says_how_far_how_fast_what_it_cost_and_what_it_waits_for():
    tally = Tally()
    gates = (
        GateSnapshot(name="rpm", limit=500, used=490, waiting=9, blocked_s=8, refused=2),
        GateSnapshot(name="tpm", waiting=9, blocked_s=1),
    )
    snapshot = StatsSnapshot(at=datetime.now(UTC), uptime_s=1, gates=gates)
    line = ProgressLine(tally, io.StringIO(), 1000, lambda: snapshot)
    line.text(0.0)
    tally.ok = 200
    line._blocked_s.clear()
    so_far = "200/1,000 rows · 0 failed · 20.0 rows/s · $0.0000 · 40 s left"
    assert line.text(10.0) == f"{so_far} · waiting for rpm (500), 98 % used, 9 queued, 2 429s"
    tally.failed = 1
    line.total = None
    assert line.text(10.0).startswith("201 rows · 1 failed")


def test_the_progress_line_is_drawn_over_itself():
    stream = io.StringIO()
    line = ProgressLine(Tally(), stream, 5)
    line.show()
    line.clear()
    assert stream.getvalue().count("\r\x1b[2K") == 2
    assert "\n" not in stream.getvalue()


def test_a_terminal_gets_a_progress_line(folder, provider, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    give(folder, *PROMPTS)
    provider.latency_s = 0.01
    assert main(list(RUN)) == 0
    assert "/10 rows" in capsys.readouterr().err


def test_figures_are_readable():
    assert [duration_text(s) for s in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]
    assert [rate_text(600, 10), rate_text(6, 60), rate_text(0, 0)] == ["60.0 rows/s", "6 rows/min", "0 rows/min"]
    assert [usd_text(0.0123), usd_text(1234.5, 2)] == ["$0.0123", "$1,234.50 + 2 rows without a known cost"]


def test_progress_is_printed_where_there_is_no_terminal_only_when_it_is_asked_for(folder, provider, capsys):
    give(folder, *PROMPTS)
    assert main([*RUN, "--progress"]) == 0
    assert "/10 rows · 0 failed" in capsys.readouterr().err
    assert main([*RUN, "--overwrite"]) == 0
    assert "/10 rows" not in capsys.readouterr().err


def test_a_run_leaves_the_garbage_collector_as_it_was(folder, provider):
    before = gc.get_threshold()
    give(folder, *PROMPTS)
    assert main([*RUN]) == 0
    assert gc.get_threshold() == before
