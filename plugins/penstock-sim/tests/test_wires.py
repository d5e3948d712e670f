"""What every API does alike: answers, streams, tools, limits and faults, over a real socket."""

import json

import httpx
import pytest

from penstock_sim import SimConfig
from penstock_sim.exchange import Failure, FailureKind, HttpRequest, Stamp
from penstock_sim.simulation import Simulation
from penstock_sim.wire import PATTERNS, ROUTES

WIRES = [*ROUTES.values(), *(wire for _, wire in PATTERNS)]


def test_an_answer_has_a_text_and_its_tokens(serve, client, api):
    answer = api.whole(client(serve()))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    prompt, completion = api.tokens(answer.json())
    assert prompt == 7  # "user: How deep is the lake?"
    assert completion == -(-len(api.text(answer.json())) // 4)


def test_the_same_question_gets_the_same_answer_from_every_api(serve, client, apis):
    one = client(serve())
    answers = {name: api.text(api.whole(one).json()) for name, api in apis.items()}
    assert len(set(answers.values())) == 1, answers
    others = {name: api.text(api.whole(one, question="Why?").json()) for name, api in apis.items()}
    assert len(set(others.values())) == 1, others
    assert set(answers.values()) != set(others.values())


def test_a_stream_says_the_same_as_a_body(serve, client, api, events_of):
    one = client(serve())
    answer = api.stream(one)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = events_of(answer)
    assert len(events) > 5
    assert api.said(events) == api.text(api.whole(one).json())


def test_the_length_is_kept_to(serve, client, api):
    body = api.whole(client(serve(natural_tokens=(100, 100))), most=20).json()
    assert api.tokens(body)[1] == 20
    assert len(api.text(body)) == 80


def test_a_tool_that_the_user_names_is_called_streamed_and_not(serve, client, api, events_of):
    one = client(serve())
    asked = {"question": "Use get_weather.", "tools": True}
    ((name, arguments),) = api.calls(api.whole(one, **asked).json())
    assert name == "get_weather"
    assert set(arguments) == {"city", "days"}
    assert isinstance(arguments["days"], int)
    assert api.asked(events_of(api.stream(one, **asked))) == [(name, arguments)]


def test_a_tool_that_nobody_names_is_not_called(serve, client, api):
    assert api.text(api.whole(client(serve()), tools=True).json())


def test_only_the_right_key_is_let_in_where_one_is_set(serve, client, api):
    one = client(serve(api_key="key-right-0123456789"))
    assert api.whole(one, headers=api.key("key-right-0123456789")).status_code == 200
    wrong = api.whole(one, headers=api.key("key-wrong-0123456789"))
    assert wrong.status_code == api.refused
    assert "key-wrong" not in wrong.text
    assert api.whole(one).status_code in (401, 403)


def test_a_refusal_for_the_rate_says_how_long_to_wait(serve, client, api):
    server = serve(rpm=2, limiter="sliding")
    one = client(server)
    assert [api.whole(one).status_code for _ in range(3)] == [200, 200, 429]
    assert server.stats.refused == {"requests": 1}
    assert 55 < hint_of(api.whole(one)) <= 60


def hint_of(answer: httpx.Response) -> float:
    """The seconds to wait, from wherever the API has them."""
    if "retry-after" in answer.headers:
        return float(answer.headers["retry-after"])
    details = answer.json()["error"]["details"]
    (delay,) = [detail["retryDelay"] for detail in details if "retryDelay" in detail]
    return float(delay.removesuffix("s"))


@pytest.mark.parametrize(
    ("fault", "seconds"), [("429:1.25", 1.25), ("429-seconds:3", 3), ("429-float:1.5", 1.5), ("503-retry-after:2", 2)]
)
def test_a_fault_hints_in_its_dialect_or_as_the_api_does(serve, client, api, fault, seconds):
    answer = api.whole(client(serve(script=fault)))
    assert answer.status_code in (429, 503, 529)
    assert seconds <= hint_of(answer) < seconds + 1


@pytest.mark.parametrize("fault", ["500", "503", "404", "401", "403", "quota", "context", "too-large"])
def test_a_fault_is_an_error_with_a_message(serve, client, api, fault):
    one = client(serve(script=f"{fault}*2"))
    for answer in (api.whole(one), api.stream(one)):
        assert answer.status_code >= 400
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_torn_answer_ends_before_its_end(serve, client, api, stream):
    one = client(serve(script="torn"))
    with pytest.raises(httpx.RemoteProtocolError):
        api.stream(one) if stream else api.whole(one)


def test_an_unfinished_stream_ends_cleanly_and_early(serve, client, api, events_of):
    one = client(serve(script="ok,unfinished"))
    whole, half = events_of(api.stream(one)), events_of(api.stream(one))
    assert 1 < len(half) <= len(whole) // 2 + 1
    assert api.said(whole).startswith(api.said(half))


def test_an_error_in_mid_stream_comes_after_half_of_it(serve, client, api):
    answer = api.stream(client(serve(script="error-event")))
    assert answer.status_code == 200
    assert "error while processing" in answer.text or "Internal server error" in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_malformed_json_comes_with_a_200(serve, client, api, stream):
    one = client(serve(script="malformed"))
    answer = api.stream(one) if stream else api.whole(one)
    assert answer.status_code == 200
    texts = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    broken = [text for text in (texts if stream else [answer.text]) if text != "[DONE]" and not is_json(text)]
    assert len(broken) == 1


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("stream", [False, True])
def test_a_hanging_answer_hangs(serve, raw, api, stream):
    server = serve(script="stall")
    one = raw(server)
    api.raw(one, stream=stream)
    assert one.read_until_silent().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_connection_breaks_without_an_answer(serve, raw, api, fault):
    one = raw(serve(script=fault))
    api.raw(one, stream=False)
    try:
        assert one.read_all() == b""
    except ConnectionResetError:
        assert fault == "reset"


def test_the_counters_count_every_api(serve, client, apis):
    server = serve()
    for api in apis.values():
        api.whole(client(server))
        api.stream(client(server))
    assert server.stats.requests == 8
    assert server.stats.streams == 4
    assert server.stats.statuses == {200: 8}
    assert server.stats.prompt_tokens == 7 * 8


def test_a_model_that_does_not_exist_is_refused(serve, client, api):
    answer = api.whole(client(serve(models=("another",))))
    assert answer.status_code in (400, 404)
    assert "sim-1" in answer.json()["error"]["message"]


def test_another_method_is_refused_in_the_words_of_the_api(serve, client, api):
    answer = client(serve()).get(api.path)
    assert answer.status_code == 405
    assert answer.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused_in_the_words_of_the_api(serve, client, api):
    answer = api.whole(client(serve(max_body_bytes=1000)), question="x" * 2000)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_time_passes_as_it_is_set(serve, client, api, stream):
    one = client(serve(latency_s=0.05, chunk_gap_s=0.001))
    answer = api.stream(one) if stream else api.whole(one)
    assert answer.elapsed.total_seconds() >= 0.05


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: type(wire).__name__)
def test_every_wire_has_words_for_every_failure(wire):
    stamp = Stamp("0" * 32, 1_800_000_000.0, 0)
    for kind in FailureKind:
        failure = Failure(kind, "It went wrong.", model="sim-1", limit=5)
        assert 400 <= wire.status(failure) < 600
        assert json.loads(wire.error(failure, stamp))["error"]["message"]


def test_a_script_can_be_set_from_a_test(serve, client, api):
    server = serve()
    server.script("503*2")
    one = client(server)
    assert [api.whole(one).status_code < 300 for _ in range(3)] == [False, False, True]
    server.reset()
    assert server.stats.requests == 0


@pytest.mark.parametrize("depth", [150, 500, 5000])
def test_deeply_nested_bodies_are_answered(api, depth):
    nested = "[" * depth + "]" * depth
    body = json.dumps(api.ask(metadata={"deep": "X"}))
    headers = {name.encode(): value.encode() for name, value in api.headers.items()}
    sent = HttpRequest("POST", api.path, headers, body.replace('"X"', nested).encode())
    answer = Simulation(SimConfig()).respond(sent)
    assert answer.status == (200 if depth < 200 else 400)
