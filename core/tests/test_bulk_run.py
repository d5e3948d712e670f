"""A bulk run over a real service and a scripted provider: every line leaves a line, whatever happens."""

import errno
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from penstock import RpmGate, Service
from penstock.bulk import run as bulk_run
from penstock.bulk.lines import ModelRules
from penstock.bulk.output import LineFile, OutputError, check_paths, default_error_path, open_writer
from penstock.bulk.reading import Input
from penstock.bulk.run import BulkRun, RunOptions, StopCause
from penstock.errors import ErrorType, ProviderError
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio

COSTS = {"sim/echo": {"input": 0, "output": 1_000_000}}  # a dollar for an output token


def prompts(count, **fields):
    return [{"custom_id": f"row-{number}", "prompt": f"say {number}", **fields} for number in range(1, count + 1)]


def echo(payload):
    return payload["prompt"].removeprefix("say "), None


class Bench:
    """A folder with an input, and what a run over it left."""

    def __init__(self, folder):
        self.folder = folder
        self.source = None

    def run_of(self, lines, service, *, overwrite=False, **options):
        text = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        (self.folder / "in.jsonl").write_bytes(text)
        self.source = Input.open(str(self.folder / "in.jsonl"))
        self.writer = open_writer(
            str(self.folder / "out.jsonl"), str(self.folder / "out.errors.jsonl"), overwrite=overwrite
        )
        options.setdefault("rules", ModelRules(model="sim/echo"))
        return BulkRun(service, self.source, self.writer, RunOptions(**options))

    async def run(self, lines, service, **options):
        bulk = self.run_of(lines, service, **options)
        async with service:
            await bulk.run()
        self.writer.close()
        return bulk

    def close(self):
        if self.source is not None:
            self.source.close()

    def lines(self, name="out.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else None


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


async def rows_done(bulk, count):
    """Wait for so many rows; a file is read in real time, while the loop's own time may leap."""
    while bulk.tally.done < count:  # noqa: ASYNC110  # nothing tells of a row, and the time is virtual
        await anyio.sleep(0.5)


def service_with(*lines, latency_s=0.0, **options):
    provider = ScriptedProvider(lines or [echo], name="sim", latency_s=latency_s)
    return Service(**{"providers": [provider], "max_rpm": None, "costs": COSTS, **options}), provider


# ---------------------------------------------------------------- every line leaves a line


async def test_b41_every_row_is_answered_under_its_own_custom_id(bench):
    service, _ = service_with(latency_s=1.0, max_concurrent_requests=7)
    bulk = await bench.run(prompts(50), service)
    found = {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in bench.lines()}
    assert found == {f"row-{number}": str(number) for number in range(1, 51)}
    assert (bulk.tally.read, bulk.tally.ok, bulk.tally.failed, bulk.stop) == (50, 50, 0, None)
    assert bench.lines("out.errors.jsonl") is None


async def test_b41_the_gates_decide_how_fast(bench):
    service, provider = service_with(gates=[RpmGate(60)])
    start = anyio.current_time()
    await bench.run(prompts(121), service)
    assert len(provider.calls) == 121
    assert 58 <= anyio.current_time() - start <= 125


async def test_b14_malformed_lines_are_failed_rows_and_the_others_run(bench):
    lines = [*prompts(2), b"not json", b"", b"   ", {"prompt": 3}, {"custom_id": "row-1", "prompt": "again"}]
    service, _ = service_with()
    bulk = await bench.run(lines, service)
    failed = {line["penstock"]["line"]: line for line in bench.lines() if line["error"]}
    assert {number: line["error"]["code"] for number, line in failed.items()} == {
        3: "invalid_line",
        6: "invalid_line",
        7: "duplicate_custom_id",
    }
    assert "line 1" in failed[7]["error"]["message"]
    assert (bulk.tally.read, bulk.tally.ok, bulk.tally.failed, bulk.tally.not_sent) == (5, 2, 3, 3)


async def test_the_error_file_can_be_run_as_it_is(bench):
    broken = ProviderError("no", ErrorType.INVALID_REQUEST)
    good, torn, last = {"prompt": "say 1", "metadata": {"k": 1}}, '{"prompt": "torn', {"prompt": "say 3"}
    service, _ = service_with(broken)
    await bench.run([good, torn.encode(), last], service)
    errors = bench.lines("out.errors.jsonl")
    assert sorted((line["custom_id"], line["error"]["line"], line["error"]["code"]) for line in errors) == [
        ("line-1", 1, "invalid_request"),
        ("line-2", 2, "invalid_line"),
        ("line-3", 3, "invalid_request"),
    ]
    inputs = {line["error"]["line"]: line["input"] for line in errors}
    assert inputs == {1: good, 2: torn, 3: last}
    bench.close()
    for name in ("out.jsonl", "out.errors.jsonl"):
        (bench.folder / name).unlink()
    service, _ = service_with()
    await bench.run(errors, service)
    assert sorted(line["custom_id"] for line in bench.lines() if line["error"] is None) == ["line-1", "line-3"]
    again = bench.lines("out.errors.jsonl")
    assert [line["input"] for line in again] == [torn]


async def test_ordered_output_has_the_order_of_the_input_bad_lines_included(bench):
    class Uneven(ScriptedProvider):
        async def _invoke_impl(self, payload):
            await anyio.sleep(10 / int(payload["prompt"].removeprefix("say ")))
            return echo(payload)

    lines = [b"bad", *prompts(5), b"bad", *[{**row, "custom_id": row["custom_id"] + "b"} for row in prompts(5)], b"bad"]
    for ordered in (True, False):
        service = Service(providers=[Uneven(name="sim")], max_rpm=None)
        await bench.run(lines, service, ordered=ordered, overwrite=True)
        numbers = [line["penstock"]["line"] for line in bench.lines()]
        assert sorted(numbers) == list(range(1, 14))
        assert (numbers == sorted(numbers)) is ordered
        bench.close()


async def test_an_ordered_run_holds_back_only_so_many_bad_lines(bench, monkeypatch):
    monkeypatch.setattr(bulk_run, "MOST_HELD_BACK", 5)
    service, _ = service_with(latency_s=5.0)
    bulk = bench.run_of([*prompts(1), *[b"bad"] * 50, {"prompt": "last"}], service, ordered=True)
    async with service, anyio.create_task_group() as tasks:
        tasks.start_soon(bulk.run)
        await anyio.sleep(1)
        assert len(bulk._held_back) <= 5
    assert bulk.tally.done == 52
    numbers = [line["penstock"]["line"] for line in bench.lines()]
    assert numbers == sorted(numbers)
    bench.writer.close()


async def test_a_limit_reads_only_so_many_rows(bench):
    service, provider = service_with()
    bulk = await bench.run([b"", *prompts(9)], service, limit=3)
    assert len(provider.calls) == 3
    assert bulk.tally.read == 3


async def test_the_input_is_read_lazily(bench):
    service, _ = service_with(latency_s=1.0, max_concurrent_requests=2)
    bulk = bench.run_of(prompts(5000), service)
    async with service, anyio.create_task_group() as tasks:
        tasks.start_soon(bulk.run)
        await rows_done(bulk, 6)
        assert bulk.tally.read < 50
        tasks.cancel_scope.cancel()
    bench.writer.close()


# ---------------------------------------------------------------- stopping early


async def test_b48_a_budget_stops_before_it_is_exceeded_and_the_rest_is_reported(bench):
    service, provider = service_with("x", latency_s=1.0)
    bulk = await bench.run(prompts(100), service, budget_usd=Decimal(25))
    assert len(provider.calls) == 25
    assert bulk.tally.cost_usd == 25
    assert bulk.stop.cause is StopCause.BUDGET
    codes = [line["error"] and line["error"]["code"] for line in bench.lines()]
    assert codes.count(None) == 25
    assert codes.count("budget") == 75
    assert len(bench.lines("out.errors.jsonl")) == 75


async def test_b48_a_budget_holds_when_the_first_rows_are_the_cheap_ones(bench):
    def uneven(payload):
        number = int(payload["prompt"].removeprefix("say "))
        return "four" * (1 if number <= 10 else 1 + number % 9), None

    service, _ = service_with(uneven, latency_s=1.0, max_concurrent_requests=50)
    bulk = await bench.run(prompts(300), service, budget_usd=Decimal(500))
    assert bulk.stop.cause is StopCause.BUDGET
    assert bulk.tally.dearest_usd == 9
    assert 490 <= bulk.tally.cost_usd <= 500


async def test_b48_a_large_budget_does_not_slow_a_run_down(bench):
    service, _ = service_with("x", latency_s=1.0, max_concurrent_requests=50)
    start = anyio.current_time()
    await bench.run(prompts(201), service, budget_usd=Decimal(10_000))
    assert anyio.current_time() - start <= 1 + 200 / 50 + 1  # the first row goes alone


async def test_b48_a_budget_without_a_known_price_stops_the_run_and_says_so(bench):
    service, _ = service_with("x", costs=None)
    bulk = await bench.run(prompts(100), service, budget_usd=Decimal(25))
    assert bulk.tally.finished <= 20
    assert "no price is known for sim/echo" in bulk.stop.message
    assert len(bench.lines()) == 100


@pytest.mark.parametrize("kind", [ErrorType.AUTHENTICATION, ErrorType.INSUFFICIENT_QUOTA, ErrorType.NOT_FOUND])
async def test_a_run_whose_first_rows_all_meet_the_same_wall_gives_up(bench, kind):
    service, provider = service_with(ProviderError("wrong key", kind), max_concurrent_requests=5)
    bulk = await bench.run(prompts(300), service)
    assert len(provider.calls) < 50
    assert bulk.stop.cause is StopCause.HOPELESS
    assert "wrong key" in bulk.stop.message
    assert (bulk.tally.failed, len(bench.lines()), len(bench.lines("out.errors.jsonl"))) == (300, 300, 300)


async def test_one_good_row_in_five_is_reason_enough_to_go_on(bench):
    wrong_key = ProviderError("wrong key", ErrorType.AUTHENTICATION)
    service, provider = service_with(*[*[wrong_key] * 4, "fine"] * 12, max_concurrent_requests=1)
    bulk = await bench.run(prompts(60), service)
    assert len(provider.calls) == 60
    assert bulk.stop is None


async def test_a_quota_that_runs_out_in_the_middle_stops_even_rows_that_already_wait(bench):
    out = ProviderError("no credit left", ErrorType.INSUFFICIENT_QUOTA)
    service, provider = service_with(*["fine"] * 99, out, latency_s=1.0, max_concurrent_requests=10)
    bulk = bench.run_of(prompts(2000), service)
    service.add_gate(bulk.floodgate)
    async with service:
        await bulk.run()
    assert len(provider.calls) <= 99 + 11
    assert "no credit left" in bulk.stop.message
    assert (bulk.tally.ok, bulk.tally.failed) == (99, 1901)


@pytest.mark.parametrize("kind", [ErrorType.CONNECTION, ErrorType.MALFORMED_RESPONSE, ErrorType.SERVER_ERROR])
async def test_a_run_that_gets_no_answer_at_all_for_a_minute_gives_up(bench, kind):
    service, provider = service_with(
        ProviderError("nobody there", kind), gates=[RpmGate(600)], max_concurrent_requests=20
    )
    bulk = bench.run_of(prompts(5000), service)
    service.add_gate(bulk.floodgate)
    start = anyio.current_time()
    async with service:
        await bulk.run()
    assert bulk.stop.cause is StopCause.HOPELESS
    assert "no answer at all" in bulk.stop.message
    assert "nobody there" in bulk.stop.message
    assert 60 <= anyio.current_time() - start <= 90
    assert len(provider.calls) <= 900
    assert len(bench.lines()) == len(bench.lines("out.errors.jsonl")) == 5000


async def test_an_outage_after_a_good_start_is_sat_out(bench):
    broken = ProviderError("nobody there", ErrorType.CONNECTION)
    service, _ = service_with("fine", *[broken] * 2000, "fine", gates=[RpmGate(600)])
    bulk = await bench.run(prompts(1000), service)
    assert bulk.stop is None


async def test_settings_that_no_call_can_be_made_with_end_a_run_at_once(bench, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    options = {"sim": {"api_key": {"env": "NO_SUCH_KEY"}}}
    service = Service(provider_options=options, max_rpm=None)
    bulk = await bench.run(prompts(300), service)
    assert bulk.stop.cause is StopCause.HOPELESS
    assert len(bench.lines()) == 300


async def test_a_row_that_is_stopped_between_two_tries_keeps_its_tries_and_their_cost(bench):
    broken = ProviderError("cut", ErrorType.TIMEOUT)
    out = ProviderError("no credit left", ErrorType.INSUFFICIENT_QUOTA)

    def by_row(payload):
        raise out if payload["prompt"] == "say 2" else broken

    service, _ = service_with(by_row, costs={"sim/echo": {"input": 1_000_000, "output": 0}})
    bulk = bench.run_of(prompts(2), service)
    service.add_gate(bulk.floodgate)
    async with service:
        await bulk.run()
    bench.writer.close()
    (tried,) = (line for line in bench.lines() if line["custom_id"] == "row-1")
    assert tried["penstock"]["attempts"] == 1
    assert tried["error"]["code"] == "timeout"
    assert tried["error"]["message"].startswith("cut; not tried again: a row failed with insufficient_quota")
    assert Decimal(tried["penstock"]["cost_usd"]) == bulk.tally.cost_usd == service.snapshot().cost_usd > 0


async def test_draining_finishes_what_is_under_way_and_sends_no_more(bench):
    service, provider = service_with(latency_s=10.0, max_concurrent_requests=4)
    bulk = bench.run_of(prompts(100), service)
    async with service, anyio.create_task_group() as tasks:
        tasks.start_soon(bulk.run)
        await rows_done(bulk, 4)
        bulk.drain(StopCause.INTERRUPTED, "interrupted")
    bench.writer.close()
    assert len(bench.lines()) == len(provider.calls) == bulk.tally.read
    assert bulk.tally.read < 30
    assert bulk.in_flight == {}


async def test_draining_for_an_interrupt_sends_nothing_that_waits_at_a_gate(bench):
    service, provider = service_with(latency_s=10.0, gates=[RpmGate(60)])
    bulk = bench.run_of(prompts(100), service)
    service.add_gate(bulk.floodgate)
    async with service, anyio.create_task_group() as tasks:
        tasks.start_soon(bulk.run)
        await rows_done(bulk, 4)
        sent, now = len(provider.calls), anyio.current_time()
        bulk.drain(StopCause.INTERRUPTED, "interrupted")
    bench.writer.close()
    assert len(provider.calls) == sent
    assert anyio.current_time() - now <= 11
    assert bulk.tally.ok == sent
    assert bulk.last_line == bulk.tally.read == len(bench.lines())
    assert [line["error"]["code"] for line in bench.lines("out.errors.jsonl")] == ["not_run"] * bulk.tally.failed


async def test_cancelling_leaves_whole_lines_and_says_what_was_abandoned(bench):
    service, _ = service_with(latency_s=10.0, max_concurrent_requests=4)
    bulk = bench.run_of(prompts(100), service)
    with anyio.CancelScope() as whole:
        async with service, anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await rows_done(bulk, 4)
            whole.cancel()
    assert len(bench.lines()) == 4
    bulk.abandon()
    bench.writer.close()
    abandoned = bench.lines("out.errors.jsonl")
    assert bulk.tally.abandoned == len(abandoned) == bulk.tally.read - 4 > 0
    assert {line["error"]["code"] for line in abandoned} == {"abandoned"}
    assert [line["penstock"]["cost_usd"] for line in bench.lines()[4:]] == [None] * len(abandoned)


async def test_an_input_that_breaks_halfway_stops_the_run_after_the_rows_before(bench):
    service, _ = service_with()
    bulk = bench.run_of(prompts(3), service)

    torn = bench.folder / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress((bench.folder / "in.jsonl").read_bytes())[:-8])
    bulk.source = Input.open(str(torn))
    async with service:
        await bulk.run()
    bench.writer.close()
    bulk.source.close()
    assert bulk.stop.cause is StopCause.INPUT
    assert len(bench.lines()) == 3


# ---------------------------------------------------------------- a disk that fails


class FullDisk:
    """`os.write` of a disk that takes so many bytes for each file and not one more."""

    def __init__(self, monkeypatch, room):
        self.room, self.write = room, os.write
        monkeypatch.setattr("penstock.bulk.output.os.write", self)

    def __call__(self, fd, data):
        if "out" not in Path(f"/proc/self/fd/{fd}").readlink().name:
            return self.write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.write(fd, bytes(data[: self.room]))
        self.room -= taken
        return taken


async def test_b14_on_a_full_disk_whole_lines_stay_and_later_answers_are_rescued(bench, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service, provider = service_with(latency_s=1.0, max_concurrent_requests=4)
    bulk = bench.run_of(prompts(100), service)
    service.add_gate(bulk.floodgate)
    FullDisk(monkeypatch, room=8_000)
    async with service:
        await bulk.run()
    bench.writer.close()
    written = [line["custom_id"] for line in bench.lines()]
    (rescue,) = bench.writer.rescued
    rescued = [json.loads(line)["custom_id"] for line in rescue.path.read_text().splitlines()]
    assert bulk.stop.cause is StopCause.OUTPUT
    assert "No space left on device" in bulk.stop.message
    assert written
    assert rescued
    assert len(written) == bench.writer.out.lines
    assert sorted(written + rescued) == sorted(call["prompt"].replace("say ", "row-") for call in provider.calls)
    assert len(provider.calls) <= len(written) + 6  # nothing leaves that waits for a turn
    assert bulk.tally.read == len(provider.calls)


async def test_when_no_disk_takes_it_the_answer_goes_to_stderr(bench, monkeypatch, capfd):
    service, _ = service_with()
    bulk = bench.run_of(prompts(1), service)
    FullDisk(monkeypatch, room=10)

    def refuse(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("penstock.bulk.output.tempfile.mkstemp", refuse)
    async with service:
        await bulk.run()
    bench.writer.close()
    assert bench.lines() == []
    assert json.loads(capfd.readouterr().err)["custom_id"] == "row-1"


async def test_what_two_places_rescued_is_told_of_both(bench, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service, _ = service_with(latency_s=1.0, max_concurrent_requests=4)
    bulk = bench.run_of(prompts(100), service)
    service.add_gate(bulk.floodgate)
    disk = FullDisk(monkeypatch, room=2_000)
    append, room = LineFile.append, [2]

    def short_of_room(file, line):
        if "rescued" in Path(file.name).name:
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            room[0] -= 1
        append(file, line)

    monkeypatch.setattr(LineFile, "append", short_of_room)
    async with service:
        await bulk.run()
    bench.writer.close()
    file, stderr = bench.writer.rescued
    assert disk.room == 0
    assert (file.lines, stderr.name) == (2, "stderr")
    assert bench.writer.out.lines + file.lines + stderr.lines == bulk.tally.done
    assert len(capfd.readouterr().err.splitlines()) == stderr.lines


# ---------------------------------------------------------------- files


def test_an_existing_output_is_left_alone(tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        open_writer(str(tmp_path / "out"), str(tmp_path / "errors"), overwrite=False)
    assert (tmp_path / "out").read_text() == "precious"
    with pytest.raises(OutputError, match="exists already"):
        open_writer(str(tmp_path / "fresh"), str(tmp_path / "out"), overwrite=False)
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(
    ("out", "errors", "words"),
    [
        ("in", "e", "OUT and IN are the same file"),
        ("out", "./in", "the error file and IN are the same file"),
        ("out", "out", "the error file and OUT are the same file"),
        (".", "e", "OUT is a folder"),
        ("missing/out", "e", "there is no folder"),
    ],
)
def test_outputs_are_checked_before_anything_is_opened(tmp_path, monkeypatch, out, errors, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=words):
        check_paths("in", out, errors)


def test_the_error_file_stands_beside_the_output_if_that_is_a_file():
    names = ("results/out.jsonl", "out", "-", "/dev/null")
    assert [default_error_path(name) for name in names] == [
        "results/out.errors.jsonl",
        "out.errors.jsonl",
        "penstock.errors.jsonl",
        "penstock.errors.jsonl",
    ]


def test_a_device_can_be_written_to_as_it_is():
    file = LineFile.open("/dev/null")
    file.append(b"{}\n")
    file.close()


# ---------------------------------------------------------------- output lines


async def test_a_line_says_what_the_row_took(bench):
    flaky = ProviderError("slow down", ErrorType.HTTP_429, status_code=429, retry_after_s=2.0, request_id="r-1")
    service, _ = service_with(flaky, "x")
    await bench.run(prompts(1, metadata={"k": 1}), service)
    (line,) = bench.lines()
    facts = line["penstock"]
    assert (line["response"]["status_code"], line["error"]) == (200, None)
    assert line["response"]["body"]["usage"]["completion_tokens"] == 1
    assert (facts["attempts"], facts["line"], facts["metadata"], facts["cost_usd"]) == (2, 1, {"k": 1}, "1.000000")
    assert facts["waits"]["retry_ms"] >= 2000


async def test_a_failure_with_a_status_keeps_it_and_the_request_id(bench):
    wrong = ProviderError("no such model", ErrorType.NOT_FOUND, status_code=404, request_id="r-9")
    service, _ = service_with(wrong)
    await bench.run(prompts(1), service)
    (line,) = bench.lines()
    assert (line["response"]["status_code"], line["response"]["request_id"]) == (404, "r-9")
    assert line["error"] == {"code": "not_found", "message": "no such model"}


async def test_what_a_step_made_stands_beside_the_models_own_words(bench):
    service, _ = service_with("42", pipeline=[float, lambda number: {"n": number, "nan": float("nan")}])
    await bench.run(prompts(1), service)
    (line,) = bench.lines()
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "42"
    assert line["penstock"]["content"] == {"n": 42.0, "nan": None}


async def test_half_a_character_from_a_model_does_not_lose_its_row(bench):
    service, _ = service_with("\ud800")
    await bench.run(prompts(1), service)
    assert bench.lines()[0]["response"]["body"]["choices"][0]["message"]["content"] == "\ud800"


async def test_content_too_deep_for_json_does_not_lose_its_row(bench):
    def deep(_):
        value: list[object] = []
        for _ in range(100_000):
            value = [value]
        return value

    service, _ = service_with("x", pipeline=[deep])
    await bench.run(prompts(1), service)
    assert bench.lines()[0]["custom_id"] == "row-1"
