"""Every finish reason, kind of part, reason for a block and status that the API's published types name."""

import json

import pytest

from penstock import ErrorType, Usage
from penstock.errors import ProviderError
from penstock.schema import GenerationChunk, ReplyBuilder, TokenLogprob
from penstock_gemini.errors import error_of
from penstock_gemini.reply import AnswerReader, reply_of
from penstock_http import Event


def answer(*parts, **candidate):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **candidate}]}


FINISH_REASONS = {
    "FINISH_REASON_UNSPECIFIED": None,
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    # Those that other providers do not have keep the API's word.
    "LANGUAGE": "LANGUAGE",
    "OTHER": "OTHER",
    "MALFORMED_FUNCTION_CALL": "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL": "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS": "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE": "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE": "MALFORMED_RESPONSE",
    "PUP_LIMITED_DISABLED": "PUP_LIMITED_DISABLED",
    "IMAGE_OTHER": "IMAGE_OTHER",
    "NO_IMAGE": "NO_IMAGE",
    "A_REASON_OF_NEXT_YEAR": "A_REASON_OF_NEXT_YEAR",
}


@pytest.mark.parametrize("word", FINISH_REASONS)
def test_finish_reasons_have_the_names_that_all_providers_share_or_their_own(word):
    assert (
        reply_of({"candidates": [{"finishReason": word, "finishMessage": "why"}]}).finish_reason
        == (FINISH_REASONS[word])
    )
    cut_short = reply_of(answer({"text": "so far"}, finishReason=word))
    assert (cut_short.content, cut_short.finish_reason) == ("so far", FINISH_REASONS[word])


PASSED_OVER = [
    {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "AA=="},
    {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": True},
    {"fileData": {"fileUri": "gs://bucket/made.png", "mimeType": "image/png"}},
    {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "AA=="},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}, "id": "t"}, "thoughtSignature": "AA=="},
    {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {}, "id": "t"}},
    {"functionResponse": {"name": "f", "response": {}}},
    {"audioTranscription": {"text": "no"}},
    {"text": "", "thoughtSignature": "AA=="},
    {"thoughtSignature": "AA=="},
    {"aPartOfNextYear": {"text": "no"}},
    {},
]


@pytest.mark.parametrize("part", PASSED_OVER, ids=lambda part: "-".join(part) or "empty")
def test_a_part_that_is_neither_text_nor_a_call_is_passed_over_and_what_stands_around_it_is_not(part):
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    reply = reply_of(answer({"text": "Before, "}, part, {"text": "after."}, call, finishReason="STOP"))
    assert (reply.content, reply.reasoning, reply.finish_reason) == ("Before, after.", None, "tool_calls")
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("f", '{"a":1}')]


def test_sources_and_citations_cost_no_text():
    told = {
        "groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [{"segment": {}}]},
        "citationMetadata": {"citationSources": [{"uri": "u"}]},
        "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "u"}]},
        "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}],
        "avgLogprobs": -0.1,
    }
    assert reply_of(answer({"text": "wet"}, finishReason="STOP", **told)).content == "wet"


def test_logprobs_have_the_tokens_in_their_place():
    result = {
        "chosenCandidates": [{"token": "wet", "logProbability": -0.5, "tokenId": 7}, {"token": "."}],
        "topCandidates": [
            {"candidates": [{"token": "wet", "logProbability": -0.5}, {"token": "dry", "logProbability": -1}]},
            {},
        ],
    }
    wet, dry = TokenLogprob("wet", -0.5), TokenLogprob("dry", -1.0)
    told = (TokenLogprob("wet", -0.5, top=(wet, dry)), TokenLogprob(".", 0.0))
    assert reply_of(answer({"text": "wet."}, logprobsResult=result)).logprobs == told
    del result["topCandidates"]
    assert reply_of(answer({"text": "wet."}, logprobsResult=result)).logprobs == (wet, TokenLogprob(".", 0.0))
    assert reply_of(answer({"text": "wet."})).logprobs == ()


@pytest.mark.parametrize(
    "word",
    [
        "BLOCKED_REASON_UNSPECIFIED",
        "SAFETY",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "JAILBREAK",
        "A_REASON_OF_NEXT_YEAR",
    ],
)
def test_a_blocked_prompt_is_a_filters_error_whatever_the_reason_and_its_input_is_billed(word):
    data = {"promptFeedback": {"blockReason": word}, "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}
    for act in (lambda: reply_of(data), lambda: AnswerReader().read_event(Event(json.dumps(data)))):
        with pytest.raises(ProviderError, match=word) as caught:
            act()
        assert (caught.value.error_type, caught.value.usage) == (ErrorType.CONTENT_FILTER, Usage(input_tokens=4))


def test_the_counts_of_a_stream_are_estimates_until_it_has_finished():
    reader, builder, seen = AnswerReader(), ReplyBuilder(), []
    counts = {"promptTokenCount": 4, "candidatesTokenCount": 2}
    for data in (
        answer({"text": "wa"}) | {"usageMetadata": {"promptTokenCount": 4}},
        answer({"text": "ter"}, finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 4}},
        {"usageMetadata": counts},
    ):
        chunk = reader.read_event(Event(json.dumps(data)))
        assert isinstance(chunk, GenerationChunk)
        builder.add(chunk)
        seen.append(chunk.usage and chunk.usage.estimated)
    assert seen == [True, False, False]
    assert builder.build().usage == Usage(input_tokens=4, output_tokens=2)


# google.rpc.Code, with the HTTP status that each comes with.
CODES = [
    (499, "CANCELLED", ErrorType.SERVER_ERROR),
    (500, "UNKNOWN", ErrorType.SERVER_ERROR),
    (400, "INVALID_ARGUMENT", ErrorType.INVALID_REQUEST),
    (504, "DEADLINE_EXCEEDED", ErrorType.TIMEOUT),
    (404, "NOT_FOUND", ErrorType.NOT_FOUND),
    (409, "ALREADY_EXISTS", ErrorType.INVALID_REQUEST),
    (403, "PERMISSION_DENIED", ErrorType.PERMISSION),
    (401, "UNAUTHENTICATED", ErrorType.AUTHENTICATION),
    (429, "RESOURCE_EXHAUSTED", ErrorType.HTTP_429),
    (400, "FAILED_PRECONDITION", ErrorType.UNSUPPORTED_REGION),
    (409, "ABORTED", ErrorType.SERVER_ERROR),
    (400, "OUT_OF_RANGE", ErrorType.INVALID_REQUEST),
    (501, "UNIMPLEMENTED", ErrorType.INVALID_REQUEST),
    (500, "INTERNAL", ErrorType.SERVER_ERROR),
    (503, "UNAVAILABLE", ErrorType.OVERLOADED),
    (500, "DATA_LOSS", ErrorType.SERVER_ERROR),
    (413, "A_CODE_OF_NEXT_YEAR", ErrorType.INVALID_REQUEST),
]


@pytest.mark.parametrize(("status", "word", "error_type"), CODES, ids=str)
def test_every_code_has_its_type_as_an_answer_and_in_mid_stream(status, word, error_type):
    data = {"error": {"code": status, "message": "prose", "status": word}}
    assert error_of(status, data).error_type is error_type
    with pytest.raises(ProviderError, match=word) as caught:
        AnswerReader().read(data)
    assert (caught.value.error_type, caught.value.status_code) == (error_type, status)
