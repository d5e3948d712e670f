"""Faults: how they are named and dealt, and what each looks like on a real socket."""

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from penstock_sim.faults import FAULTS, Damage, FaultError, FaultPlan, parse_script
from penstock_sim.simulation import wall_clock

CHAT = "/v1/chat/completions"


# ---------------------------------------------------------------- names, scripts, rates


def names(script):
    return [fault.name if fault else "ok" for fault in parse_script(script)]


def test_a_script_is_read_in_order_with_repeats():
    assert names(" ok*3,429, 500,stall,, ok*0 ") == ["ok", "ok", "ok", "429", "500", "stall"]
    assert names("") == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("429,stal", "unknown fault 'stal': did you mean 'stall'"),
        ("", "unknown fault ''"),
        ("ok:3", "unknown fault 'ok'"),
        ("ok*x", "whole number"),
        ("ok*-1", "whole number"),
        ("ok*9999999999", "at most"),
        ("stall:3", "takes no seconds"),
        ("slow:soon", "seconds must be a number"),
        ("slow:-1", "seconds must be a number"),
        ("429:nan", "seconds must be a number"),
    ],
)
def test_a_script_that_cannot_be_understood_is_refused_in_words(script, message):
    with pytest.raises(FaultError, match=message):
        parse_script(script or "*2")


@pytest.mark.parametrize(
    ("rates", "message"),
    [([("429", 1.5)], "from 0 to 1"), ([("429", float("nan"))], "from 0 to 1"), ([("429", 0.6), ("500", 0.6)], "1.2")],
)
def test_rates_that_cannot_be_are_refused(rates, message):
    with pytest.raises(FaultError, match=message):
        FaultPlan(rates)


def test_faults_are_dealt_at_their_rates_and_the_same_again():
    plan = FaultPlan([("429", 0.2), ("500", 0.1)], script="reset,ok", seed=3)
    first = [plan.next() for _ in range(10_002)]
    assert first[0] is not None
    assert first[0].name == "reset"
    assert first[1] is None
    assert plan.dealt["429"] == pytest.approx(2000, rel=0.1)
    assert plan.dealt["500"] == pytest.approx(1000, rel=0.1)
    plan.reset()
    assert [plan.next() for _ in range(10_002)] == first


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429", (429, "requests", "rate_limit_exceeded")),
        ("too-large", (429, "tokens", "rate_limit_exceeded")),
        ("quota", (429, "insufficient_quota", "insufficient_quota")),
        ("401", (401, "invalid_request_error", "invalid_api_key")),
        ("403", (403, "request_forbidden", "unsupported_country_region_territory")),
        ("404", (404, "invalid_request_error", "model_not_found")),
        ("context", (400, "invalid_request_error", "context_length_exceeded")),
        ("500", (500, "server_error", None)),
        ("503", (503, "service_unavailable_error", "service_unavailable")),
        ("error-event", (500, "server_error", None)),
    ],
)
def test_an_error_has_its_status_type_and_code(serve, client, chat, fault, expected):
    answer = client(serve(script=fault)).post(CHAT, json=chat())
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == expected
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


@pytest.mark.parametrize(
    ("fault", "hints"),
    [
        ("429:1.25", {"retry-after": "2", "retry-after-ms": "1250"}),
        ("429-seconds:1.25", {"retry-after": "2"}),
        ("429-float:1.25", {"retry-after": "1.25"}),
        ("429-ms:1.25", {"retry-after-ms": "1250"}),
        ("429-retry-info:1.25", {}),
        ("429-none", {}),
        ("503-retry-after:3", {"retry-after": "3"}),
        ("503", {}),
        ("quota", {}),
    ],
)
def test_each_dialect_hints_in_its_own_way(serve, client, chat, fault, hints):
    answer = client(serve(script=fault)).post(CHAT, json=chat())
    assert {name: value for name, value in answer.headers.items() if name.startswith("retry")} == hints
    details = answer.json()["error"].get("details")
    if "retry-info" in fault:
        assert details == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.25s"}]
    else:
        assert details is None


def test_a_date_hint_is_a_date_not_too_early(serve, client, chat):
    now = wall_clock()()
    answer = client(serve(script="429-date:30")).post(CHAT, json=chat())
    assert now + 30 <= parsedate_to_datetime(answer.headers["retry-after"]).timestamp() <= now + 36


# ---------------------------------------------------------------- damage


def test_every_damage_has_a_name():
    assert {effect for effect in FAULTS.values() if isinstance(effect, Damage)} == set(Damage)


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_first_byte_is_slow(serve, raw, chat, stream):
    server = serve(script="slow:60")
    one = raw(server)
    one.post(chat(stream=stream))
    one.socket.settimeout(0.1)
    assert one.read_until_silent() == b""
    assert server.stats.in_flight == 1


def test_a_stalled_stream_sends_whole_events_and_then_nothing(serve, raw, chat):
    one = raw(serve(script="stall"))
    one.post(chat(stream=True))
    data = one.read_until_silent()
    assert data.startswith(b"HTTP/1.1 200")
    assert data.count(b"data: ") >= 5
    assert data.endswith(b"\n\n\r\n")
    assert b"[DONE]" not in data


def test_a_stalled_body_is_half_a_body(serve, raw, chat):
    one = raw(serve(script="stall"))
    one.post(chat())
    head, _, body = one.read_until_silent().partition(b"\r\n\r\n")
    declared = int(head.partition(b"content-length: ")[2].split()[0])
    assert len(body) == declared // 2


def test_a_torn_stream_is_cut_within_an_event(serve, client, chat):
    lines = []
    with client(serve(script="torn")).stream("POST", CHAT, json=chat(stream=True)) as answer:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            lines += answer.iter_lines()
        assert answer.status_code == 200
    events = [line for line in lines if line]
    json.loads(events[0].removeprefix("data: "))
    assert len(events) >= 5


def test_a_torn_body_ends_before_its_length(serve, client, chat):
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client(serve(script="torn")).post(CHAT, json=chat())


def events_of(answer):
    assert answer.status_code == 200
    return [event.removeprefix("data: ") for event in answer.text.split("\n\n") if event]


def test_an_unfinished_stream_ends_cleanly_without_an_end(serve, client, chat):
    events = events_of(client(serve(script="unfinished")).post(CHAT, json=chat(stream=True)))
    assert all(json.loads(event)["choices"][0]["finish_reason"] is None for event in events)


def test_an_error_comes_in_the_middle_of_a_stream(serve, client, chat):
    *good, last = events_of(client(serve(script="error-event")).post(CHAT, json=chat(stream=True)))
    assert all("choices" in json.loads(event) for event in good)
    assert json.loads(last)["error"]["type"] == "server_error"


@pytest.mark.parametrize("stream", [False, True])
def test_malformed_json_comes_with_a_200(serve, client, chat, stream):
    answer = client(serve(script="malformed")).post(CHAT, json=chat(stream=stream))
    texts = events_of(answer) if stream else [answer.text]
    broken = 0
    for text in texts:
        try:
            json.loads(text)
        except ValueError:
            broken += text != "[DONE]"
    assert answer.status_code == 200
    assert broken == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_answer_is_a_200_with_nothing_in_it(serve, client, chat, stream):
    one = client(serve(script="empty"))
    answer = one.post(CHAT, json=chat(stream=stream))
    assert (answer.status_code, answer.content) == (200, b"")
    assert one.post(CHAT, json=chat()).json()["choices"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_oversized_answer_is_valid_and_very_long(serve, client, chat, stream):
    answer = client(serve(script="oversized", oversized_bytes=3_000_000)).post(CHAT, json=chat(stream=stream))
    assert len(answer.content) > 3_000_000
    assert answer.text.endswith("data: [DONE]\n\n") if stream else answer.json()["choices"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_is_reset(serve, raw, chat, stream):
    one = raw(serve(script="reset"))
    one.post(chat(stream=stream))
    with pytest.raises(ConnectionResetError):
        one.read_all()


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_is_closed_without_an_answer(serve, raw, chat, stream):
    one = raw(serve(script="close"))
    one.post(chat(stream=stream))
    assert one.read_all() == b""


# ---------------------------------------------------------------- at run time


def test_a_script_can_be_set_at_run_time_and_a_reset_brings_back_the_first_one(serve, client, chat):
    one = client(serve(script="500"))
    assert one.post("/sim/script", json={"script": "503,ok"}).status_code == 200
    assert [one.post(CHAT, json=chat()).status_code for _ in range(3)] == [503, 200, 200]
    assert one.get("/sim/stats").json()["faults"] == {"503": 1}
    one.post("/sim/reset")
    assert one.get("/sim/stats").json()["requests"] == 0
    assert one.post(CHAT, json=chat()).status_code == 500


@pytest.mark.parametrize("body", [b"", b"[]", b'{"script": 5}', b'{"script": "nonsense"}'])
def test_a_bad_script_is_refused_and_the_old_one_stays(serve, client, chat, body):
    one = client(serve(script="500"))
    assert one.post("/sim/script", content=body).status_code == 400
    assert one.post(CHAT, json=chat()).status_code == 500


def test_a_request_that_the_limiter_refuses_uses_up_no_fault(serve, client, chat):
    one = client(serve(script="500,503", rpm=1))
    assert [one.post(CHAT, json=chat()).status_code for _ in range(2)] == [500, 429]
    assert one.get("/sim/stats").json()["faults"] == {"500": 1}
