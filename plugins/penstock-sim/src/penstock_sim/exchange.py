"""The vocabulary of the simulation: an HTTP exchange, and the model call it carries.

Nothing here knows a wire format or a socket; the wire modules translate between the two halves.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from attrs import field, frozen

FinishReason = Literal["stop", "length", "tool_calls"]


# ---------------------------------------------------------------- the HTTP half


@frozen
class HttpRequest:
    """A request as it came off the socket; header names are lower case.

    Headers, query and body stay out of the repr: they carry credentials and prompts.
    """

    method: str
    path: str
    headers: Mapping[bytes, bytes] = field(repr=False)
    body: bytes = field(repr=False)
    keep_alive: bool = True
    query: str = field(default="", repr=False)
    """What follows the question mark in the URL, as it was sent."""

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer TOKEN`; None where there is none."""
        scheme, _, token = self.headers.get(b"authorization", b"").partition(b" ")
        return token.strip().decode("latin-1") or None if scheme.lower() == b"bearer" else None


class Ending(Enum):
    """How a connection goes on after an answer."""

    COMPLETE = auto()
    """The answer is whole; the connection serves the next request."""
    STALL = auto()
    """The parts are sent, and then nothing more, for ever."""
    TEAR = auto()
    """The parts are sent, and the connection is closed in the middle of the answer."""
    ABANDON = auto()
    """The connection is closed without a byte of an answer."""
    RESET = auto()
    """The connection is reset (RST) without a byte of an answer."""


@frozen
class HttpAnswer:
    """What to send, before HTTP framing.

    `parts` are SSE events if `stream`, else pieces of one body whose declared
    length is `content_length` (None: what the parts add up to). `headers` are
    ready lines, each ending in CRLF. Delays are in seconds: before the first byte,
    and between parts.
    """

    status: int
    headers: str
    parts: tuple[bytes, ...]
    stream: bool = False
    content_length: int | None = None
    ending: Ending = Ending.COMPLETE
    delay_s: float = 0.0
    gap_s: float = 0.0


# ---------------------------------------------------------------- the model half

NO_NOTES: Final[Mapping[str, Any]] = MappingProxyType({})


@frozen
class Tool:
    """A function the model may call; `parameters` is its JSON Schema."""

    name: str
    parameters: object


@frozen
class SimRequest:
    """A model call, whatever wire format it came in.

    `prompt` is the whole conversation as text. `question` is the text of the last
    message if a user wrote it, else None: a tool's result is answered, not called again.
    `tool_choice` is a tool's name or one of auto, none, required. `choices` is how many
    answers are wanted: none where a text is only to be read, as for its embedding.
    `notes` is what the wire format that read the request wants to know again when it
    writes the answer; nobody else looks at it.
    """

    model: str
    prompt: str
    question: str | None
    max_tokens: int | None = None
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    wants_json: bool = False
    json_schema: object = None
    choices: int = 1
    seed: int = 0
    notes: Mapping[str, Any] = NO_NOTES


@frozen
class ToolCall:
    """One call the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@frozen
class Choice:
    """One of the answers to a request: text, or calls of tools."""

    text: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason


@frozen
class SimReply:
    """What the model answers, and the tokens of it."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int


class Charge(NamedTuple):
    """The tokens that a provider takes from its limits in advance, when a request comes in."""

    input_tokens: int
    output_tokens: int


@frozen
class Stamp:
    """What marks one answer: its id (32 hex digits), when (Unix seconds), how long it took (ms)."""

    id: str
    at: float
    processing_ms: int

    @property
    def created(self) -> int:
        """The whole second."""
        return int(self.at)


# ---------------------------------------------------------------- failures


class FailureKind(Enum):
    """Why a server refuses or fails; each wire format has its own status and words for it."""

    REQUEST_LIMIT = auto()
    TOKEN_LIMIT = auto()
    QUOTA = auto()
    NO_KEY = auto()
    WRONG_KEY = auto()
    REGION = auto()
    UNKNOWN_MODEL = auto()
    CONTEXT_LENGTH = auto()
    INVALID_JSON = auto()
    INVALID_REQUEST = auto()
    INVALID_HTTP = auto()
    HEADERS_TOO_LARGE = auto()
    BODY_TOO_LARGE = auto()
    UNKNOWN_URL = auto()
    WRONG_METHOD = auto()
    SERVER_ERROR = auto()
    OVERLOADED = auto()


class HintDialect(Enum):
    """The ways in which servers say how long to wait."""

    NONE = "none"
    NATIVE = "as the API does by itself"
    BOTH = "retry-after in whole seconds and retry-after-ms"
    SECONDS = "retry-after in whole seconds"
    FLOAT = "retry-after with a fraction"
    DATE = "retry-after as an HTTP date"
    MILLISECONDS = "retry-after-ms alone"
    RETRY_INFO = "google.rpc.RetryInfo in the body"


@frozen
class Failure:
    """A failure to be worded by a wire format.

    `param` is the offending field and `code` the wire's own code where the kind
    alone does not settle it. `retry_after_s` is told in the given dialect. `model` and
    `limit` (a minute) are known where a limiter has refused.
    """

    kind: FailureKind
    message: str
    param: str | None = None
    code: str | None = None
    hint: HintDialect = HintDialect.NONE
    retry_after_s: float = 0.0
    model: str | None = None
    limit: int | None = None


class RefusedError(Exception):
    """Raised while reading a request that cannot be answered; carries the failure to tell."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure: Final = failure
