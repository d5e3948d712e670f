"""The service from sync code and across event loops, in real time: nothing here waits long."""

import asyncio
import subprocess
import sys
import textwrap
import threading

import anyio
import pytest

from penstock import ErrorType, GenerationRequest, RetryPolicy, Service
from penstock.testing import RecordingSink, ScriptedProvider


def service(*lines, **options):
    options = {"max_rpm": None, "default_model": "fake/m", **options}
    return Service(providers=[ScriptedProvider(lines or ("ok",))], **options)


def test_b40_a_script_needs_no_event_loop():
    with service("fine") as s:
        assert s.generate_output("x").content == "fine"


def test_b40_a_service_that_nobody_entered_works_and_can_be_closed():
    s, sink = service(), RecordingSink()
    s.close()
    s = service(sinks=[sink])
    assert s.generate_output("x").success
    s.close()
    s.close()
    assert len(sink.events) == 3
    assert s.generate_output("x").error_type is ErrorType.SERVICE_CLOSED


def test_b40_several_asyncio_runs_in_a_row_share_one_service():
    with service() as s:
        assert [asyncio.run(s.generate_output_async("x")).success for _ in range(3)] == [True] * 3
        assert s.snapshot().requests == 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_b33_the_sync_call_works_while_a_loop_runs_as_in_a_notebook(backend):
    with service("fine") as s:

        async def cell():
            return s.generate_output("x").content, (await s.generate_output_async("y")).content

        assert anyio.run(cell, backend=backend) == ("fine", "fine")


def test_b18_many_threads_at_once_are_counted_exactly():
    with service() as s:
        threads = [threading.Thread(target=lambda: [s.generate_output("x") for _ in range(25)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        snapshot = s.snapshot()
    assert snapshot.requests == snapshot.succeeded == 200
    assert snapshot.usage.output_tokens == 200


def test_b40_the_sync_call_passes_the_same_gates():
    provider = ScriptedProvider(latency_s=0.01)
    with Service(providers=[provider], max_rpm=None, max_concurrent_requests=2, default_model="fake/m") as s:
        threads = [threading.Thread(target=s.generate_output, args=("x",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert provider.most_in_flight == 2


def test_many_and_streams_work_from_sync_code():
    with service("abcdefgh") as s:
        assert [r.success for r in s.generate_many(str(n) for n in range(5))] == [True] * 5
        with s.stream("x") as stream:
            assert [chunk.text for chunk in stream] == ["abcd", "efgh", ""]
        assert stream.result.content == "abcdefgh"


def test_leaving_a_sync_loop_early_stops_the_rest():
    with service() as s:
        for _ in s.generate_many((str(n) for n in range(10_000)), max_in_flight=4):
            break
    assert s.snapshot().requests < 100


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_and_streams_work_from_another_loop(backend):
    async def items():
        for number in range(3):
            await anyio.lowlevel.checkpoint()
            yield str(number)

    async def main():
        contents = [r.content async for r in s.generate_many(items(), ordered=True)]
        async with s.stream("x") as stream:
            text = "".join([chunk.text async for chunk in stream])
        return contents, text, stream.result.success

    with service("fine") as s:
        assert anyio.run(main, backend=backend) == (["fine"] * 3, "fine", True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_from_another_loop_cancels_at_home(backend):
    provider = ScriptedProvider(latency_s=60)
    with Service(providers=[provider], max_rpm=None, default_model="fake/m") as s:

        async def main():
            with anyio.move_on_after(0.05):
                await s.generate_output_async("x")

        anyio.run(main, backend=backend)
        assert s.snapshot().cancelled == 1
        assert provider.in_flight == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_b53_in_real_time_one_timer_ends_every_call_that_takes_too_long(backend):
    async def main():
        slow, quick = ScriptedProvider(latency_s=60, name="slow"), ScriptedProvider(name="quick")
        policy = RetryPolicy(strategy="none")
        async with Service(providers=[slow, quick], max_rpm=None, attempt_timeout_s=0.05, retry=policy) as s:
            results = []

            async def ask(model):
                results.append(await s.generate_output_async(GenerationRequest(model=model, prompt="x")))

            async with anyio.create_task_group() as tasks:
                for model in ("slow/a", "quick/b", "slow/c"):
                    tasks.start_soon(ask, model)
            return [(r.provider, r.error_type) for r in results if not r.success], slow.in_flight

    failed, in_flight = anyio.run(main, backend=backend)
    assert failed == [("slow", ErrorType.TIMEOUT)] * 2
    assert in_flight == 0


def test_a_sync_provider_runs_in_a_worker_thread_and_blocks_nobody():
    class Blocking(ScriptedProvider):
        def _invoke_impl(self, payload):
            return threading.current_thread().name, None

    with Service(providers=[Blocking()], max_rpm=None, default_model="fake/m") as s:
        assert s.generate_output("x").content != "penstock"


def test_a_service_is_entered_once():
    with service() as s, pytest.raises(RuntimeError, match="once"):
        s.__enter__()


def test_failure_16_an_unclosed_service_drains_its_sinks_and_lets_the_process_end(tmp_path):
    script = f"""
        from penstock import Service
        from penstock.builtin.jsonl_sink import JsonlSink
        from penstock.testing import ScriptedProvider
        service = Service(providers=[ScriptedProvider()], sinks=[JsonlSink({str(tmp_path / "events.jsonl")!r})])
        assert service.generate_output({{"model": "fake/m", "prompt": "x"}}).success
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 4


def test_from_config_a_service_stands_as_the_file_says(tmp_path):
    config = tmp_path / "penstock.toml"
    config.write_text(
        '[service]\nmax_concurrent_requests = 7\n\n[[gates]]\nuse = "rpm"\nlimit = 600\nmatch = "fake/*"\n'
    )
    with Service.from_config(config, providers=[ScriptedProvider()], default_model="fake/m") as s:
        assert [(gate.name, gate.match, gate.limit) for gate in s.snapshot().gates] == [
            ("rpm", "fake/*", 600),
            ("concurrency", "*", 7),
        ]
        assert s.generate_output("x").success


def test_a_limit_given_beside_a_config_replaces_the_files_gate(tmp_path):
    config = tmp_path / "penstock.toml"
    config.write_text('[[gates]]\nuse = "rpm"\nlimit = 100\n\n[[gates]]\nuse = "tpm"\nlimit = 5000\n')
    service = Service.from_config(config, max_rpm=500)
    assert {gate.name: gate.limit for gate in service.snapshot().gates} == {"tpm": 5000, "rpm": 500}


@pytest.mark.parametrize("name", ["max_rpm", "max_tpm", "max_concurrent_requests", "timeout_s", "attempt_timeout_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_b43_failure_4_a_limit_of_zero_or_less_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        Service(**{name: value})


def test_b43_without_arguments_there_are_sensible_limits():
    limits = {gate.name: gate.limit for gate in Service().snapshot().gates}
    assert limits == {"rpm": 100, "concurrency": 100}
    assert Service(max_rpm=None, max_concurrent_requests=None).gates == ()
