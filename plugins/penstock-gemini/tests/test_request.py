"""A request becomes the body of generateContent, field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import AudioPart, DocumentPart, ImagePart, ResponseFormat, TextPart, ToolCall, ToolDefinition
from penstock_gemini.request import payload_of

WEATHER = ToolDefinition(name="weather", description="d", parameters={"type": "object", "properties": {}})


def call(*messages, **fields):
    return LLMCallRequest(model="m", messages=messages or (Message("user", "hi"),), **fields)


def contents(*messages):
    return payload_of(call(*messages))["contents"]


def part(given_part):
    (content,) = contents(Message("user", [given_part]))
    (made,) = content["parts"]
    return made


def refusal(*messages, **fields):
    with pytest.raises(ProviderError) as caught:
        payload_of(call(*messages, **fields))
    assert caught.value.error_type is ErrorType.INVALID_REQUEST
    return str(caught.value)


def test_the_least_request_says_nothing_that_was_not_said():
    assert payload_of(call()) == {"model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_every_named_field_stands_under_geminis_name():
    request = call(
        max_tokens=7,
        temperature=0.0,
        top_p=0.5,
        stop=("a", "b"),
        seed=0,
        stream=True,
        tools=(WEATHER, ToolDefinition(name="now")),
        tool_choice="weather",
        response_format=ResponseFormat(schema={"type": "object"}, name="n", strict=True),
    )
    assert payload_of(request) == {
        "model": "m",
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "d",
                        "parametersJsonSchema": {"type": "object", "properties": {}},
                    },
                    {"name": "now"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "maxOutputTokens": 7,
            "temperature": 0.0,
            "topP": 0.5,
            "stopSequences": ["a", "b"],
            "seed": 0,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
    }


@pytest.mark.parametrize(
    ("form", "config"),
    [("text", None), ("json_object", {"responseMimeType": "application/json"})],
)
def test_a_response_format_without_a_schema(form, config):
    assert payload_of(call(response_format=ResponseFormat(type=form))).get("generationConfig") == config


@pytest.mark.parametrize(
    ("choice", "strict", "calling"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        ("auto", True, {"mode": "VALIDATED"}),
        ("auto", False, {"mode": "AUTO"}),
        ("none", True, {"mode": "NONE"}),
        ("required", True, {"mode": "ANY"}),
    ],
)
def test_the_mode_of_calling(choice, strict, calling):
    payload = payload_of(call(tools=(WEATHER.replace(strict=strict),), tool_choice=choice))
    assert payload.get("toolConfig") == (calling and {"functionCallingConfig": calling})


def test_all_system_messages_go_to_the_one_place_for_them():
    payload = payload_of(
        call(
            Message("system", "a"),
            Message("user", "hi"),
            Message("developer", [TextPart("b"), TextPart("")]),
        )
    )
    assert payload["systemInstruction"] == {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    assert payload["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_a_conversation_with_tools_keeps_ids_names_and_signatures():
    asked = (
        ToolCall(id="c1", name="weather", arguments='{"city": "Oslo"}', signature="opaque"),
        ToolCall(id="c2", name="now", arguments=""),
    )
    made = contents(
        Message("user", "hi"),
        Message("assistant", "one moment", tool_calls=asked),
        Message("tool", '{"degrees": 3}', tool_call_id="c1"),
        Message("tool", "noon", tool_call_id="c2"),
        Message("assistant", "3 degrees at noon"),
    )
    assert made[1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "one moment"},
                {
                    "functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "c1"},
                    "thoughtSignature": "opaque",
                },
                {"functionCall": {"name": "now", "args": {}, "id": "c2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"degrees": 3}, "id": "c1"}},
                {"functionResponse": {"name": "now", "response": {"output": "noon"}, "id": "c2"}},
            ],
        },
        {"role": "model", "parts": [{"text": "3 degrees at noon"}]},
    ]


def test_an_assistant_that_only_calls_tools_has_no_text_part():
    calls = (ToolCall(id="", name="now", arguments="{}"),)
    (made,) = contents(Message("assistant", tool_calls=calls))
    assert made["parts"] == [{"functionCall": {"name": "now", "args": {}}}]
    assert contents(Message("assistant", ""))[0]["parts"] == [{"text": ""}]


@pytest.mark.parametrize("text", ["[1]", "{broken", "5", "", '"{}"'])
def test_a_result_that_is_no_object_is_the_output(text):
    (made,) = contents(Message("tool", text, name="f"))
    assert made["parts"] == [{"functionResponse": {"name": "f", "response": {"output": text}}}]


def test_a_result_may_hold_images_beside_its_text():
    image = ImagePart(data="aGk=", media_type="image/png")
    (made,) = contents(Message("tool", [TextPart('{"a": 1}'), image], name="f", tool_call_id="c"))
    assert made["parts"][0]["functionResponse"] == {
        "name": "f",
        "response": {"a": 1},
        "id": "c",
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
    }


@pytest.mark.parametrize(
    ("given_part", "made"),
    [
        (TextPart("t"), {"text": "t"}),
        (AudioPart(data="aGk=", media_type="audio/wav"), {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
        (
            ImagePart(data="aGk=", media_type="image/png", detail="auto"),
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ),
        (
            ImagePart(url="data:image/png;base64,aGk=", detail="low"),
            {
                "inlineData": {"mimeType": "image/png", "data": "aGk="},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
        ),
        (ImagePart(url="https://example.invalid/a.png"), {"fileData": {"fileUri": "https://example.invalid/a.png"}}),
        (
            DocumentPart(url="https://example.invalid/v.mp4", media_type="video/mp4"),
            {"fileData": {"fileUri": "https://example.invalid/v.mp4", "mimeType": "video/mp4"}},
        ),
        (DocumentPart(file_id="files/abc"), {"fileData": {"fileUri": "files/abc"}}),
        (
            DocumentPart(data="aGk=", media_type="application/pdf", name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
        ),
    ],
)
def test_each_kind_of_part(given_part, made):
    assert part(given_part) == made


IMAGE = ImagePart(data="aGk=", media_type="image/png")


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (Message("system", "alone"), "messages: "),
        (Message("user", "hi", name="Ann"), "messages[0].name"),
        (Message("system", "hi", name="Ann"), "messages[0].name"),
        (Message("system", [TextPart("a"), IMAGE]), "messages[0].content[1]"),
        (Message("user", [DocumentPart(data="aGk=")]), "messages[0].content[0].media_type"),
        (Message("user", [DocumentPart(name="a")]), "messages[0].content[0]: a document needs"),
        (Message("user", [ImagePart(url="data:,hi")]), "messages[0].content[0].url"),
        (Message("user", [IMAGE.replace(detail="huge")]), "messages[0].content[0].detail"),
        (Message("tool", "x", tool_call_id="c9"), "messages[0].tool_call_id"),
        (
            Message("assistant", tool_calls=(ToolCall(id="c", name="f", arguments="[1]"),)),
            "messages[0].tool_calls[0].arguments",
        ),
        (
            Message("assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{"),)),
            "messages[0].tool_calls[0].arguments",
        ),
    ],
)
def test_what_gemini_cannot_say_is_refused_by_its_path(message, path):
    assert path in refusal(message)


def test_a_choice_of_a_tool_that_is_not_there_is_refused():
    assert "tool_choice" in refusal(tools=(WEATHER,), tool_choice="whether")


def test_extra_passes_through_and_wins_field_by_field_where_penstock_has_fields_of_its_own():
    payload = payload_of(
        call(
            Message("system", "s"),
            Message("user", "hi"),
            max_tokens=5,
            temperature=1.0,
            tools=(WEATHER,),
            tool_choice="auto",
            extra={
                "generationConfig": {"temperature": 0.1, "topK": 4},
                "toolConfig": {"includeServerSideToolInvocations": True},
                "tools": [{"googleSearch": {}}],
                "safetySettings": [],
            },
        )
    )
    assert payload["generationConfig"] == {"maxOutputTokens": 5, "temperature": 0.1, "topK": 4}
    assert payload["toolConfig"] == {
        "functionCallingConfig": {"mode": "AUTO"},
        "includeServerSideToolInvocations": True,
    }
    assert payload["tools"] == [{"googleSearch": {}}]
    assert payload["safetySettings"] == []


def test_contents_in_extra_stand_for_all_messages():
    payload = payload_of(call(Message("system", "s"), extra={"contents": [{"parts": [{"text": "raw"}]}]}))
    assert payload == {"model": "m", "contents": [{"parts": [{"text": "raw"}]}]}


texts = st.text(max_size=5)
some_parts = st.one_of(
    st.builds(TextPart, texts),
    st.just(IMAGE),
    st.builds(AudioPart, data=st.just("aGk="), media_type=st.sampled_from(["audio/wav", "audio/mp3"])),
    st.builds(DocumentPart, data=st.just("aGk="), media_type=st.just("application/pdf")),
)
some_calls = st.lists(
    st.builds(ToolCall, id=texts, name=texts, arguments=st.sampled_from(["", "{}", '{"a": 1}'])), max_size=2
)
some_messages = st.one_of(
    st.builds(Message, st.just("system"), texts),
    st.builds(Message, st.just("user"), st.one_of(texts, st.lists(some_parts, max_size=3))),
    st.builds(Message, st.just("assistant"), texts, tool_calls=some_calls),
    st.builds(Message, st.just("tool"), texts, name=st.text(min_size=1, max_size=5), tool_call_id=texts),
)


@given(st.lists(some_messages, min_size=1, max_size=6))
def test_every_conversation_becomes_json_of_users_and_models_in_order(messages):
    messages = [*messages, Message("user", "hi")]
    payload = json.loads(json.dumps(payload_of(call(*messages))))
    assert {content["role"] for content in payload["contents"]} <= {"user", "model"}
    spoken = [message for message in messages if message.role in ("user", "assistant")]
    groups = [content for content in payload["contents"] if not any("functionResponse" in p for p in content["parts"])]
    assert [content["role"] == "model" for content in groups] == [message.role == "assistant" for message in spoken]
    results = [p for content in payload["contents"] for p in content["parts"] if "functionResponse" in p]
    assert len(results) == sum(message.role == "tool" for message in messages)


def test_the_extra_of_messages_parts_and_tools_goes_in_where_they_stand():
    request = LLMCallRequest(
        model="m",
        messages=(Message("user", (TextPart("a", extra={"thought": True}),), extra={"note": 1}),),
        tools=(ToolDefinition(name="f", extra={"behavior": "BLOCKING"}),),
    )
    payload = payload_of(request)
    assert payload["contents"] == [{"role": "user", "parts": [{"text": "a", "thought": True}], "note": 1}]
    assert payload["tools"] == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]
