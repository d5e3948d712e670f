"""The provider: what is sent to Tiny, and what its answers mean."""

from typing import Any

from penstock import ErrorType, GenerationChunk, LLMCallRequest, ProviderError, ProviderReply, Usage
from penstock_http import Event, HttpProvider


class TinyProvider(HttpProvider):
    """Calls Tiny's models: a prompt, and how many tokens may come back. The key is in TINY_API_KEY."""

    name = "tiny"
    default_base_url = "https://tiny.invalid/v1"
    path = "/complete"
    key_variable = "TINY_API_KEY"

    def payload(self, request: LLMCallRequest) -> dict[str, Any]:
        """Return the JSON to send; Tiny knows one message, a limit, and fields that penstock does not name."""
        for field in ("temperature", "top_p", "stop", "seed", "tools", "response_format", "inputs"):
            if getattr(request, field) not in (None, ()):
                raise ProviderError(f"Tiny cannot do {field}", ErrorType.INVALID_REQUEST)
        if len(request.messages) != 1 or not isinstance(request.messages[0].content, str):
            raise ProviderError("Tiny takes messages of one text only, no images", ErrorType.INVALID_REQUEST)
        return {"model": request.model, "prompt": request.messages[0].text, "most": request.max_tokens, **request.extra}

    def parse_reply(self, data: Any) -> ProviderReply:
        """Return the reply in the JSON of an answer."""
        usage = Usage(input_tokens=data["read"], output_tokens=data["written"])
        return ProviderReply(data["completion"], usage, finish_reason="stop")

    def parse_event(self, event: Event) -> GenerationChunk | None:
        """Pass over events; Tiny sends none, and its answer to a stream is one chunk."""
