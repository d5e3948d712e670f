"""Counting tokens over HTTP, as a client sees it: the number of the answer to come, and nothing taken."""

import pytest

MESSAGES = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "How deep is the lake?"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "How deep is the lake?"}]}]}
GEMINI = "/v1beta/models/gemini-2.5-flash"
VERSION = {"anthropic-version": "2023-06-01"}


def test_anthropic_counts_what_the_message_will_use(serve, client):
    one = client(serve())
    counted = one.post("/v1/messages/count_tokens", json=MESSAGES, headers=VERSION)
    message = one.post("/v1/messages", json={**MESSAGES, "max_tokens": 16}, headers=VERSION)
    assert counted.json() == {"input_tokens": message.json()["usage"]["input_tokens"]}
    assert "request-id" in counted.headers


@pytest.mark.parametrize(
    "body", [CONTENTS, {"generateContentRequest": {"model": "models/gemini-2.5-flash", **CONTENTS}}]
)
def test_gemini_counts_what_the_answer_will_use(serve, client, body):
    one = client(serve())
    counted = one.post(f"{GEMINI}:countTokens", json=body).json()
    usage = one.post(f"{GEMINI}:generateContent", json=CONTENTS).json()["usageMetadata"]
    assert counted == {
        "totalTokens": usage["promptTokenCount"],
        "promptTokensDetails": usage["promptTokensDetails"],
    }


def test_counting_takes_nothing_from_the_limits(serve, client):
    server = serve(rpm=1, tpm=1)
    one = client(server)
    for _ in range(3):
        assert one.post(f"{GEMINI}:countTokens", json=CONTENTS).status_code == 200
        assert one.post("/v1/messages/count_tokens", json=MESSAGES, headers=VERSION).status_code == 200
    assert (server.stats.requests, server.stats.charged_tokens, server.stats.prompt_tokens) == (6, 0, 0)


def test_what_cannot_be_read_is_refused_in_the_words_of_the_api(serve, client):
    one = client(serve())
    wrong = one.post("/v1/messages/count_tokens", json={"model": "m"}, headers=VERSION)
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_request_error")
    wrong = one.post(f"{GEMINI}:countTokens", json={})
    assert (wrong.status_code, wrong.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
