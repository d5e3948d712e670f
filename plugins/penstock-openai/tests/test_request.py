"""A request becomes the body of chat completions, field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import (
    AudioPart,
    DocumentPart,
    ImagePart,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_openai.request import Dialect, payload_of

OPENAI = Dialect(max_tokens_field="max_completion_tokens", strict=True)
COMPATIBLE = Dialect()


def call(*messages, **fields):
    return LLMCallRequest(model="m", messages=messages or (Message("user", "hi"),), **fields)


def parts(*content, role="user", dialect=OPENAI):
    return payload_of(call(Message(role, content)), dialect)["messages"][0]["content"]


def refusal(*content, role="user", dialect=OPENAI):
    with pytest.raises(ProviderError) as caught:
        parts(*content, role=role, dialect=dialect)
    assert caught.value.error_type is ErrorType.INVALID_REQUEST
    return str(caught.value)


def test_the_least_request_says_nothing_that_was_not_said():
    assert payload_of(call(), OPENAI) == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_every_named_field_stands_under_openais_name():
    request = call(
        max_tokens=7,
        temperature=0.0,
        top_p=0.5,
        stop=("a", "b"),
        seed=0,
        stream=True,
        response_format=ResponseFormat(schema={"type": "object"}, name="n", strict=True),
    )
    assert payload_of(request, OPENAI) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["a", "b"],
        "seed": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_a_response_format_without_a_schema_is_its_type(kind):
    payload = payload_of(call(response_format=ResponseFormat(type=kind)), OPENAI)
    assert payload["response_format"] == {"type": kind}


def test_a_conversation_with_tools_keeps_every_role_and_id():
    asked = ToolCall(id="c1", name="weather", arguments='{"city": "Oslo"}')
    request = call(
        Message("developer", "be brief", name="boss"),
        Message("user", "weather?"),
        Message("assistant", "", tool_calls=(asked,)),
        Message("tool", "cold", tool_call_id="c1"),
        Message("assistant", "I look again", tool_calls=(asked,)),
    )
    wire = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    assert payload_of(request, OPENAI)["messages"] == [
        {"role": "developer", "content": "be brief", "name": "boss"},
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [wire]},
        {"role": "tool", "content": "cold", "tool_call_id": "c1"},
        {"role": "assistant", "content": "I look again", "tool_calls": [wire]},
    ]


def test_a_tool_has_only_what_was_said_of_it_and_always_a_schema():
    full = ToolDefinition(name="a", description="d", parameters={"type": "object"}, strict=True)
    payload = payload_of(call(tools=(full, ToolDefinition(name="b"))), OPENAI)
    assert [tool["function"] for tool in payload["tools"]] == [
        {"name": "a", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"name": "b", "parameters": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        ("any", "any"),  # Mistral's word
    ],
)
def test_a_tool_choice_is_a_word_or_the_tool_of_that_name(choice, said):
    request = call(tools=(ToolDefinition(name="weather"),), tool_choice=choice)
    assert payload_of(request, OPENAI)["tool_choice"] == said


def test_parts_of_a_user_message():
    assert parts(
        TextPart("look"),
        ImagePart(url="https://x.invalid/a.png", detail="low"),
        ImagePart(data="aGk=", media_type="image/png"),
        AudioPart(data="aGk=", media_type="audio/mpeg"),
        DocumentPart(data="aGk=", media_type="application/pdf", name="a.pdf"),
        DocumentPart(file_id="file-1"),
    ) == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x.invalid/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


def test_what_the_api_cannot_take_is_refused_by_its_path():
    image = ImagePart(url="https://x.invalid/a.png")
    assert refusal(TextPart("a"), image, role="assistant").startswith("messages[0].content[1]: ")
    assert refusal(image, role="tool").startswith("messages[0].content[0]: ")
    assert refusal(AudioPart(data="x", media_type="audio/ogg")).startswith("messages[0].content[0].media_type: ")
    for dialect in (OPENAI, COMPATIBLE):
        assert refusal(DocumentPart(url="https://x.invalid"), dialect=dialect).startswith(
            "messages[0].content[0].url: "
        )
        assert refusal(DocumentPart(data="x"), dialect=dialect).startswith("messages[0].content[0].media_type: ")


def test_a_compatible_server_judges_for_itself():
    assert parts(AudioPart(data="x", media_type="audio/ogg"), dialect=COMPATIBLE)[0]["input_audio"]["format"] == "ogg"
    assert parts(ImagePart(url="u"), role="tool", dialect=COMPATIBLE) == [
        {"type": "image_url", "image_url": {"url": "u"}}
    ]


@pytest.mark.parametrize(("dialect", "name"), [(OPENAI, "max_completion_tokens"), (COMPATIBLE, "max_tokens")])
def test_max_tokens_has_the_name_that_the_server_knows(dialect, name):
    assert payload_of(call(max_tokens=5), dialect)[name] == 5


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_maximum_in_extra_is_the_only_one(name):
    payload = payload_of(call(max_tokens=5, extra={name: 9}), OPENAI)
    assert {key: value for key, value in payload.items() if key.startswith("max_")} == {name: 9}


def test_extra_goes_in_unchanged_and_wins():
    extra = {"temperature": 1, "logit_bias": {"50256": -100}, "user": None, "messages": [{"role": "user"}]}
    unsayable = Message("user", (DocumentPart(url="https://x.invalid"),))
    assert payload_of(call(unsayable, temperature=0.0, extra=extra), OPENAI) == {"model": "m", **extra}


def test_usage_is_not_asked_for_where_a_server_refuses_the_question():
    payload = payload_of(call(stream=True), Dialect(stream_usage=False))
    assert payload["stream"] is True
    assert "stream_options" not in payload


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
content_parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ImagePart, url=texts, detail=st.sampled_from([None, "low", "high", "auto"])),
    st.builds(AudioPart, data=texts, media_type=st.sampled_from(["audio/wav", "audio/mpeg"])),
    st.builds(DocumentPart, data=texts, media_type=st.just("application/pdf"), name=st.none() | texts),
)
messages = st.one_of(
    st.builds(Message, st.just("user"), texts | st.lists(content_parts, min_size=1, max_size=3)),
    st.builds(Message, st.sampled_from(["system", "developer"]), texts),
    st.builds(
        Message,
        st.just("assistant"),
        texts,
        tool_calls=st.lists(st.builds(ToolCall, id=texts, name=texts, arguments=texts), max_size=2),
    ),
)
requests = st.builds(
    LLMCallRequest,
    model=texts,
    messages=st.lists(messages, min_size=1, max_size=4).map(tuple),
    max_tokens=st.none() | st.integers(1, 9999),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(texts, max_size=4),
    tools=st.lists(st.builds(ToolDefinition, name=texts, description=st.none() | texts), max_size=2),
    tool_choice=st.none() | st.sampled_from(["auto", "none", "required"]),
    response_format=st.none() | st.just(ResponseFormat(type="json_object")),
    stream=st.booleans(),
)


@given(requests, st.sampled_from([OPENAI, COMPATIBLE]))
def test_any_request_gives_a_json_body_with_all_its_texts(request, dialect):
    payload = payload_of(request, dialect)
    assert json.loads(json.dumps(payload)) == payload
    for message, wire in zip(request.messages, payload["messages"], strict=True):
        content = wire["content"] or ""
        said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        assert said == message.text


def test_the_extra_of_messages_parts_and_tools_goes_in_where_they_stand():
    request = LLMCallRequest(
        model="m",
        messages=(Message("user", (TextPart("a", extra={"cache_control": 1}),), extra={"prefix": True}),),
        tools=(ToolDefinition(name="f", extra={"defer": True}),),
    )
    payload = payload_of(request, Dialect())
    assert payload["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": 1}], "prefix": True}
    ]
    assert payload["tools"][0]["function"]["defer"] is True
