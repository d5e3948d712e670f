"""Answers and events become replies and chunks; errors their types; whatever else comes is of a known kind."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ErrorType, LLMCallRequest, Message, Usage
from penstock.errors import ProviderError
from penstock.schema import AudioPart, Demand, DocumentPart, ImagePart, TextPart, ToolCall, ToolDefinition
from penstock_gemini.errors import error_of
from penstock_gemini.reply import AnswerReader, reply_of
from penstock_gemini.usage import demand_of, usage_of
from penstock_http.status import UNEXPECTED_SHAPE


def answer(*parts, reason="STOP", **others):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}
    return {"candidates": [candidate], "modelVersion": "m-1", "responseId": "r-1", **others}


# ---------------------------------------------------------------- answers


def test_a_plain_answer():
    reply = reply_of(answer({"text": "h"}, {"text": "i"}, usageMetadata={"promptTokenCount": 3}))
    assert (reply.content, reply.finish_reason, reply.response_model, reply.response_id) == ("hi", "stop", "m-1", "r-1")
    assert reply.usage == Usage(input_tokens=3)


def test_thoughts_are_the_reasoning():
    reply = reply_of(answer({"text": "hm", "thought": True}, {"text": "hi", "thoughtSignature": "s"}))
    assert (reply.content, reply.reasoning) == ("hi", "hm")


def test_tool_calls_have_an_id_a_signature_and_a_finish_reason_of_their_own():
    reply = reply_of(
        answer(
            {"functionCall": {"name": "f", "args": {"a": [1]}}, "thoughtSignature": "s"},
            {"functionCall": {"name": "g", "id": "own"}},
        )
    )
    assert reply.content is None
    assert reply.finish_reason == "tool_calls"
    assert reply.tool_calls == (
        ToolCall(id="r-1-0", name="f", arguments='{"a":[1]}', signature="s"),
        ToolCall(id="own", name="g", arguments="{}"),
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [(0, None), (1, "stop"), (2, "length"), (3, "content_filter"), (4, "content_filter"), (5, "OTHER"), (99, "99")],
)
def test_a_finish_reason_may_be_a_number(number, reason):
    assert reply_of(answer({"text": "hi"}, reason=number)).finish_reason == reason


def test_of_several_candidates_the_first_is_read():
    data = answer({"text": "first"})
    data["candidates"].insert(0, {"index": 1, "content": {"parts": [{"text": "second"}]}})
    assert reply_of(data).content == "first"


def test_a_blocked_prompt_is_a_content_filter_error():
    with pytest.raises(ProviderError, match="SAFETY") as caught:
        reply_of({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
    assert caught.value.error_type is ErrorType.CONTENT_FILTER
    assert caught.value.usage == Usage(input_tokens=4)


def test_a_stream_that_came_as_a_list_is_one_answer():
    first = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}], "responseId": "r"}
    second = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "g"}}]}, "finishReason": "STOP"}]}
    reply = reply_of([first, second])
    assert [call.name for call in reply.tool_calls] == ["f", "g"]
    assert len({call.id for call in reply.tool_calls}) == 2
    assert reply.finish_reason == "tool_calls"


@pytest.mark.parametrize("data", [{}, [], {"candidates": []}, {"candidates": [{"content": {"parts": [{"text": 5}]}}]}])
def test_what_is_no_answer_is_not_taken_for_one(data):
    with pytest.raises(UNEXPECTED_SHAPE):
        reply_of(data)


def test_an_event_that_says_nothing_is_none_and_an_error_event_is_an_error():
    assert AnswerReader().read({"responseId": "r"}) is None
    with pytest.raises(ProviderError) as caught:
        AnswerReader().read({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})
    assert (caught.value.error_type, caught.value.status_code) == (ErrorType.OVERLOADED, 503)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
WORDS = ["candidates", "content", "parts", "text", "functionCall", "name", "args", "usageMetadata", "promptTokenCount"]
hostile = st.recursive(
    json_values, lambda inner: st.dictionaries(st.sampled_from(WORDS), inner | st.lists(inner, max_size=2), max_size=3)
)


@given(hostile)
def test_hostile_data_raises_nothing_but_the_known_errors(data):
    with suppress(ProviderError, *UNEXPECTED_SHAPE):
        reply_of(data)
    assert isinstance(error_of(500, data), ProviderError)
    assert isinstance(error_of(429, {"error": {"details": data, "status": data, "code": data}}), ProviderError)


# ---------------------------------------------------------------- usage and demand


def test_usage_has_all_input_and_all_output():
    report = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 11,
        "totalTokenCount": 123,
    }
    usage = usage_of(report)
    assert usage == Usage(input_tokens=107, output_tokens=16, cache_read_input_tokens=60, reasoning_output_tokens=11)
    assert usage.total_tokens == report["totalTokenCount"]


def test_usage_tells_the_modalities_apart_and_documents_are_text():
    def details(**counts):
        return [{"modality": name, "tokenCount": count} for name, count in counts.items()]

    usage = usage_of(
        {
            "promptTokenCount": 100,
            "promptTokensDetails": [
                *details(TEXT=10, AUDIO=20, IMAGE=30, VIDEO=25, DOCUMENT=15),
                {"modality": "AUDIO"},
            ],
            "cachedContentTokenCount": 12,
            "cacheTokensDetails": details(AUDIO=5, TEXT=7),
            "toolUsePromptTokenCount": 8,
            "toolUsePromptTokensDetails": details(IMAGE=8),
            "candidatesTokenCount": 9,
            "candidatesTokensDetails": details(AUDIO=4, IMAGE=5),
        }
    )
    assert usage == Usage(
        input_tokens=108,
        output_tokens=9,
        cache_read_input_tokens=12,
        cache_read_input_audio_tokens=5,
        input_audio_tokens=20,
        input_image_tokens=38,
        input_video_tokens=25,
        output_audio_tokens=4,
        output_image_tokens=5,
    )


def test_modalities_may_be_numbers():
    details = [{"modality": number, "tokenCount": 10**number} for number in range(1, 6)]
    usage = usage_of({"promptTokenCount": 111110, "promptTokensDetails": details})
    assert usage is not None
    assert (usage.input_image_tokens, usage.input_video_tokens, usage.input_audio_tokens) == (100, 1000, 10000)


@pytest.mark.parametrize("report", [None, {}, {"trafficType": "ON_DEMAND"}, 5])
def test_no_report_is_no_usage(report):
    assert usage_of(report) is None


def test_the_limits_count_input_only():
    message = Message(
        "user",
        [
            TextPart("x" * 40),
            ImagePart(url="https://example.invalid/a.png"),
            DocumentPart(file_id="files/a"),
            AudioPart(data="A" * 4000, media_type="audio/wav"),
        ],
    )
    tool = ToolDefinition(name="name", description="d" * 34, parameters={})
    call = ToolCall(id="c", name="f", arguments='{"a":1}')
    request = LLMCallRequest(
        model="m", messages=(message, Message("assistant", "four", tool_calls=(call,))), tools=(tool,), max_tokens=500
    )
    assert demand_of(request) == Demand(input_tokens=1 + 10 + 258 + 258 + 3 + 1 + 1 + 10, output_tokens=0)


# ---------------------------------------------------------------- errors


def body(code, status=None, *details):
    fields = {"code": code, "message": "prose", "status": status, "details": list(details)}
    return {"error": {name: value for name, value in fields.items() if value}}


def quota(name, value="50"):
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": name, "quotaValue": value}],
    }


def info(reason):
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.5s"}


@pytest.mark.parametrize(
    ("status", "data", "error_type"),
    [
        (429, body(429, "RESOURCE_EXHAUSTED"), ErrorType.HTTP_429),
        (429, body(429, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerMinutePerProject"), RETRY), ErrorType.HTTP_429),
        (429, body(429, "RESOURCE_EXHAUSTED", info("RATE_LIMIT_EXCEEDED")), ErrorType.HTTP_429),
        (
            429,
            body(429, "RESOURCE_EXHAUSTED", quota("PerMinute"), quota("RequestsPerDayPerProject-FreeTier"), RETRY),
            ErrorType.INSUFFICIENT_QUOTA,
        ),
        (429, body(429, "RESOURCE_EXHAUSTED", quota("PerMinute", "0")), ErrorType.INSUFFICIENT_QUOTA),
        (401, body(401, "UNAUTHENTICATED", info("ACCESS_TOKEN_TYPE_UNSUPPORTED")), ErrorType.AUTHENTICATION),
        (400, body(400, "INVALID_ARGUMENT", info("API_KEY_INVALID")), ErrorType.AUTHENTICATION),
        (400, body(400, "INVALID_ARGUMENT"), ErrorType.INVALID_REQUEST),
        (400, body(400, "FAILED_PRECONDITION"), ErrorType.UNSUPPORTED_REGION),
        (403, body(403, "PERMISSION_DENIED"), ErrorType.PERMISSION),
        (403, body(403, "PERMISSION_DENIED", info("SERVICE_DISABLED")), ErrorType.PERMISSION),
        (403, body(403, "PERMISSION_DENIED", info("BILLING_DISABLED")), ErrorType.INSUFFICIENT_QUOTA),
        (404, body(404, "NOT_FOUND"), ErrorType.NOT_FOUND),
        (500, body(500, "INTERNAL"), ErrorType.SERVER_ERROR),
        (503, body(503, "UNAVAILABLE"), ErrorType.OVERLOADED),
        (504, body(504, "DEADLINE_EXCEEDED"), ErrorType.TIMEOUT),
        (499, body(499, "CANCELLED"), ErrorType.SERVER_ERROR),
        (200, body(429, "RESOURCE_EXHAUSTED"), ErrorType.HTTP_429),
        (200, body(418), ErrorType.INVALID_REQUEST),
        (200, {"error": "broken"}, ErrorType.SERVER_ERROR),
        (502, "<html>Bad Gateway</html>", ErrorType.SERVER_ERROR),
    ],
)
def test_errors_go_by_details_then_status_word_then_status(status, data, error_type):
    assert error_of(status, data).error_type is error_type
    assert error_of(status, [data]).error_type is error_type


def test_the_hint_is_that_of_retry_info():
    assert error_of(429, body(429, "RESOURCE_EXHAUSTED", RETRY)).retry_after_s == 48.5
    assert error_of(429, body(429, "RESOURCE_EXHAUSTED")).retry_after_s is None


def test_the_message_names_the_words_that_decided():
    assert str(error_of(400, body(400, "INVALID_ARGUMENT", info("API_KEY_INVALID")))) == (
        "prose (INVALID_ARGUMENT, API_KEY_INVALID)"
    )
