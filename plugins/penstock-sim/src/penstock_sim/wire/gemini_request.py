"""Reading a request to Gemini's generateContent, as strictly as the real API where clients notice."""

import re
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, unquote

import orjson

from penstock_sim.exchange import Failure, FailureKind, HttpRequest, RefusedError, SimRequest, Tool
from penstock_sim.wire.conversation import call_text, prompt_of, said, text_of
from penstock_sim.wire.fields import FieldChecks, Fields, refused

PATH: Final = re.compile(r"/v1(?:alpha|beta)?/((?:models|tunedModels)/[^/:]+):(generateContent|streamGenerateContent)")
MAX_CANDIDATES: Final = 8

_SPEAKERS: Final = {"user": "user", "model": "assistant", "function": "tool"}
_MODES: Final = {"MODE_UNSPECIFIED": "auto", "AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_NO_PARAMETERS: Final = {"type": "object", "properties": {}}


class GeminiChecks(FieldChecks):
    """Checks in the words of the API, which names fields by their place in the message."""

    json_names: ClassVar[dict[type, str]] = {
        dict: "TYPE_MESSAGE",
        list: "TYPE_LIST",
        str: "TYPE_STRING",
        bool: "TYPE_BOOL",
        int: "TYPE_INT32",
    }

    def not_json(self) -> RefusedError:
        """Word the refusal of a body that is no JSON object."""
        return RefusedError(Failure(FailureKind.INVALID_JSON, "Invalid JSON payload received."))

    def missing(self, path: str) -> RefusedError:
        """Word the refusal of a body without a field it needs."""
        return refused(f"* GenerateContentRequest.{path}: {path.rpartition('.')[2]} is not specified\n", path)

    def wrong_type(self, value: object, kind: type, path: str) -> RefusedError:  # noqa: ARG002  # not told to the client
        """Word the refusal of a field that is of another type."""
        return refused(f"Invalid value at '{path}' ({self.json_names[kind]})", path)

    def wrong_value(self, value: object, path: str) -> RefusedError:  # noqa: ARG002  # never repeated to the client
        """Word the refusal of a field whose value is none of those there are."""
        return refused(f"Invalid value at '{path}' (TYPE_ENUM)", path)

    def below(self, value: int, low: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too small."""
        return refused(f"* GenerateContentRequest.{path}: must be at least {low}, not {value}\n", path)

    def above(self, value: int, high: int, path: str) -> RefusedError:
        """Word the refusal of a number that is too large."""
        return refused(f"* GenerateContentRequest.{path}: must be at most {high}, not {value}\n", path)


checks = GeminiChecks()


def parse(request: HttpRequest) -> SimRequest:
    """Read URL and body into a SimRequest; a stream that is not asked for as events comes as one list."""
    name, method = _target(request.path)
    body = camel(checks.body(request.body))
    turns, question = conversation(body)
    config = _object(body, "generationConfig")
    tools, choice = _tools(body)
    wants_json = checks.typed(config, "responseMimeType", str, "generationConfig.responseMimeType")
    streams = method == "streamGenerateContent"
    as_events = streams and "sse" in parse_qs(request.query).get("alt", ())
    return SimRequest(
        model=name,
        prompt=prompt_of(turns),
        question=question,
        max_tokens=checks.integer(config, "maxOutputTokens", 1, path="generationConfig.maxOutputTokens"),
        stream=as_events,
        tools=tools,
        tool_choice=choice,
        wants_json=wants_json == "application/json",
        json_schema=config.get("responseJsonSchema") or _json_schema(config.get("responseSchema")),
        choices=checks.integer(config, "candidateCount", 1, MAX_CANDIDATES, "generationConfig.candidateCount") or 1,
        seed=checks.integer(config, "seed", path="generationConfig.seed") or 0,
        notes={"list": streams and not as_events},
    )


def _target(path: str) -> tuple[str, str]:
    """Split a path that the format is spoken on: the model's name, and what it is to do."""
    match = PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"not a path of the Gemini API: {path}")
    return unquote(match[1]).removeprefix("models/"), match[2]


def camel(fields: Fields) -> Fields:
    """Write the names of fields as the reference does; the API takes them with underscores too."""
    if "_" not in "".join(fields):
        return fields
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), name): value for name, value in fields.items()}


def _object(fields: Fields, name: str, path: str = "") -> Fields:
    """Return an object, empty if there is none."""
    return camel(checks.typed(fields, name, dict, path) or {})


# ---------------------------------------------------------------- what was said


def conversation(body: Fields) -> tuple[list[str], str | None]:
    """Read what was said, and what the user asks last."""
    turns = []
    if system := _object(body, "systemInstruction"):
        pieces, _ = parts_of(system, "systemInstruction")
        turns.append(said("system", " ".join(pieces)))
    contents = checks.needed(body, "contents", list)
    if not contents:
        raise checks.missing("contents")
    question = None
    for index, content in enumerate(contents):
        path = f"contents[{index}]"
        fields = checks.expect(content, dict, path)
        role = checks.typed(fields, "role", str, f"{path}.role") or "user"
        if role not in _SPEAKERS:
            raise refused("Please use a valid role: user, model.")
        pieces, answers_call = parts_of(fields, path)
        speaker = "tool" if answers_call else _SPEAKERS[role]
        turns.append(said(speaker, " ".join(pieces)))
        question = " ".join(pieces) if speaker == "user" else None
    return turns, question


def parts_of(content: Fields, path: str) -> tuple[list[str], bool]:
    """Flatten a content, and say whether a tool has answered in it."""
    pieces = []
    answers_call = False
    parts = checks.typed(content, "parts", list, f"{path}.parts") or []
    if not parts:
        raise checks.missing(f"{path}.parts")
    for index, part in enumerate(parts):
        place = f"{path}.parts[{index}]"
        fields = camel(checks.expect(part, dict, place))
        if call := _object(fields, "functionCall", f"{place}.functionCall"):
            name = checks.needed(call, "name", str, f"{place}.functionCall.name")
            pieces.append(call_text(call.get("id"), name, orjson.dumps(call.get("args") or {}).decode()))
        elif result := _object(fields, "functionResponse", f"{place}.functionResponse"):
            answers_call = True
            pieces.append(orjson.dumps(result.get("response")).decode())
        else:
            pieces.append(text_of(fields))
    return pieces, answers_call


# ---------------------------------------------------------------- tools, and the form of the answer


def _tools(body: Fields) -> tuple[tuple[Tool, ...], str]:
    """Read the functions there are, and which are to be called."""
    tools: list[Tool] = []
    for index, item in enumerate(checks.typed(body, "tools", list) or ()):
        path = f"tools[{index}]"
        fields = camel(checks.expect(item, dict, path))  # search and other tools of the API's own are never called
        place = f"{path}.functionDeclarations"
        tools += [_declaration(each, place) for each in checks.typed(fields, "functionDeclarations", list, place) or ()]
    calling = _object(_object(body, "toolConfig"), "functionCallingConfig", "toolConfig.functionCallingConfig")
    mode = calling.get("mode") or "AUTO"
    if not isinstance(mode, str) or mode not in _MODES:
        raise checks.wrong_value(mode, "toolConfig.functionCallingConfig.mode")
    allowed = calling.get("allowedFunctionNames")
    if isinstance(allowed, list) and allowed:
        tools = [tool for tool in tools if tool.name in allowed]
    return tuple(tools), _MODES[mode]


def _declaration(declared: object, path: str) -> Tool:
    fields = camel(checks.expect(declared, dict, path))
    name = checks.needed(fields, "name", str, f"{path}.name")
    schema = fields.get("parametersJsonSchema") or _json_schema(fields.get("parameters"))
    return Tool(name, schema if isinstance(schema, dict) else _NO_PARAMETERS)


def _json_schema(schema: Any) -> Any:
    """Return Google's kind of schema as a JSON schema: the names of its types are written in capitals."""
    if isinstance(schema, list):
        return [_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _json_schema(value)
        for name, value in schema.items()
    }
