"""Gemini's generateContent over HTTP, as a client sees it."""

import json
import re

import pytest

PATH = "/v1beta/models/sim-1:generateContent"
RPC = "type.googleapis.com/google.rpc."


@pytest.fixture
def gemini(apis):
    return apis["gemini"]


def details_of(answer):
    return {detail["@type"].removeprefix(RPC): detail for detail in answer.json()["error"].get("details", ())}


def test_an_answer_has_candidates_and_usage(serve, client, gemini):
    body = gemini.whole(client(serve())).json()
    (candidate,) = body["candidates"]
    assert (candidate["finishReason"], candidate["index"]) == ("STOP", 0)
    assert candidate["content"]["role"] == "model"
    assert (body["modelVersion"], len(body["responseId"])) == ("sim-1", 22)
    usage = body["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert usage["candidatesTokensDetails"] == [{"modality": "TEXT", "tokenCount": usage["candidatesTokenCount"]}]


def test_a_stream_ends_with_a_reason_and_the_whole_usage(serve, client, gemini, events_of):
    one = client(serve())
    answer = gemini.stream(one)
    *first, last = events_of(answer)
    assert answer.text.endswith("\r\n\r\n")
    assert all("finishReason" not in event["candidates"][0] for event in first)
    assert all("candidatesTokenCount" not in event["usageMetadata"] for event in first)
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"] == gemini.whole(one).json()["usageMetadata"]
    assert len({event["responseId"] for event in [*first, last]}) == 1


def test_a_stream_that_is_not_asked_for_as_events_is_a_list(serve, client, gemini, events_of):
    one = client(serve())
    answer = one.post("/v1beta/models/sim-1:streamGenerateContent", json=gemini.ask())
    assert answer.headers["content-type"] == "application/json"
    assert gemini.said(answer.json()) == gemini.said(events_of(gemini.stream(one)))


@pytest.mark.parametrize("version", ["v1", "v1alpha", "v1beta"])
@pytest.mark.parametrize("name", ["models/gemini-2.5-flash", "tunedModels/mine-1", "models/with%20space"])
def test_the_model_stands_in_the_path(serve, client, gemini, version, name):
    answer = client(serve()).post(f"/{version}/{name}:generateContent", json=gemini.ask())
    expected = {"models/gemini-2.5-flash": "gemini-2.5-flash", "models/with%20space": "with space"}
    assert answer.json()["modelVersion"] == expected.get(name, name)


@pytest.mark.parametrize("path", ["/v1beta/models/x:embed", "/v1beta/models/a/b:generateContent"])
def test_other_paths_are_unknown(serve, client, gemini, path):
    assert client(serve()).post(path, json=gemini.ask()).status_code == 404


def test_several_candidates_are_given_and_text_may_be_cut(serve, client, gemini, events_of):
    one = client(serve())
    config = {"candidateCount": 2, "maxOutputTokens": 3}
    body = gemini.whole(one, generationConfig=config).json()
    assert [each["index"] for each in body["candidates"]] == [0, 1]
    assert {each["finishReason"] for each in body["candidates"]} == {"MAX_TOKENS"}
    events = events_of(gemini.stream(one, generationConfig=config))
    assert {event["candidates"][0]["index"] for event in events} == {0, 1}
    assert [event["usageMetadata"].get("candidatesTokenCount") for event in events][-1] == 6


def test_names_may_be_written_with_underscores(serve, client, gemini):
    config = {"max_output_tokens": 3, "response_mime_type": "text/plain"}
    body = gemini.whole(client(serve()), generation_config=config, system_instruction={"parts": [{"text": "Hi"}]})
    assert body.json()["usageMetadata"]["candidatesTokenCount"] == 3
    assert body.json()["usageMetadata"]["promptTokenCount"] > 7


@pytest.mark.parametrize(
    "config",
    [
        {"responseJsonSchema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        {"responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}},
    ],
)
def test_json_is_answered_where_a_schema_is_given(serve, client, gemini, config):
    config = {"responseMimeType": "application/json", **config}
    text = gemini.text(gemini.whole(client(serve()), generationConfig=config).json())
    assert re.fullmatch(r'\{"a":-?\d+\}', text)


@pytest.mark.parametrize(
    ("calling", "called"),
    [
        ({"mode": "ANY"}, True),
        ({"mode": "ANY", "allowedFunctionNames": ["get_weather"]}, True),
        ({"mode": "ANY", "allowedFunctionNames": ["other"]}, False),
        ({"mode": "NONE"}, False),
        ({"mode": "VALIDATED"}, False),
    ],
)
def test_a_mode_of_calling_is_kept_to(serve, client, gemini, calling, called):
    body = gemini.whole(client(serve()), tools=True, toolConfig={"functionCallingConfig": calling}).json()
    assert ("functionCall" in body["candidates"][0]["content"]["parts"][0]) is called


def test_after_the_result_of_a_call_the_model_speaks(serve, client, gemini):
    one = client(serve())
    called = gemini.whole(one, question="Use get_weather.", tools=True).json()["candidates"][0]["content"]
    result = {"functionResponse": {"name": "get_weather", "response": {"output": "3 degrees"}}}
    asked = {"role": "user", "parts": [{"text": "Use get_weather."}]}
    turns = [asked, called, {"role": "user", "parts": [result]}]
    assert gemini.text(gemini.whole(one, tools=True, contents=turns).json())


# ---------------------------------------------------------------- limits and errors


def test_a_refusal_for_the_rate_has_its_details_and_no_header_tells_the_limits(serve, client, gemini):
    one = client(serve(rpm=2, tpm=100_000, limiter="fixed"))
    answers = [gemini.whole(one) for _ in range(5)]
    refused = answers[-1]
    assert (refused.status_code, refused.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert set(details_of(refused)) == {"QuotaFailure", "RetryInfo"}
    (violation,) = details_of(refused)["QuotaFailure"]["violations"]
    assert (violation["quotaValue"], violation["quotaDimensions"]["model"]) == ("2", "sim-1")
    assert "PerMinute" in violation["quotaId"]
    assert re.fullmatch(r"[\d.]+s", details_of(refused)["RetryInfo"]["retryDelay"])
    assert not [name for answer in answers for name in answer.headers if "ratelimit" in name or "retry" in name]


def test_only_the_prompt_counts_against_the_tokens(serve, client, gemini):
    server = serve(tpm=1000)
    assert gemini.whole(client(server), most=100_000).status_code == 200
    assert server.stats.charged_tokens == 7


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429", (429, "RESOURCE_EXHAUSTED", {"QuotaFailure", "RetryInfo"})),
        ("429-none", (429, "RESOURCE_EXHAUSTED", {"QuotaFailure"})),
        ("quota", (429, "RESOURCE_EXHAUSTED", {"QuotaFailure"})),
        ("401", (400, "INVALID_ARGUMENT", {"ErrorInfo", "LocalizedMessage"})),
        ("403", (400, "FAILED_PRECONDITION", set())),
        ("404", (404, "NOT_FOUND", set())),
        ("context", (400, "INVALID_ARGUMENT", set())),
        ("500", (500, "INTERNAL", set())),
        ("503", (503, "UNAVAILABLE", set())),
    ],
)
def test_an_error_has_its_status_and_details(serve, client, gemini, fault, expected):
    answer = gemini.whole(client(serve(script=fault)))
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    assert (error["code"], error["status"], set(details_of(answer))) == expected


def test_a_quota_that_is_used_up_is_one_of_the_day(serve, client, gemini):
    (violation,) = details_of(gemini.whole(client(serve(script="quota"))))["QuotaFailure"]["violations"]
    assert "PerDay" in violation["quotaId"]


def test_an_error_in_mid_stream_comes_as_lines_and_not_as_an_event(serve, client, gemini):
    text = gemini.stream(client(serve(script="error-event"))).text
    tail = text[text.rindex("data: ") :].partition("\r\n\r\n")[2]
    assert json.loads(tail)["error"]["status"] == "INTERNAL"


def test_the_key_may_stand_in_the_address(serve, client, gemini):
    one = client(serve(api_key="right key+1"))
    assert one.post(f"{PATH}?key=right%20key%2B1", json=gemini.ask()).status_code == 200
    wrong = one.post(f"{PATH}?key=wrong", json=gemini.ask())
    assert details_of(wrong)["ErrorInfo"]["reason"] == "API_KEY_INVALID"
    none = one.post(PATH, json=gemini.ask())
    assert (none.status_code, none.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "x"}, "contents"),
        ({"contents": [5]}, "contents[0]"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [5]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 9}}, "generationConfig.candidateCount"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations.name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig.functionCallingConfig.mode"),
    ],
)
def test_a_bad_field_is_a_400_that_says_which(serve, client, gemini, more, field):
    answer = client(serve()).post(PATH, json={**gemini.ask(), **more})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    (violation,) = details_of(answer)["BadRequest"]["fieldViolations"]
    assert violation["field"] == field


def test_a_role_that_does_not_exist_is_refused(serve, client):
    answer = client(serve()).post(PATH, json={"contents": [{"role": "boss", "parts": [{"text": "x"}]}]})
    assert answer.json()["error"]["message"] == "Please use a valid role: user, model."


def test_a_body_that_is_no_json_is_a_400(serve, client):
    assert client(serve()).post(PATH, content=b"{").json()["error"]["code"] == 400


def test_the_models_are_listed(serve, client):
    one = client(serve(models=("gemini-2.5-flash", "gemini-2.5-pro")))
    models = one.get("/v1beta/models").json()["models"]
    assert [model["name"] for model in models] == ["models/gemini-2.5-flash", "models/gemini-2.5-pro"]
    assert one.get("/v1beta/models/gemini-2.5-pro").json() == models[1]
    missing = one.get("/v1beta/models/other")
    assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
