"""Stands in for Tiny on a port of this machine: answers like it, or fails as the script says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ANSWER = {"completion": "Thirty metres.", "read": 7, "written": 3}


class Tiny(ThreadingHTTPServer):
    """Gives every call the same status and body, and counts them."""

    request_queue_size = 128
    calls = 0

    def __init__(self, status: int, body: Any) -> None:
        """Listen; answer once `serve_forever` runs."""
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.body = status, json.dumps(body).encode()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def tiny(status: int = 200, body: Any = ANSWER) -> Iterator[Tiny]:
    """Run the server until the end of the block."""
    server = Tiny(status, body)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: Tiny

    def do_POST(self) -> None:
        self.server.calls += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""
