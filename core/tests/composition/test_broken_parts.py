"""Parts of plugins that break at run time: each failure names the part and its distribution, and the rest goes on."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

from penstock import ErrorType, GenerationRequest, Service
from penstock.config import parse_config
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio

HEAD = """
    import asyncio

    from penstock import *
    from penstock.contracts import NEVER

    penstock_api = 1
"""
GATE = (
    HEAD
    + """
    class Permitted(Permit):
        def settle(self, outcome, now):
            pass

    class Night(Gate):
        name = "night"
        def delay(self, demand, now):
            return 0.0
        def take(self, demand, now):
            return Permitted()
        {method}

    @hookimpl
    def penstock_gates():
        return [Registration("night", Night)]
"""
)
PROVIDER = (
    HEAD
    + """
    class Acme(BaseLLMProvider):
        name = "acme"
        def convert_request(self, request):
            return {{"request": request}}
        async def _invoke_impl(self, payload):
            return "ok", None
        {method}

    @hookimpl
    def penstock_providers():
        return [Registration("acme", Acme)]
"""
)
STEP = (
    HEAD
    + """
    class Mend(PipelineStep):
        name = "mend"
        {method}

    @hookimpl
    def penstock_steps():
        return [Registration("mend", Mend)]
"""
)
SINK = (
    HEAD
    + """
    class Deaf(MetricsSink):
        name = "deaf"
        def record(self, event):
            raise KeyError("oops")

    @hookimpl
    def penstock_sinks():
        return [Registration("deaf", Deaf)]
"""
)


def service_of(site, source: str, **config) -> Service:
    """A service with the one plugin penstock-acme 2.3, and a scripted provider beside its own."""
    site.install("acme", source, version="2.3")
    return Service.from_config(
        parse_config(config),
        registry=site.load("acme"),
        providers=[ScriptedProvider()],
        default_model="fake/m",
        max_rpm=None,
    )


# ---------------------------------------------------------------- gates

NIGHT = {"gates": [{"use": "night", "match": "*"}]}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("def delay(self, demand, now): raise KeyError('oops')", "raised KeyError: 'oops', in delay"),
        ("def delay(self, demand, now): return None", "raised TypeError: '>' not supported"),
        ("def delay(self, demand, now): return float('nan')", "raised ValueError: nan is no delay, in delay"),
        ("def take(self, demand, now): raise KeyError('oops')", "raised KeyError: 'oops', in take"),
        ("def applies_to(self, model, operation): raise KeyError('oops')", "raised KeyError: 'oops', in applies_to"),
        ("def watch(self, callback): raise KeyError('oops')", "raised KeyError: 'oops', in watch"),
    ],
)
async def test_a_gate_that_raises_fails_the_request_by_name_and_hangs_no_queue(site, method, reason):
    async with service_of(site, GATE.format(method=method), **NIGHT) as service:
        with anyio.fail_after(60):
            results = [result async for result in service.generate_many(["one", "two", "three"])]
        in_flight = service.snapshot().in_flight
    assert in_flight == 0
    for result in results:
        assert result.error_type is ErrorType.UNKNOWN
        assert str(result.error_message).startswith(f"gate 'night' of penstock-acme 2.3 {reason}")
        assert result.attempts == ()


async def test_a_gate_that_raises_while_others_wait_fails_its_own_request_alone(site):
    method = """
        asked = 0
        def delay(self, demand, now):
            self.asked += 1
            if self.asked == 1:
                self.opens = now + 10.0
            if self.asked == 3:
                raise KeyError("oops")
            return self.opens - now
    """
    async with service_of(site, GATE.format(method=method), **NIGHT) as service:
        with anyio.fail_after(60):
            results = [result async for result in service.generate_many(["one", "two", "three"])]
    assert sorted(result.success for result in results) == [False, True, True]


async def test_a_gate_of_the_program_itself_is_named_by_its_class(site):
    source = GATE.format(method="def take(self, demand, now): raise KeyError('oops')")
    site.install("acme", source)
    night = site.load("acme").build("gate", "night")
    type(night).__module__ = "my_program"
    async with Service(providers=[ScriptedProvider()], gates=[night], default_model="fake/m") as service:
        result = await service.generate_output_async("one")
    assert result.error_message == "gate 'night' (my_program.Night) raised KeyError: 'oops', in take"


async def test_a_gate_that_cannot_tell_its_figures_costs_no_other_its_own(site, caplog):
    method = "def snapshot(self, now): raise KeyError('oops')"
    config = {"gates": [{"use": "night"}, {"use": "tpm", "limit": 7}]}
    async with service_of(site, GATE.format(method=method), **config) as service:
        await service.generate_output_async("one")
        night, tpm = service.snapshot().gates
    assert (night.name, night.limit, tpm.name, tpm.limit) == ("night", None, "tpm", 7)
    assert "gate 'night' of penstock-acme 2.3 could not tell its figures" in caplog.text


async def test_a_permit_that_cannot_be_settled_is_logged(site, caplog):
    method = """
        def take(self, demand, now):
            return None
    """
    async with service_of(site, GATE.format(method=method), **NIGHT) as service:
        result = await service.generate_output_async("one")
    assert result.success
    assert "gate 'night' of penstock-acme 2.3: its permit could not be settled: None" in caplog.text


# ---------------------------------------------------------------- providers

ASK_ACME = GenerationRequest(prompt="one", model="acme/m")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("def convert_request(self, request): raise KeyError('oops')", "raised KeyError: 'oops'"),
        ("def estimate(self, request): raise KeyError('oops')", "raised KeyError: 'oops'"),
        ("async def _invoke_impl(self, payload): raise KeyError('oops')", "raised KeyError: 'oops'"),
        ("def convert_request(self, request): request.model = 'other'", "raised FrozenInstanceError"),
        ("def convert_request(self, request): request.messages.append('x')", "raised AttributeError"),
    ],
)
async def test_a_provider_that_raises_in_every_call_is_named_and_the_others_answer(site, method, reason):
    async with service_of(site, PROVIDER.format(method=method)) as service:
        results = [await service.generate_output_async(ASK_ACME) for _ in range(3)]
        other = await service.generate_output_async("one")
    assert other.success
    for result in results:
        assert result.error_type is ErrorType.UNKNOWN
        assert str(result.error_message).startswith(f"provider 'acme' of penstock-acme 2.3 {reason}")
        assert (result.provider, result.request) == ("acme", ASK_ACME)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])  # trio's virtual time does not wait for threads
async def test_the_log_shows_the_line_of_a_provider_that_raised(site, caplog):
    method = "def _invoke_impl(self, payload): return payload['oops'], None"
    async with service_of(site, PROVIDER.format(method=method)) as service:
        await service.generate_output_async(ASK_ACME)
    assert method.partition(": ")[2] in caplog.text


async def test_a_provider_of_another_answer_than_promised_is_named(site):
    method = "async def _invoke_impl(self, payload): return 'ok'"
    async with service_of(site, PROVIDER.format(method=method)) as service:
        result = await service.generate_output_async(ASK_ACME)
    assert result.error_message == "provider 'acme' returned 'ok', not a tuple of content and usage"


# ---------------------------------------------------------------- steps and sinks

MEND = {"pipeline": [{"use": "mend"}]}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("def process(self, content, context): raise KeyError('oops')", "oops"),
        ("async def process(self, content, context): raise KeyError('oops')", "oops"),
        ("def process(self, content, context): context.request.prompt = 'other'", "can't set attribute"),
        ("def process(self, content, context): context.reply.content = 'other'", "can't set attribute"),
    ],
)
async def test_a_step_that_raises_in_every_call_is_named_and_the_raw_text_stands(site, method, reason):
    async with service_of(site, STEP.format(method=method), **MEND) as service:
        results = [await service.generate_output_async("one") for _ in range(3)]
    for result in results:
        assert (result.success, result.degraded, result.content, result.request.prompt) == (True, True, "ok", "one")
        (step,) = result.pipeline_results
        assert (step.step_name, step.success) == ("mend", False)
        assert reason in str(step.error_message)


async def test_a_sink_that_raises_at_every_event_is_named_and_delays_nobody(site, caplog):
    async with service_of(site, SINK, sinks=[{"use": "deaf"}]) as service:
        results = [await service.generate_output_async("one") for _ in range(3)]
    assert all(result.success for result in results)
    (sink,) = service.snapshot().sinks
    assert (sink.name, sink.recorded) == ("deaf", 0)
    assert sink.failed >= 9  # three events of each request
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "sink deaf failed: KeyError: 'oops'"
    ]


# ---------------------------------------------------------------- tasks left behind

LEAKY_STEP = STEP.format(
    method="""
        left = []
        async def process(self, content, context):
            self.left.append(asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left by mend"))
            return content.upper()
    """
)
LEAKY_PROVIDER = PROVIDER.format(
    method="""
        left = []
        async def _invoke_impl(self, payload):
            self.left.append(asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left by acme"))
            return "ok", None
    """
)


@pytest.mark.parametrize(
    ("part", "source", "model"), [("mend", LEAKY_STEP, "fake/m"), ("acme", LEAKY_PROVIDER, "acme/m")]
)
def test_a_task_left_behind_is_named_and_cancelled_when_the_service_closes(site, caplog, part, source, model):
    with service_of(site, source, **(MEND if part == "mend" else {})) as service:
        results = [service.generate_output(GenerationRequest(prompt="one", model=model)) for _ in range(3)]
    assert all(result.success for result in results)
    (message,) = caplog.messages
    assert message.startswith("3 tasks that a provider or a step started still run when the service closes")
    assert message.endswith(f": left by {part}")


def test_a_clean_close_leaves_nothing_to_tell(site, caplog):
    with service_of(site, SINK) as service:
        assert all(result.success for result in service.generate_many(["one"] * 50))
        with service.stream("one") as stream:
            next(iter(stream))
    assert caplog.messages == []


def test_a_task_left_behind_on_the_programs_loop_stays_the_programs(site):
    async def main() -> list[str]:
        async with service_of(site, LEAKY_STEP, **MEND) as service:
            assert (await service.generate_output_async("one")).success
        return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(main()) == ["left by mend"]
