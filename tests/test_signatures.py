"""A call's signature is for the provider that made it: any other is told the call, and never the signature."""

import json

import pytest

from penstock import LLMCallRequest, Message
from penstock_anthropic import AnthropicProvider
from penstock_gemini import GeminiProvider, VertexProvider
from penstock_openai import OpenAIProvider

PROVIDERS = {
    "anthropic": AnthropicProvider(api_key="k"),
    "gemini": GeminiProvider(api_key="k"),
    "vertex": VertexProvider(project="p", access_token="k"),
    "chat completions": OpenAIProvider(api_key="k"),
    "responses": OpenAIProvider(api_key="k", api="responses"),
}
SECRET = "RW5jcnlwdGVkVGhvdWdodHM"  # stands in every vendor's answer where its thoughts are encrypted

ANSWERS = {
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": SECRET},
            {"type": "tool_use", "id": "t", "name": "now", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [
            {"content": {"parts": [{"functionCall": {"name": "now", "id": "t"}, "thoughtSignature": SECRET}]}},
        ],
    },
    "responses": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SECRET},
            {"type": "function_call", "id": "fc_1", "call_id": "t", "name": "now", "arguments": "{}"},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    },
}
OWN = {("anthropic", "anthropic"), ("gemini", "gemini"), ("gemini", "vertex"), ("responses", "responses")}


@pytest.mark.parametrize("made_by", ANSWERS)
@pytest.mark.parametrize("sent_to", PROVIDERS)
def test_a_signature_goes_back_to_the_vendor_that_made_it_and_to_no_other(made_by, sent_to):
    calls = PROVIDERS[made_by].parse_reply(ANSWERS[made_by]).tool_calls
    assert [call.name for call in calls] == ["now"]
    request = LLMCallRequest(
        model="m",
        messages=(
            Message("user", "What time is it?"),
            Message("assistant", "", tool_calls=calls),
            Message("tool", "noon", tool_call_id=calls[0].id),
        ),
    )
    payload = json.dumps(PROVIDERS[sent_to].convert_request(request))
    assert "now" in payload
    assert (SECRET in payload) == ((made_by, sent_to) in OWN)
