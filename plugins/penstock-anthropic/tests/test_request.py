"""Requests as bodies: what each field becomes, and what is refused by name before any call."""

import base64
from typing import Any

import pytest

from penstock import ErrorType, LLMCallRequest, Message
from penstock.errors import ProviderError
from penstock.schema import AudioPart, DocumentPart, ImagePart, ResponseFormat, TextPart, ToolCall, ToolDefinition
from penstock_anthropic import AnthropicProvider

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CALLED = Message("assistant", tool_calls=[ToolCall(id="t1", name="weather", arguments='{"city": "Bern"}')])
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bern"}}


def body(*messages, **fields):
    call = LLMCallRequest(model="claude-sonnet-4-5", messages=messages or (Message("user", "hi"),), **fields)
    return AnthropicProvider(api_key="sk-test").convert_request(call)


def turns(*messages):
    return body(*messages)["messages"]


def content(*parts):
    return turns(Message("user", parts))[0]["content"]


def test_the_least_request_gets_the_max_tokens_that_the_api_requires():
    assert body() == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_a_budget_for_thinking_comes_on_top_of_unstated_max_tokens():
    thinking = {"type": "enabled", "budget_tokens": 10_000}
    assert body(extra={"thinking": thinking})["max_tokens"] == 14_096
    assert body(extra={"thinking": thinking}, max_tokens=12_000)["max_tokens"] == 12_000
    assert body(extra={"thinking": {"type": "adaptive"}})["max_tokens"] == 4096


def test_every_option_has_its_field():
    options = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ("a", "b"), "stream": True}
    assert (
        body(**options).items()
        >= {
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop_sequences": ["a", "b"],
            "stream": True,
        }.items()
    )


def test_extra_goes_in_as_it_is_and_wins():
    made = body(max_tokens=9, temperature=0.5, extra={"max_tokens": 7, "temperature": 1, "top_k": 3})
    assert (made["max_tokens"], made["temperature"], made["top_k"]) == (7, 1, 3)
    assert body(extra={"messages": [1], "system": "s"}).items() >= {"messages": [1], "system": "s"}.items()


def test_one_system_message_is_the_system_and_several_are_its_blocks():
    assert body(Message("system", "S"), Message("user", "hi"))["system"] == "S"
    both = (Message("system", "S"), Message("developer", [TextPart("D")]), Message("user", "hi"))
    assert body(*both)["system"] == [{"type": "text", "text": "S"}, {"type": "text", "text": "D"}]


def test_a_system_message_further_down_stays_in_its_place():
    said = (Message("user", "hi"), Message("system", "From now on: French."))
    assert turns(*said)[1] == {"role": "system", "content": "From now on: French."}


def test_results_of_one_turns_calls_stand_in_one_user_turn_before_what_the_user_says():
    results = (Message("tool", "sunny", tool_call_id="t1", name="weather"), Message("tool", "9", tool_call_id="t2"))
    first = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
    second = {"type": "tool_result", "tool_use_id": "t2", "content": "9"}
    asked = {"role": "assistant", "content": [TOOL_USE]}
    assert turns(CALLED, *results) == [asked, {"role": "user", "content": [first, second]}]
    assert turns(CALLED, *results, Message("user", "and?"))[1] == {
        "role": "user",
        "content": [first, second, {"type": "text", "text": "and?"}],
    }
    after = turns(CALLED, *results, Message("assistant", "done"), Message("user", "thanks"))
    assert [turn["role"] for turn in after] == ["assistant", "user", "assistant", "user"]


def test_a_user_turn_written_out_in_extra_does_not_swallow_the_results_before_it():
    raw = Message("user", "as in extra", extra={"content": [{"type": "container_upload", "file_id": "f"}]})
    made = turns(CALLED, Message("tool", "sunny", tool_call_id="t1"), raw)
    assert [turn["content"][0]["type"] for turn in made] == ["tool_use", "tool_result", "container_upload"]


def test_text_goes_before_calls_and_empty_text_is_left_out():
    said = Message("assistant", "Let me look.", tool_calls=CALLED.tool_calls)
    assert turns(said)[0]["content"] == [{"type": "text", "text": "Let me look."}, TOOL_USE]
    no_arguments = Message("assistant", tool_calls=[ToolCall(id="t", name="now", arguments="")])
    assert turns(no_arguments)[0]["content"] == [{"type": "tool_use", "id": "t", "name": "now", "input": {}}]


def test_signed_thinking_goes_back_before_its_call_and_another_providers_signature_does_not():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    signed = ToolCall(
        id="t1", name="weather", arguments='{"city": "Bern"}', signature=f"[{thinking}]".replace("'", '"')
    )
    foreign = ToolCall(id="t1", name="weather", arguments='{"city": "Bern"}', signature="CiQB0e2Kb")
    text = {"type": "text", "text": "Let me look."}
    made = turns(Message("assistant", "Let me look.", tool_calls=[signed, signed]))
    assert made[0]["content"] == [thinking, text, TOOL_USE, thinking, TOOL_USE]
    assert turns(Message("assistant", tool_calls=[foreign]))[0]["content"] == [TOOL_USE]


def test_images_go_by_url_or_as_data():
    data = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
    parts = (
        ImagePart(data="QUJD", media_type="image/png", detail="auto"),
        ImagePart(url="data:image/png;base64,QUJD"),
        ImagePart(url="https://example.com/a.png"),
    )
    assert [block["source"] for block in content(*parts)] == [
        data,
        data,
        {"type": "url", "url": "https://example.com/a.png"},
    ]


def test_documents_go_as_pdf_as_text_by_url_or_by_file_id():
    text = base64.b64encode("Ünï".encode()).decode()
    parts = (
        DocumentPart(data="JVBE", media_type="application/pdf", name="Plan"),
        DocumentPart(data=text, media_type="text/plain"),
        DocumentPart(url="https://example.com/a.pdf"),
        DocumentPart(file_id="file_1"),
    )
    assert content(*parts) == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "Plan",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Ünï"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


def test_parts_messages_and_tools_carry_extra_into_what_is_made_of_them():
    cached = {"cache_control": {"type": "ephemeral"}}
    assert content(TextPart("hi", extra=cached)) == [{"type": "text", "text": "hi", **cached}]
    failed = Message("tool", "no such city", tool_call_id="t1", extra={"is_error": True})
    assert turns(CALLED, failed)[1]["content"][0]["is_error"] is True
    search = ToolDefinition(name="web_search", extra={"type": "web_search_20250305"})
    assert body(tools=(search,))["tools"] == [{"name": "web_search", "type": "web_search_20250305"}]


def test_tools_and_the_choice_among_them():
    tools = (
        ToolDefinition(name="weather", description="Tells it.", parameters=SCHEMA, strict=True),
        ToolDefinition(name="now"),
    )
    assert body(tools=tools)["tools"] == [
        {"name": "weather", "description": "Tells it.", "input_schema": SCHEMA, "strict": True},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]
    choices = [body(tools=tools, tool_choice=word)["tool_choice"] for word in ("auto", "none", "required", "now")]
    assert choices == [{"type": "auto"}, {"type": "none"}, {"type": "any"}, {"type": "tool", "name": "now"}]


def test_a_schema_is_the_output_configs_format_beside_what_extra_says_of_it():
    asked = ResponseFormat(schema=SCHEMA, name="place", strict=False)
    form = {"type": "json_schema", "schema": SCHEMA}
    assert body(response_format=asked)["output_config"] == {"format": form}
    effort = {"output_config": {"effort": "low"}}
    assert body(response_format=asked, extra=effort)["output_config"] == {"format": form, "effort": "low"}
    assert "output_config" not in body(response_format=ResponseFormat(type="text"))


USER = Message("user", "hi")
PICTURE = ImagePart(data="QUJD", media_type="image/png")
REFUSED: dict[str, tuple[tuple[Message, ...], dict[str, Any]]] = {
    "seed": ((USER,), {"seed": 1}),
    "temperature": ((USER,), {"temperature": 1.5}),
    "response_format": ((USER,), {"response_format": ResponseFormat(type="json_object")}),
    "messages": ((Message("system", "S"),), {}),
    "messages[0].extra": ((Message("system", "S", extra={"a": 1}), USER), {}),
    "messages[0].name": ((Message("user", "hi", name="Ann"),), {}),
    "messages[1].tool_call_id": ((CALLED, Message("tool", "sunny")), {}),
    "messages[0].tool_calls[0].arguments": (
        (Message("assistant", tool_calls=[ToolCall(id="t", name="n", arguments='{"a": ')]),),
        {},
    ),
    "messages[1].tool_calls[0].arguments": (
        (USER, Message("assistant", tool_calls=[ToolCall(id="t", name="n", arguments="[1]")])),
        {},
    ),
    "messages[0].content[1]": ((Message("user", [TextPart("a"), AudioPart(data="QUJD", media_type="audio/wav")]),), {}),
    "messages[1].content[0]": ((USER, Message("assistant", [PICTURE])), {}),
    "messages[0].content[0]": ((Message("system", [PICTURE]), USER), {}),
    "messages[0].content[0].detail": ((Message("user", [PICTURE.replace(detail="low")]),), {}),
    "messages[0].content[0].media_type": ((Message("user", [PICTURE.replace(media_type="image/svg+xml")]),), {}),
    "messages[0].content[0].url": ((Message("user", [ImagePart(url="data:image/png,QUJD")]),), {}),
    "messages[0].content[0].data": (
        (Message("user", [DocumentPart(data="///", media_type="text/plain")]),),
        {},
    ),
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_messages_cannot_do_is_refused_by_name(path):
    messages, fields = REFUSED[path]
    with pytest.raises(ProviderError) as caught:
        body(*messages, **fields)
    assert caught.value.error_type is ErrorType.INVALID_REQUEST
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("part", [DocumentPart(data="QUJD", media_type="text/csv"), DocumentPart()])
def test_a_document_that_messages_does_not_take_is_refused(part):
    with pytest.raises(ProviderError, match=r"^messages\[0\].content\[0\]"):
        content(part)


def test_what_extra_says_is_not_judged():
    assert (
        body(temperature=1.5, seed=1, extra={"temperature": 2, "seed": 3}).items()
        >= {
            "temperature": 2,
            "seed": 3,
        }.items()
    )
