"""Every recorded exchange: answers and streams against an independent reading, errors against a list, requests rebuilt.

The recordings are not part of the project; without them these tests are skipped.
"""

import json
from collections import Counter
from typing import Any

import pytest
from genai_prices import extract_usage

from penstock import ErrorType, GenerationRequest, LLMCallRequest, Message, Usage
from penstock.costs import price
from penstock.errors import ProviderError
from penstock.schema import (
    AudioPart,
    DocumentPart,
    ImagePart,
    ReplyBuilder,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_gemini import GeminiProvider
from penstock_gemini.errors import error_of
from penstock_gemini.reply import reply_of

pytestmark = pytest.mark.anyio

# ---------------------------------------------------------------- an independent reading of what was recorded


def answers_of(exchange):
    """The objects of an answer: one, those of a list, or those of the events."""
    if exchange.streaming:
        return [json.loads(line[5:]) for line in exchange.body.splitlines() if line.startswith("data:")]
    data = json.loads(exchange.body)
    return data if isinstance(data, list) else [data]


def parts_of(answers):
    return [
        part
        for answer in answers
        for candidate in answer.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ]


REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "MODEL_ARMOR": "content_filter",
    # Enumerations as numbers, which a client of Vertex AI asks for.
    1: "stop",
    2: "length",
}


def reason_of(answers):
    words = [c["finishReason"] for answer in answers for c in answer.get("candidates", []) if "finishReason" in c]
    if not words:
        return None
    if words[-1] in ("STOP", 1) and any("functionCall" in part for part in parts_of(answers)):
        return "tool_calls"
    return REASONS.get(words[-1], words[-1])


def assert_right(reply, answers, where):
    parts = parts_of(answers)
    texts = [part["text"] for part in parts if "text" in part and not part.get("thought")]
    thoughts = [part["text"] for part in parts if "text" in part and part.get("thought")]
    calls = [(part["functionCall"], part.get("thoughtSignature")) for part in parts if "functionCall" in part]
    assert (reply.content or "") == "".join(texts), where
    assert (reply.reasoning or "") == "".join(thoughts), where
    assert [(c.name, json.loads(c.arguments), c.signature) for c in reply.tool_calls] == [
        (call["name"], call.get("args", {}), signature) for call, signature in calls
    ], where
    for made, (call, _) in zip(reply.tool_calls, calls, strict=True):
        assert made.id == call["id"] if "id" in call else made.id, where
    assert len({call.id for call in reply.tool_calls}) == len(calls), where
    assert reply.finish_reason == reason_of(answers), where
    last = answers[-1]
    assert (reply.response_model, reply.response_id) == (last.get("modelVersion"), last.get("responseId")), where
    assert_tokens(reply.usage, answers, where)


def assert_tokens(usage, answers, where):
    reports = [answer["usageMetadata"] for answer in answers if "usageMetadata" in answer]
    said: Counter[str] = Counter({key: value for key, value in reports[-1].items() if key.endswith("Count")})
    assert usage.total_tokens == said["totalTokenCount"] or "totalTokenCount" not in said, where  # one leaves it out
    assert usage.output_tokens == said["candidatesTokenCount"] + said["thoughtsTokenCount"], where
    assert usage.input_tokens == said["promptTokenCount"] + said["toolUsePromptTokenCount"], where
    assert usage.cache_read_input_tokens == said["cachedContentTokenCount"], where
    assert usage.reasoning_output_tokens == said["thoughtsTokenCount"], where
    given, made = modalities(reports[-1], "promptTokensDetails"), modalities(reports[-1], "candidatesTokensDetails")
    assert usage.input_audio_tokens == given["AUDIO"], where
    assert usage.input_image_tokens == given["IMAGE"], where
    assert usage.input_video_tokens == given["VIDEO"], where
    assert usage.output_image_tokens == made["IMAGE"], where
    assert usage.cache_read_input_audio_tokens == modalities(reports[-1], "cacheTokensDetails")["AUDIO"], where
    assert not usage.estimated, where


MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}


def modalities(report, name):
    return Counter(
        {
            MODALITIES.get(detail["modality"], detail["modality"]): detail.get("tokenCount", 0)
            for detail in report.get(name, [])
        }
    )


# ---------------------------------------------------------------- answers

CALL = LLMCallRequest(model="m", messages=(Message("user", "hi"),))


def is_blocked(exchange):
    """Whether the prompt was refused: an error, which test_reply.py has."""
    return any("blockReason" in answer.get("promptFeedback", {}) for answer in answers_of(exchange))


async def test_every_recorded_answer_gives_the_right_reply(exchanges, answering):
    read = 0
    for exchange in exchanges:
        if exchange.streaming or exchange.status != 200 or is_blocked(exchange):
            continue
        provider = answering(exchange.body, headers=exchange.headers)
        reply = await provider.invoke(provider.convert_request(CALL))
        assert_right(reply, answers_of(exchange), exchange.where)
        read += 1
    assert read >= 303


async def test_every_recorded_stream_adds_up_to_the_right_reply(exchanges, answering):
    read = 0
    for exchange in exchanges:
        if not exchange.streaming or exchange.status != 200:
            continue
        provider, builder = answering(exchange.body, headers=exchange.headers), ReplyBuilder()
        async for chunk in provider.stream(provider.convert_request(CALL)):
            builder.add(chunk)
        assert_right(builder.build(), answers_of(exchange), exchange.where)
        read += 1
    assert read >= 67


def test_every_recorded_answer_costs_what_an_independent_reading_of_it_costs(exchanges):
    for exchange in exchanges:
        answers = answers_of(exchange) if exchange.status == 200 else [{}]
        numbered = any(isinstance(c.get("finishReason"), int) for a in answers for c in a.get("candidates", []))
        if numbered or not {"modelVersion", "usageMetadata"} <= set(answers[-1]) or is_blocked(exchange):
            continue  # an error, or an answer that genai-prices cannot read
        theirs = extract_usage(answers[-1], provider_id="google", api_flavor="default").calc_price().total_price
        assert price("gemini", answers[-1]["modelVersion"], reply_of(answers).usage or Usage()) == theirs, (
            exchange.where
        )


# ---------------------------------------------------------------- errors

# By hand, from reading each one: status, status word and reason.
WHAT_ERRORS_MEAN = {
    (400, "INVALID_ARGUMENT", "API_KEY_INVALID"): ErrorType.AUTHENTICATION,
    (400, "INVALID_ARGUMENT", None): ErrorType.INVALID_REQUEST,
    (401, "UNAUTHENTICATED", "CREDENTIALS_MISSING"): ErrorType.AUTHENTICATION,
    (404, "NOT_FOUND", None): ErrorType.NOT_FOUND,
    (429, "RESOURCE_EXHAUSTED", None): ErrorType.HTTP_429,
}


async def test_every_recorded_error_has_the_right_type_a_message_and_its_hint(exchanges, answering):
    met: Counter[Any] = Counter()
    for exchange in exchanges:
        if exchange.status == 200:
            continue
        inner = json.loads(exchange.body)["error"]
        reasons = [detail["reason"] for detail in inner.get("details", []) if "reason" in detail]
        key = (exchange.status, inner["status"], reasons[0] if reasons else None)
        provider = answering(exchange.body, status=exchange.status, headers=exchange.headers)
        with pytest.raises(ProviderError) as caught:
            await provider.invoke(provider.convert_request(CALL))
        error = caught.value
        hint = next((float(d["retryDelay"][:-1]) for d in inner.get("details", []) if "retryDelay" in d), None)
        assert (error.error_type, error.retry_after_s) == (WHAT_ERRORS_MEAN[key], hint), exchange.where
        assert " ".join(inner["message"].split())[:100] in str(error), exchange.where
        assert error.status_code == exchange.status
        assert error_of(exchange.status, [json.loads(exchange.body)]).error_type is error.error_type  # as a list
        met[key] += 1
    assert len(met) >= 3
    assert sum(met.values()) >= 5


# ---------------------------------------------------------------- requests

# A body says some things in two ways; protobuf's JSON takes names in both styles.
SNAKE = {
    "function_call": "functionCall",
    "function_response": "functionResponse",
    "inline_data": "inlineData",
    "mime_type": "mimeType",
    "file_data": "fileData",
    "file_uri": "fileUri",
    "parameters_json_schema": "parametersJsonSchema",
    "response_mime_type": "responseMimeType",
    "response_schema": "responseSchema",
    "function_declarations": "functionDeclarations",
    "thought_signature": "thoughtSignature",
}
FREE = {"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema"}


def camel(value):
    """A body with names of one style; what schemas, arguments and results hold is the caller's and stays."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {SNAKE.get(key, key): item for key, item in value.items()}
    return {key: item if key in FREE else camel(item) for key, item in made.items()}


class NotOursError(Exception):
    """A thing that only `extra` can say."""


def only(data, *names):
    if set(data) - set(names):
        raise NotOursError
    return data


def fields_of(body):
    """The request that gives `body`: by penstock's fields where they can say it, through `extra` where not."""
    body = dict(body)
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    try:
        system = list(system_of(body.get("systemInstruction")))
        fields["messages"] = system + [m for content in body["contents"] for m in messages_of(content)]
        body.pop("systemInstruction", None)
    except NotOursError:
        fields["messages"] = [Message("user", "in extra")]
        extra["contents"] = body["contents"]
    body.pop("contents")
    try:
        fields["tools"] = tools_of(body.get("tools", []))
        body.pop("tools", None)
    except NotOursError:
        fields["tools"] = []
    choice = body.pop("toolConfig", None)
    if choice:
        try:
            fields["tool_choice"] = choice_of(choice, fields["tools"])
        except NotOursError:
            extra["toolConfig"] = choice
    config = dict(body.pop("generationConfig", {}))
    config_fields(config, fields)
    if config:
        extra["generationConfig"] = config
    return fields | {"extra": extra | body}


def config_fields(config, fields):
    names = {"maxOutputTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "seed": "seed"}
    for name, ours in (names | {"stopSequences": "stop"}).items():
        if config.get(name) is not None:
            fields[ours] = config.pop(name)
    if config.get("responseMimeType") == "application/json":
        schema = config.pop("responseJsonSchema", None)
        config.pop("responseMimeType")
        fields["response_format"] = ResponseFormat(schema=schema) if schema else ResponseFormat(type="json_object")


def system_of(content):
    for part in only(content or {"parts": []}, "role", "parts")["parts"]:
        yield Message("system", only(part, "text")["text"])


def messages_of(content):
    """The messages of one content; results of tools are one each."""
    parts = only(content, "role", "parts")["parts"]
    if content["role"] == "model":
        yield assistant_of(parts)
        return
    results = [part for part in parts if "functionResponse" in part]
    if results and len(results) < len(parts):
        raise NotOursError
    if not results:
        yield Message("user", said([part_of(part) for part in parts]))
    for part in results:
        result = only(part["functionResponse"], "id", "name", "response", "parts")
        yield Message(
            "tool",
            [TextPart(json.dumps(result["response"])), *(part_of(part) for part in result.get("parts", []))],
            name=result["name"],
            tool_call_id=result.get("id"),
        )


def assistant_of(parts):
    texts = [TextPart(only(part, "text")["text"]) for part in parts if "functionCall" not in part]
    calls = [
        ToolCall(
            id=part["functionCall"].get("id", ""),
            name=part["functionCall"]["name"],
            arguments=json.dumps(part["functionCall"].get("args", {})),
            signature=part.get("thoughtSignature"),
        )
        for part in parts
        if "functionCall" in part
    ]
    if any("functionCall" in part for part in parts[: len(texts)]):
        raise NotOursError  # a call before a text
    return Message("assistant", said(texts), tool_calls=calls)


def said(parts):
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], TextPart) and parts[0].text else parts


def part_of(part):
    if "text" in part:
        return TextPart(only(part, "text")["text"])
    if "fileData" in only(part, "inlineData", "fileData"):
        file = only(part["fileData"], "fileUri", "mimeType")
        kind = ImagePart if file["mimeType"].startswith("image/") else DocumentPart
        return kind(url=file["fileUri"], media_type=file["mimeType"])
    if "inlineData" not in part:
        raise NotOursError
    blob = only(part["inlineData"], "mimeType", "data")
    kinds = {"image": ImagePart, "audio": AudioPart}
    return kinds.get(blob["mimeType"].partition("/")[0], DocumentPart)(data=blob["data"], media_type=blob["mimeType"])


def tools_of(tools):
    if not tools:
        return []
    declarations = [d for tool in tools for d in only(tool, "functionDeclarations")["functionDeclarations"]]
    return [
        ToolDefinition(
            name=only(d, "name", "description", "parametersJsonSchema")["name"],
            description=d.get("description"),
            parameters=d.get("parametersJsonSchema", {}),
        )
        for d in declarations
    ]


def choice_of(config, tools):
    calling = only(config, "functionCallingConfig").get("functionCallingConfig", {})
    names = only(calling, "mode", "allowedFunctionNames").get("allowedFunctionNames")
    if names is None and calling["mode"] in ("AUTO", "NONE", "ANY"):
        return {"AUTO": "auto", "NONE": "none", "ANY": "required"}[calling["mode"]]
    if names is None or len(names) != 1 or names[0] not in [tool.name for tool in tools]:
        raise NotOursError
    return names[0]


def normal(body):
    """A body, recorded or rebuilt, with one of the ways to say the same for each thing that has several."""
    made = {key: value for key, value in camel(body).items() if value not in (None, [], {})}
    if "systemInstruction" in made:
        made["systemInstruction"] = {"role": "user"} | made["systemInstruction"]  # the API ignores it
    for content in made["contents"]:
        for part in content["parts"]:
            if "functionCall" in part:
                part["functionCall"].setdefault("args", {})
    if "tools" in made:  # one list of declarations or several say the same; an absent description may be null
        made["tools"] = made["tools"] if isinstance(made["tools"], list) else [made["tools"]]
        for tool in made["tools"]:
            for declaration in tool.get("functionDeclarations", []):
                for name in [name for name, value in declaration.items() if value is None]:
                    del declaration[name]
        if all(set(tool) == {"functionDeclarations"} for tool in made["tools"]):
            made["tools"] = [{"functionDeclarations": [d for t in made["tools"] for d in t["functionDeclarations"]]}]
    return made


def rebuilt(exchange):
    """What the provider makes of the request that `exchange` stands for, and that request's fields."""
    fields = fields_of(normal(exchange.request))
    call = LLMCallRequest.of(GenerationRequest(**fields), model=exchange.model, trace_id="", stream=False)
    payload = json.loads(json.dumps(GeminiProvider(api_key="test-key").convert_request(call)))
    return payload, fields


def test_every_recorded_request_is_rebuilt_field_for_field(exchanges):
    counts: Counter[Any] = Counter()
    for exchange in exchanges:
        payload, fields = rebuilt(exchange)
        assert payload.pop("model") == exchange.model
        assert normal(payload) == normal(exchange.request), exchange.where
        counts["contents as extra" if "contents" in fields["extra"] else "messages by name"] += 1
        if fields["extra"].get("tools"):
            counts["tools as extra"] += 1
        if fields.get("response_format") and "responseSchema" in fields["extra"].get("generationConfig", {}):
            counts["old schema as extra"] += 1
    assert sum(counts[name] for name in ("contents as extra", "messages by name")) == len(exchanges) >= 375
