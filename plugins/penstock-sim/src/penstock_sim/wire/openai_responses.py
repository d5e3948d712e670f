"""OpenAI's Responses: `POST /v1/responses`, streamed and not."""

from typing import Any, Final

import orjson

from penstock_sim.exchange import Choice, Failure, FailureKind, SimReply, SimRequest, Stamp, ToolCall
from penstock_sim.text import pieces
from penstock_sim.wire import sse
from penstock_sim.wire.openai_common import OpenAIWire, error_code
from penstock_sim.wire.openai_responses_request import parse

_TEXT: Final = {"format": {"type": "text"}, "verbosity": "medium"}
_REPEATED: Final[dict[str, Any]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": _TEXT,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What an answer repeats of the request, and what it says where the request says nothing."""


class Responses(OpenAIWire):
    """Responses."""

    prompt_field = "input"
    parse = staticmethod(parse)

    def body(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> bytes:
        """Write one `response`."""
        return orjson.dumps(_ended(_response(request, stamp), reply, stamp))

    def events(self, request: SimRequest, reply: SimReply, stamp: Stamp) -> tuple[bytes, ...]:
        """Write the typed events: the response begins, each item of it comes bit by bit, the response ends."""
        writer = _Writer()
        begun = _response(request, stamp)
        writer.write("response.created", response=begun)
        writer.write("response.in_progress", response=begun)
        ended = _ended(begun, reply, stamp)
        for index, item in enumerate(ended["output"]):
            if item["type"] == "message":
                _write_message(writer, index, item)
            else:
                _write_call(writer, index, item)
        writer.write(f"response.{ended['status']}", response=ended)
        return tuple(writer.written)

    def status(self, failure: Failure) -> int:
        """Give the HTTP status of a failure: a model that does not exist is a 400 here, as recorded answers have it."""
        return 400 if failure.kind is FailureKind.UNKNOWN_MODEL else super().status(failure)

    def error_event(self, failure: Failure, stamp: Stamp, place: int) -> bytes:  # noqa: ARG002  # the first event had the id
        """Word a failure as an `error` event."""
        return sse.named(
            {
                "type": "error",
                "code": error_code(failure),
                "message": failure.message,
                "param": failure.param,
                "sequence_number": place,
            }
        )


class _Writer:
    """Writes events one after the other, and numbers them."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.written.append(sse.named({"type": kind, "sequence_number": len(self.written), **fields}))


def _write_message(writer: _Writer, index: int, item: dict[str, Any]) -> None:
    (part,) = item["content"]
    writer.write(
        "response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []}
    )
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    writer.write("response.content_part.added", **place, part={**part, "text": ""})
    for piece in pieces(part["text"]):
        writer.write("response.output_text.delta", **place, delta=piece, logprobs=[])
    writer.write("response.output_text.done", **place, text=part["text"], logprobs=[])
    writer.write("response.content_part.done", **place, part=part)
    writer.write("response.output_item.done", output_index=index, item=item)


def _write_call(writer: _Writer, index: int, item: dict[str, Any]) -> None:
    writer.write(
        "response.output_item.added", output_index=index, item={**item, "status": "in_progress", "arguments": ""}
    )
    place = {"item_id": item["id"], "output_index": index}
    for piece in pieces(item["arguments"]):
        writer.write("response.function_call_arguments.delta", **place, delta=piece)
    writer.write("response.function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"])
    writer.write("response.output_item.done", output_index=index, item=item)


def _response(request: SimRequest, stamp: Stamp) -> dict[str, Any]:
    """Begin a response, of which nothing has come yet."""
    given = request.notes
    repeated = {name: given.get(name, absent) for name, absent in _REPEATED.items()}
    return {
        **repeated,
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": request.model,
        "output": [],
        "text": {**_TEXT, **(given.get("text") or {})},
        "usage": None,
    }


def _ended(response: dict[str, Any], reply: SimReply, stamp: Stamp) -> dict[str, Any]:
    choice = reply.choices[0]
    cut = choice.finish_reason == "length"
    return {
        **response,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "completed_at": None if cut else stamp.created,
        "output": _output(choice, stamp, "incomplete" if cut else "completed"),
        "usage": _usage(reply),
    }


def _output(choice: Choice, stamp: Stamp, status: str) -> list[dict[str, Any]]:
    """List the items of an answer: a message, or calls."""
    if choice.text is None:
        return [_call_item(call, index, stamp) for index, call in enumerate(choice.tool_calls)]
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": choice.text}
    return [{"id": f"msg_{stamp.id}", "type": "message", "status": status, "content": [part], "role": "assistant"}]


def _call_item(call: ToolCall, index: int, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": f"fc_{stamp.id[:-2]}{index:02x}",
        "type": "function_call",
        "status": "completed",
        "arguments": call.arguments,
        "call_id": call.id,
        "name": call.name,
    }


def _usage(reply: SimReply) -> dict[str, object]:
    return {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
