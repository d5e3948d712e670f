"""HTTP for penstock's providers: a transport seam with two engines, server-sent events, headers, JSON, a base class.

Providers import from here; an engine is imported only when `choose_engine(...).build()` asks for it.
"""

from penstock.schema import LimitReading
from penstock_http.engines import ENGINES, Engine, EngineError, choose_engine, engine_in_use
from penstock_http.errors import TransportError, TransportFault
from penstock_http.headers import RetryHint, parse_duration, parse_limits, parse_retry
from penstock_http.jsonbody import JsonBodyError, copied, dumps, loads
from penstock_http.progress import END, EventReader, StreamEnd
from penstock_http.provider import HttpProvider
from penstock_http.secret import KeySource, Secret
from penstock_http.sse import Event, EventParser, EventTooLargeError
from penstock_http.status import error_type_of, message_of
from penstock_http.transport import HttpRequest, HttpResponse, HttpStream, Options, Timeouts, Transport

__all__ = [
    "END",
    "ENGINES",
    "Engine",
    "EngineError",
    "Event",
    "EventParser",
    "EventReader",
    "EventTooLargeError",
    "HttpProvider",
    "HttpRequest",
    "HttpResponse",
    "HttpStream",
    "JsonBodyError",
    "KeySource",
    "LimitReading",
    "Options",
    "RetryHint",
    "Secret",
    "StreamEnd",
    "Timeouts",
    "Transport",
    "TransportError",
    "TransportFault",
    "choose_engine",
    "copied",
    "dumps",
    "engine_in_use",
    "error_type_of",
    "loads",
    "message_of",
    "parse_duration",
    "parse_limits",
    "parse_retry",
]
