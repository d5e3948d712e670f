"""HTTP for penstock's providers: a transport seam with two engines, server-sent events, limit headers, JSON bodies.

Providers import from here; an engine is imported only when `choose_engine(...).build()` asks for it.
"""

from penstock.schema import LimitReading
from penstock_http.engines import ENGINES, Engine, EngineError, choose_engine, engine_in_use
from penstock_http.errors import TransportError, TransportFault
from penstock_http.headers import RetryHint, parse_duration, parse_limits, parse_retry
from penstock_http.jsonbody import JsonBodyError, dumps, loads
from penstock_http.sse import Event, EventParser, EventTooLargeError
from penstock_http.transport import HttpRequest, HttpResponse, HttpStream, Options, Timeouts, Transport

__all__ = [
    "ENGINES",
    "Engine",
    "EngineError",
    "Event",
    "EventParser",
    "EventTooLargeError",
    "HttpRequest",
    "HttpResponse",
    "HttpStream",
    "JsonBodyError",
    "LimitReading",
    "Options",
    "RetryHint",
    "Timeouts",
    "Transport",
    "TransportError",
    "TransportFault",
    "choose_engine",
    "dumps",
    "engine_in_use",
    "loads",
    "parse_duration",
    "parse_limits",
    "parse_retry",
]
