"""The fixtures that pytest finds by itself, and the fakes and samples that authors' tests stand on."""

import json

import anyio
import pytest

from penstock import ErrorType, GenerationRequest, Service
from penstock.schema import RequestEnded
from penstock.testing import ScriptedGenerate, odd_events, sample_events, sample_result, step_context


@pytest.fixture
def anyio_backend(penstock_virtual_time):
    return penstock_virtual_time


@pytest.mark.anyio
async def test_an_hour_takes_a_moment(penstock_provider, penstock_sink):
    provider = penstock_provider(["late"], latency_s=3600)
    async with Service(providers=[provider], sinks=[penstock_sink], attempt_timeout_s=None) as service:
        result = await service.generate_output_async({"model": "fake/m", "prompt": "hi"})
    assert result.content == "late"
    assert result.elapsed_ms == pytest.approx(3.6e6, rel=0.01)
    assert isinstance(penstock_sink.events[-1], RequestEnded)


def test_the_clock_stands_still_until_it_is_told(penstock_clock):
    before = penstock_clock.now()
    penstock_clock.advance(90)
    assert penstock_clock.now() - before == 90


@pytest.mark.anyio
async def test_a_step_context_is_answered_by_the_script(penstock_step_context):
    context = penstock_step_context("text", answers=["yes"])
    result = await context.generate(GenerationRequest(prompt="Is it?"))
    assert (context.reply.content, result.content) == ("text", "yes")


@pytest.mark.anyio
async def test_scripted_answers_come_in_turn_and_the_last_one_stays():
    failure = sample_result(error_type=ErrorType.TIMEOUT)
    generate = ScriptedGenerate(["one", lambda request: f"{request.prompt}!", failure], latency_s=10)
    began = anyio.current_time()
    results = [await generate(GenerationRequest(prompt=text)) for text in ("a", "b", "c", "d")]
    assert [result.content for result in results] == ["one", "b!", None, None]
    assert results[-1] is failure
    assert [request.prompt for request in generate.requests] == ["a", "b", "c", "d"]
    assert anyio.current_time() - began == pytest.approx(40)


def test_a_context_of_a_content_that_is_no_text_still_has_a_reply():
    assert step_context({"a": 1}).reply.content == "{'a': 1}"


def test_a_sample_is_like_what_the_engine_makes():
    success, failure = sample_result("text"), sample_result(error_type=ErrorType.HTTP_429)
    assert success.success
    assert success.error_type is None
    assert (failure.success, failure.content, failure.attempts[0].error_type) == (False, None, ErrorType.HTTP_429)
    assert sample_result("text", trace_id="mine").trace_id == "mine"


def test_odd_events_have_every_error_and_one_class_that_nobody_knows():
    events = odd_events()
    errors = {event.result.error_type for event in events if isinstance(event, RequestEnded)}
    assert set(ErrorType) <= errors
    assert type(events[-1]).__module__ != type(sample_events()[0]).__module__


@pytest.mark.parametrize("event", sample_events(), ids=lambda event: type(event).__name__)
def test_a_sample_event_is_json_there_and_back(event):
    assert type(event).from_dict(json.loads(json.dumps(event.to_dict()))) == event
