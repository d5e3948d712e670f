"""What Chat Completions refuses, and in which words."""

import pytest

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("content", "param", "code"),
    [
        (b"", None, None),
        (b"{", None, None),
        (b"[]", None, None),
        (b"[" * 5000, None, None),
        (b'{"model": "\xff"}', None, None),
        (b"{}", None, None),
        (b'{"model": "m"}', "messages", "missing_required_parameter"),
        (b'{"model": 5, "messages": [{"role": "user", "content": "x"}]}', "model", "invalid_type"),
        (b'{"model": "m", "messages": "x"}', "messages", "invalid_type"),
        (b'{"model": "m", "messages": []}', "messages", "empty_array"),
        (b'{"model": "m", "messages": [5]}', "messages[0]", "invalid_type"),
        (b'{"model": "m", "messages": [{"content": "x"}]}', "messages[0].role", "missing_required_parameter"),
        (b'{"model": "m", "messages": [{"role": "boss", "content": "x"}]}', "messages[0].role", "invalid_value"),
        (b'{"model": "m", "messages": [{"role": {}, "content": "x"}]}', "messages[0].role", "invalid_value"),
        (b'{"model": "m", "messages": [{"role": "user"}]}', "messages[0].content", "missing_required_parameter"),
        (b'{"model": "m", "messages": [{"role": "user", "content": 5}]}', "messages[0].content", "invalid_type"),
        (b'{"model": "m", "messages": [{"role": "user", "content": [5]}]}', "messages[0].content[0]", "invalid_type"),
    ],
)
def test_a_bad_body_is_a_400_that_says_where(serve, client, content, param, code):
    answer = client(serve()).post(CHAT, content=content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"max_tokens": 0}, ("max_tokens", "integer_below_min_value")),
        ({"max_tokens": "5"}, ("max_tokens", "invalid_type")),
        ({"max_tokens": True}, ("max_tokens", "invalid_type")),
        ({"n": 129}, ("n", "integer_above_max_value")),
        ({"stream": "yes"}, ("stream", "invalid_type")),
        ({"stream_options": []}, ("stream_options", "invalid_type")),
        ({"tools": [{"type": "function"}]}, ("tools[0].function", "invalid_type")),
        ({"tools": [{"type": "function", "function": {}}]}, ("tools[0].function.name", "missing_required_parameter")),
        ({"tool_choice": "perhaps"}, ("tool_choice", "invalid_value")),
        ({"tool_choice": {}}, ("tool_choice.function", "missing_required_parameter")),
        ({"response_format": {"type": "xml"}}, ("response_format.type", "invalid_value")),
        ({"response_format": {"type": "json_schema"}}, ("response_format.json_schema", "invalid_type")),
    ],
)
def test_a_bad_option_is_a_400_that_says_which(serve, client, chat, more, expected):
    answer = client(serve()).post(CHAT, json=chat(**more))
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == expected


def test_only_the_right_key_is_let_in_where_one_is_set(serve, client, chat):
    one = client(serve(api_key="sk-right-key-0123456789"))

    def post(**headers):
        answer = one.post(CHAT, json=chat(), headers=headers)
        return answer.status_code, answer.json().get("error", {}).get("code"), answer.text

    assert post(Authorization="Bearer sk-right-key-0123456789")[0] == 200
    assert post()[:2] == (401, None)
    assert post(Authorization="Basic sk-right-key-0123456789")[:2] == (401, None)
    status, code, text = post(Authorization="Bearer sk-wrong-key-0123456789")
    assert (status, code) == (401, "invalid_api_key")
    assert "sk-wrong-key" not in text
    assert one.get("/v1/models").status_code == 401
    assert one.get("/sim/stats").status_code == 200


def test_only_models_that_exist_answer_where_some_are_named(serve, client, chat):
    one = client(serve(models=("gpt-4o-mini", "gpt-4o")))
    assert one.post(CHAT, json=chat()).status_code == 200
    answer = one.post(CHAT, json=chat(model="gpt-5"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert [model["id"] for model in one.get("/v1/models").json()["data"]] == ["gpt-4o-mini", "gpt-4o"]
    assert one.get("/v1/models/gpt-4o").json()["id"] == "gpt-4o"
    assert one.get("/v1/models/gpt-5").status_code == 404


def test_a_conversation_longer_than_the_context_is_refused(serve, client, chat):
    one = client(serve(context_tokens=100))
    for body in (chat("x" * 500), chat(max_tokens=99)):
        answer = one.post(CHAT, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/nothing", (404, "unknown_url")),
        ("GET", CHAT, (405, "method_not_supported")),
        ("POST", "/v1/models", (405, "method_not_supported")),
        ("GET", "/sim/reset", (404, "unknown_url")),
    ],
)
def test_wrong_urls_and_methods_are_told_apart(serve, client, method, path, expected):
    answer = client(serve()).request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == expected
