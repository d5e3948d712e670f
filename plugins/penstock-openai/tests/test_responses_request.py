"""A request becomes the body of the Responses API, field by field."""

import json

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import (
    AudioPart,
    ContentPart,
    DocumentPart,
    ImagePart,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from penstock_openai.responses_request import response_payload_of

WEATHER = ToolDefinition(name="weather", description="Tells it.", parameters={"type": "object"}, strict=True)


def call(*messages, **fields):
    return LLMCallRequest(model="m", messages=messages or (Message("user", "hi"),), **fields)


def items(*messages):
    return response_payload_of(call(*messages))["input"]


def refusal(*messages, **fields):
    with pytest.raises(ProviderError) as caught:
        response_payload_of(call(*messages, **fields))
    assert caught.value.error_type is ErrorType.INVALID_REQUEST
    return str(caught.value)


def signed(*items):
    return json.dumps({"items": items})


def test_the_least_request_says_nothing_that_was_not_said():
    assert response_payload_of(call()) == {"model": "m", "input": [{"role": "user", "content": "hi"}]}


def test_every_named_field_stands_under_the_apis_name():
    form = ResponseFormat(schema={"type": "object"}, name="n", strict=True)
    request = call(
        max_tokens=7,
        temperature=0.0,
        top_p=0.5,
        stream=True,
        response_format=form,
        tools=(WEATHER, ToolDefinition(name="now")),
        tool_choice="weather",
    )
    assert response_payload_of(request) == {
        "model": "m",
        "input": [{"role": "user", "content": "hi"}],
        "max_output_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "stream": True,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells it.",
                "parameters": {"type": "object"},
                "strict": True,
            },
            {
                "type": "function",
                "name": "now",
                "parameters": {"type": "object", "properties": {}},
                "strict": None,
            },
        ],
        "tool_choice": {"type": "function", "name": "weather"},
    }


def test_extra_wins_and_is_added_to_the_text_beside_the_format():
    extra = {"store": False, "max_output_tokens": 9, "text": {"verbosity": "low"}, "seed": 1, "stop": "a"}
    form = ResponseFormat(type="json_object")
    payload = response_payload_of(call(max_tokens=7, seed=3, stop=("b",), response_format=form, extra=extra))
    assert payload == {
        "model": "m",
        "input": [{"role": "user", "content": "hi"}],
        **extra,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    }
    assert response_payload_of(call(extra={"input": "as it is"})) == {"model": "m", "input": "as it is"}


def test_the_roles_stay_and_texts_of_the_assistant_are_one_text():
    said = [Message("system", "a"), Message("developer", ["b"]), Message("assistant", ["c", "d"])]
    assert items(*said) == [
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"role": "assistant", "content": "cd"},
    ]
    cited = TextPart("c", extra={"annotations": [{"type": "file_path"}]})
    assert items(Message("assistant", [cited], extra={"phase": "commentary"})) == [
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "c", "annotations": [{"type": "file_path"}]}],
            "phase": "commentary",
        }
    ]


def test_parts_of_a_user_are_texts_images_and_documents():
    parts: list[ContentPart] = [
        TextPart("t"),
        ImagePart(url="https://example.com/a.png", detail="low"),
        ImagePart(data="QQ==", media_type="image/png"),
        DocumentPart(file_id="file-1"),
        DocumentPart(url="https://example.com/a.pdf"),
        DocumentPart(data="QQ==", media_type="application/pdf", name="a.pdf", extra={"detail": "high"}),
        DocumentPart(data="QQ==", media_type="application/pdf"),
    ]
    pdf = "data:application/pdf;base64,QQ=="
    assert items(Message("user", parts))[0]["content"] == [
        {"type": "input_text", "text": "t"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": pdf, "detail": "high"},
        {"type": "input_file", "filename": "document", "file_data": pdf},
    ]


def test_calls_follow_what_was_said_and_results_may_hold_parts():
    calls = [ToolCall(id="call_1", name="weather", arguments="{}"), ToolCall(id="call_2", name="now", arguments="{}")]
    picture = ImagePart(url="https://example.com/a.png")
    messages = [
        Message("assistant", "Let me look.", tool_calls=calls),
        Message("tool", "warm", tool_call_id="call_1", name="weather"),
        Message("tool", [picture], tool_call_id="call_2", extra={"status": "completed"}),
    ]
    assert items(*messages) == [
        {"role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "warm"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}],
            "status": "completed",
        },
    ]


def test_what_led_to_a_call_goes_back_before_it_and_each_message_in_its_place():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    head = {"type": "message", "role": "assistant", "id": "msg_1", "phase": "commentary"}
    signature = signed(thought, head, {"type": "function_call", "id": "fc_1"})
    made = ToolCall(id="call_1", name="weather", arguments="{}", signature=signature)
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    text = {"type": "output_text", "text": "Hm.", "annotations": [], "logprobs": []}
    assert items(Message("assistant", "Hm.", tool_calls=[made])) == [thought, {**head, "content": [text]}, item]
    assert items(Message("assistant", tool_calls=[made])) == [thought, item]


def test_a_custom_tool_gets_its_input_back():
    made = ToolCall(id="call_1", name="shell", arguments="ls", signature=signed({"type": "custom_tool_call"}))
    assert items(Message("assistant", tool_calls=[made])) == [
        {"type": "custom_tool_call", "call_id": "call_1", "name": "shell", "input": "ls"}
    ]


@pytest.mark.parametrize("signature", ["Cq8BAVSoXO4=", "[]", '{"items": 1}', '{"items": [{}]}', "{"])
def test_the_signature_of_another_provider_is_left_out(signature):
    made = ToolCall(id="call_1", name="weather", arguments="{}", signature=signature)
    assert items(Message("assistant", tool_calls=[made])) == [
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    ]


def test_a_tool_of_the_apis_own_is_its_extra():
    search = ToolDefinition(name="search", extra={"type": "web_search", "search_context_size": "low"})
    later = WEATHER.replace(extra={"defer_loading": True})
    tools = response_payload_of(call(tools=(search, later), tool_choice="required"))["tools"]
    assert tools[0] == {"type": "web_search", "search_context_size": "low"}
    assert tools[1]["defer_loading"] is True


@pytest.mark.parametrize(
    ("messages", "fields", "path"),
    [
        ((), {"stop": ("a",)}, "stop: "),
        ((), {"seed": 0}, "seed: "),
        ((Message("user", "hi", name="Ann"),), {}, "messages[0].name: "),
        ((Message("tool", "warm"),), {}, "messages[0].tool_call_id: "),
        ((Message("user", [AudioPart(data="QQ==", media_type="audio/wav")]),), {}, "messages[0].content[0]: "),
        ((Message("user", [DocumentPart(data="QQ==")]),), {}, "messages[0].content[0].media_type: "),
        ((Message("user", [DocumentPart()]),), {}, "messages[0].content[0]: "),
        ((Message("assistant", ["a", ImagePart(url="https://example.com/a")]),), {}, "messages[0].content[1]: "),
        (
            (Message("assistant", tool_calls=[ToolCall(id="1", name="f", arguments="{}")], extra={"phase": "x"}),),
            {},
            "messages[0].extra: ",
        ),
    ],
)
def test_what_the_api_cannot_say_is_refused_with_its_path(messages, fields, path):
    assert refusal(*messages, **fields).startswith(path)
