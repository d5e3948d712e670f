"""Every kind of block, delta, stop reason and error that the API's published types name: none costs the rest."""

import json
from typing import Any

import pytest

from penstock import ErrorType
from penstock.schema import ReplyBuilder
from penstock_anthropic.errors import error_of
from penstock_anthropic.reply import StreamReader, reply_of
from penstock_http import END, Event

NAMES = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}
USAGE = {"input_tokens": 3, "output_tokens": 2}
CITED = {"type": "web_search_result_location", "url": "https://example.invalid", "cited_text": "wet", "title": "t"}
ERROR = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}

# A block of each type that is no text, thinking or call of the caller's tools, with the deltas that a stream has of it.
PASSED_OVER: dict[str, tuple[dict[str, Any], list[tuple[str, str, str]]]] = {
    "server_tool_use": ({"id": "s", "name": "web_search", "input": {}}, [("input_json_delta", "partial_json", "{}")]),
    "web_search_tool_result": ({"tool_use_id": "s", "content": [{"type": "web_search_result", "url": "u"}]}, []),
    "web_fetch_tool_result": ({"tool_use_id": "s", "content": ERROR}, []),
    "code_execution_tool_result": ({"tool_use_id": "s", "content": {"stdout": "1", "return_code": 0}}, []),
    "bash_code_execution_tool_result": ({"tool_use_id": "s", "content": {"stdout": "1"}}, []),
    "text_editor_code_execution_tool_result": ({"tool_use_id": "s", "content": {"lines": ["1"]}}, []),
    "tool_search_tool_result": ({"tool_use_id": "s", "content": {"tool_references": []}}, []),
    "advisor_tool_result": ({"tool_use_id": "s", "content": {"type": "advisor_result", "text": "no"}}, []),
    "mcp_tool_use": (
        {"id": "m", "name": "f", "server_name": "x", "input": {}},
        [("input_json_delta", "partial_json", '{"a":1}')],
    ),
    "mcp_tool_result": ({"tool_use_id": "m", "is_error": False, "content": [{"type": "text", "text": "no"}]}, []),
    "mcp_tool_listing": ({"tools": []}, []),
    "container_upload": ({"file_id": "f"}, []),
    "compaction": ({"content": None}, [("compaction_delta", "content", "no"), ("signature_delta", "signature", "s")]),
    "fallback": ({"from": {"model": "a"}, "to": {"model": "b"}, "trigger": {"type": "refusal"}}, []),
    "connector_text": ({"text": ""}, [("text_delta", "text", "no"), ("signature_delta", "signature", "s")]),
    "a block of next year": ({"text": "no"}, [("a_delta_of_next_year", "text", "no"), ("text_delta", "text", "no")]),
}


def text(words, **fields):
    return {"type": "text", "text": words, **fields}


def events_of(blocks, deltas):
    """The stream of a message: text in its deltas, the other blocks whole in their first event, then `deltas`."""
    yield {"type": "message_start", "message": {**NAMES, "content": [], "usage": USAGE}}
    for index, block in enumerate(blocks):
        said = block["type"] == "text"
        yield {"type": "content_block_start", "index": index, "content_block": {**block, "text": ""} if said else block}
        pieces = [("text_delta", "text", block["text"])] if said else deltas
        for kind, field, value in pieces:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: value}}
        for citation in block.get("citations", ()):
            yield {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": "citations_delta", "citation": citation},
            }
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    yield {"type": "message_stop"}


def streamed(blocks, deltas=()):
    reader, builder = StreamReader(), ReplyBuilder()
    for data in events_of(blocks, deltas):
        chunk = reader.read(Event(json.dumps(data), data["type"]))
        if chunk is not None and chunk is not END:
            builder.add(chunk)
    return builder.build()


def whole(blocks):
    return reply_of({**NAMES, "content": blocks, "stop_reason": "end_turn", "usage": USAGE})


@pytest.mark.parametrize("kind", PASSED_OVER)
def test_a_block_that_is_not_for_the_caller_is_passed_over_and_what_stands_around_it_is_not(kind):
    fields, deltas = PASSED_OVER[kind]
    blocks = [text("Before, "), {"type": kind, **fields}, text("after.")]
    for reply in (whole(blocks), streamed(blocks, deltas)):
        assert reply.content == "Before, after."
        assert (reply.tool_calls, reply.reasoning, reply.refusal, reply.finish_reason) == ((), None, None, "stop")
        assert reply.usage.total_tokens == 5


def test_citations_cost_no_text():
    blocks = [text("Water is "), text("wet", citations=[CITED]), text(".")]
    assert whole(blocks).content == streamed(blocks).content == "Water is wet."


def test_thinking_whose_text_is_kept_back_still_signs_its_call():
    thinking = {"type": "thinking", "thinking": "", "signature": "sig"}
    call = {"type": "tool_use", "id": "t", "name": "now", "input": {}, "caller": {"type": "direct"}}
    for reply in (whole([thinking, call]), streamed([thinking, call])):
        assert reply.reasoning is None
        assert [json.loads(call.signature or "") for call in reply.tool_calls] == [[thinking]]


# As the published client's error classes name them: status, type, error_code.
ERRORS = [
    (400, "invalid_request_error", "claude_code_version_too_old", ErrorType.INVALID_REQUEST),
    (400, "invalid_request_error", "organization_type_not_supported", ErrorType.PERMISSION),
    (400, "invalid_request_error", "parent_organization_required", ErrorType.PERMISSION),
    (400, "invalid_request_error", "request_body_encoding_invalid", ErrorType.INVALID_REQUEST),
    (400, "invalid_request_error", "request_body_encoding_unsupported", ErrorType.INVALID_REQUEST),
    (400, "invalid_request_error", "cmek_key_disabled", ErrorType.PERMISSION),
    (400, "invalid_request_error", "cmek_key_network_blocked", ErrorType.PERMISSION),
    (402, "billing_error", "linked_organization_billing_unavailable", ErrorType.INSUFFICIENT_QUOTA),
    (403, "permission_error", "claude_code_key_creator_not_member", ErrorType.PERMISSION),
    (403, "permission_error", "sandbox_egress_restricted", ErrorType.PERMISSION),
    (408, "timeout_error", None, ErrorType.TIMEOUT),
    (409, "memory_path_conflict_error", None, ErrorType.SERVER_ERROR),
    (412, "memory_precondition_failed_error", None, ErrorType.INVALID_REQUEST),
    (413, "invalid_request_error", "request_body_too_large_after_decoding", ErrorType.INVALID_REQUEST),
    (422, "invalid_request_error", None, ErrorType.INVALID_REQUEST),
    (431, "invalid_request_error", None, ErrorType.INVALID_REQUEST),
    (503, "api_error", "cmek_context_unavailable", ErrorType.SERVER_ERROR),
    (503, "api_error", "cmek_key_unreachable", ErrorType.SERVER_ERROR),
    (503, "api_error", None, ErrorType.OVERLOADED),
    (501, "api_error", None, ErrorType.SERVER_ERROR),
    (524, "", None, ErrorType.TIMEOUT),
    (400, "exceed_context_size_error", None, ErrorType.CONTEXT_LENGTH),  # llama.cpp's
]


@pytest.mark.parametrize(("status", "kind", "code", "error_type"), ERRORS)
def test_every_error_that_the_client_names_has_its_type(status, kind, code, error_type):
    details = {"error_code": code} if code else None
    data = {"type": "error", "error": {"type": kind, "message": "M", "details": details}, "request_id": "req_1"}
    assert error_of(status, data).error_type is error_type
