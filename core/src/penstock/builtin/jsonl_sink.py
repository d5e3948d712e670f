"""The sink "jsonl": every event as a line of JSON in a file, without prompts and answers unless they are asked for."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from attrs import fields_dict
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from penstock.contracts import MetricsSink
from penstock.schema import (
    Event,
    GenerationRequest,
    GenerationResult,
    PipelineStepResult,
    Record,
    ToolCall,
    converter,
)

__all__ = ["JsonlSink"]

MOST_WAITING_BYTES = 1024 * 1024
OWNER_ONLY = 0o600

# Of a request only what can hold no text of the caller's is kept, so that a new field is private until listed here.
KEPT_OF_A_REQUEST = {
    *("model", "operation", "custom_id", "metadata", "parent_trace_id", "timeout_s", "retry"),
    *("max_tokens", "temperature", "top_p", "seed", "tool_choice"),
}
LEFT_OUT: dict[type[Record], set[str]] = {
    GenerationRequest: set(fields_dict(GenerationRequest)) - KEPT_OF_A_REQUEST,
    GenerationResult: {"content", "raw_content", "reasoning", "refusal", "logprobs", "embeddings"},
    PipelineStepResult: {"content_before", "content_after"},
    ToolCall: {"arguments", "signature"},
}


def _without_content() -> Converter:
    """Return a converter that passes over what `LEFT_OUT` lists, wherever in an event it stands."""
    made = converter.copy()

    def hook_for(kind: type[Record]) -> Callable[[Record], dict[str, Any]]:
        omitted: dict[str, Any] = {name: override(omit=True) for name in LEFT_OUT.get(kind, ())}
        return make_dict_unstructure_fn(kind, made, **omitted)

    made.register_unstructure_hook_factory(lambda kind: isinstance(kind, type) and issubclass(kind, Record), hook_for)
    return made


class JsonlSink(MetricsSink):
    """Appends each event to a file as `{"event": "RequestEnded", ...}`, followed by the event's own fields.

    Lines are written whole: what part of a line a full disk took is cut off again. Lines that cannot be written wait,
    up to 1 MiB of them, and go out when the disk takes them; beyond that `record` raises, so that exactly what is lost
    is counted. A line that an earlier process left torn is closed off, so it spoils no other.

    The file is made when the first event comes, readable by its owner only, since errors may quote what was asked; a
    file that is there keeps its mode. One process writes to a file at a time. The folder must exist.

    Args:
        path: the file, as a str or a path.
        stats_every_s: seconds between two lines with the service's figures, those of every gate among them; None: none.
        content: record prompts, answers, reasoning and tool arguments, too. Without it neither they nor the request's
            tools, schema, steps and extra fields are in the file; error messages and the caller's metadata are.
    """

    name = "jsonl"

    def __init__(self, path: str, *, stats_every_s: float | None = 10.0, content: bool = False) -> None:
        if stats_every_s is not None and not stats_every_s > 0:
            raise ValueError(f"stats_every_s must be above 0, not {stats_every_s!r}; None: no figures")
        self.path = Path(path)
        self.stats_every_s = stats_every_s
        self._unstructure = (converter if content else _without_content()).unstructure
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._file: FileIO | None = None

    def record(self, event: Event) -> None:
        """Take one event; raises OSError, naming the file, when it is lost because no more lines can wait."""
        if self._waiting_bytes >= MOST_WAITING_BYTES:
            self.flush()
        line = _line({"event": type(event).__name__, **self._unstructure(event)})
        self._lines.append(line)
        self._waiting_bytes += len(line)

    def flush(self) -> None:
        """Write all waiting lines; raises OSError, naming the file, and keeps the lines that could not be written."""
        if not self._lines:
            return
        try:
            if self._file is None:
                self._file = _open(self.path)
            self._write(self._file)
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror or error}; {len(self._lines)} events wait", str(self.path)
            ) from error

    def close(self) -> None:
        """Write all waiting lines and close the file; raises OSError that says how many events are lost."""
        try:
            self.flush()
        finally:
            self._lines.clear()
            self._waiting_bytes = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, file: FileIO) -> None:
        data = memoryview(b"".join(self._lines))
        written = 0
        try:
            while written < len(data):
                written += file.write(data[written:])
        finally:
            torn = self._forget(written)
            if torn:
                self._mend(file, torn)

    def _forget(self, written: int) -> int:
        """Drop the lines that are in the file; return how many bytes of the next one are, too."""
        whole = 0
        while whole < len(self._lines) and len(self._lines[whole]) <= written:
            written -= len(self._lines[whole])
            whole += 1
        del self._lines[:whole]
        self._waiting_bytes = sum(map(len, self._lines))
        return written

    def _mend(self, file: FileIO, torn: int) -> None:
        """Cut a torn line off again; where that cannot be, as in a pipe, its rest is what is written next."""
        try:
            file.truncate(os.fstat(file.fileno()).st_size - torn)
        except OSError:
            self._lines[0] = self._lines[0][torn:]
            self._waiting_bytes -= torn


def _line(record: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a NaN or an infinity in somebody's metadata, which JSON cannot say
        finite = json.loads(json.dumps(record), parse_constant=lambda _: None)
        text = json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate is no UTF-8; Python's escape of it is the one that JSON has.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _open(path: Path) -> FileIO:
    """Open a file to append whole lines to; a torn last line is closed off."""
    # Unbuffered, so that an OSError says how much of the data is in the file.
    file = FileIO(path, "a+", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY))
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    except OSError:
        file.close()
        raise
    return file
