"""Where a run's lines go: OUT, the error file, and a rescue file for what came back after OUT failed."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Self

from attrs import define, field

__all__ = ["LineFile", "OutputError", "ResultWriter", "check_paths", "default_error_path", "open_writer"]


O_BINARY = getattr(os, "O_BINARY", 0)
"""Windows would otherwise turn each newline into two characters."""


class OutputError(OSError):
    """An output that cannot be used; the message names it and says what to do."""


@define
class LineFile:
    """A file that grows by whole lines; each is with the operating system when `append` returns.

    Attributes:
        name: how messages call it.
        path: where it is; None for stdout.
        lines: how many it holds.
    """

    name: str
    path: Path | None
    _fd: int
    _regular: bool
    lines: int = 0
    _size: int = 0

    @classmethod
    def open(cls, path: str, *, overwrite: bool = False) -> Self:
        """Create `path`, or open stdout for "-"; raises `OutputError`, also for a file that is there already."""
        if path == "-":
            return cls("stdout", None, _stdout(), regular=False)
        fresh = os.O_EXCL if not overwrite and not _is_device(path) else os.O_TRUNC
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | O_BINARY | fresh, 0o666)
        except FileExistsError:
            raise OutputError(f"{path} exists already; name another file, or add --overwrite") from None
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
        return cls(path, Path(path), fd, stat.S_ISREG(os.fstat(fd).st_mode))

    def append(self, line: bytes) -> None:
        """Write a line, or raise OSError and leave the file as it was before."""
        try:
            self._write(line)
        except OSError:
            if self._regular:
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += len(line)
        self.lines += 1

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Make the lines safe and close; raises OSError when the disk tells only now that it failed."""
        try:
            if self._regular:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


def _stdout() -> int:
    """Return a descriptor of stdout; raises `OutputError` where the process was started without one."""
    if sys.stdout is None:  # what Python makes of a closed one; its number may be another file's by now
        raise OutputError("stdout is closed; give the results a file")
    return os.dup(sys.stdout.fileno())


def _is_device(path: str) -> bool:
    """Whether `path` is something like /dev/null or a named pipe, which holds nothing that could be lost."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _rescue() -> LineFile:
    """Return a new file in the folder for temporary files, which is often on another disk; stderr if that fails."""
    try:
        fd, name = tempfile.mkstemp(prefix="penstock-rescued-", suffix=".jsonl")
    except OSError:
        return LineFile("stderr", None, os.dup(2), regular=False)
    return LineFile(name, Path(name), fd, regular=True)


@define
class ResultWriter:
    """Takes each row's lines. The seam for a journal: whoever has these four members can stand here.

    Attributes:
        failure: why OUT or the error file takes no more lines; None while all is well.
        rescued: where the lines went that came back after that: a file, and after it stderr if that failed as well.
    """

    out: LineFile
    errors: LineFile
    failure: str | None = None
    rescued: list[LineFile] = field(factory=list, init=False)

    def write(self, line: bytes, error_line: bytes | None = None) -> None:
        """Write a row's line, and its line for the error file if it failed. Never raises: see `failure`."""
        if self.failure is None:
            target = self.out
            try:
                target.append(line)
                line = b""
                if error_line is not None:
                    target = self.errors
                    target.append(error_line)
            except OSError as error:
                self.failure = f"{target.name} takes no more lines: {error.strerror or error}"
        if self.failure is not None and line:
            self._save(line)

    def _save(self, line: bytes) -> None:
        if not self.rescued:
            self.rescued.append(_rescue())
        try:
            self.rescued[-1].append(line)
        except OSError:
            self.rescued.append(LineFile("stderr", None, os.dup(2), regular=False))
            self.rescued[-1].append(line)

    def close(self) -> None:
        """Close the files, and remove an error file without errors. Never raises: see `failure`."""
        for file in (self.out, self.errors, *self.rescued):
            try:
                file.close()
            except OSError as error:
                self.failure = self.failure or f"{file.name} failed: {error.strerror or error}"
        if self.errors.path is not None and self.errors.path.is_file() and not self.errors.lines:
            self.errors.path.unlink()


def default_error_path(out: str) -> str:
    """Return "out.errors.jsonl" beside "out.jsonl"; a file in the current folder when OUT is no file."""
    if out == "-" or _is_device(out):
        return "penstock.errors.jsonl"
    return str(Path(out).with_suffix(".errors.jsonl"))


def check_paths(source: str, out: str, errors: str) -> None:
    """Raise `OutputError` when two of the three are one file, or when an output cannot be a file."""
    names = {"IN": source, "OUT": out, "the error file": errors}
    seen: dict[Path, str] = {}
    for role, name in names.items():
        if name == "-" or _is_device(name):
            continue
        path = Path(name).resolve()
        if path in seen:
            raise OutputError(f"{role} and {seen[path]} are the same file, {name}; name another one")
        seen[path] = role
        if role != "IN" and path.is_dir():
            raise OutputError(f"{role} is a folder, {name}; name a file in it")
        if role != "IN" and not path.parent.is_dir():
            raise OutputError(f"{role} cannot be made: there is no folder {path.parent}")


def open_writer(out: str, errors: str, *, overwrite: bool) -> ResultWriter:
    """Open both files, so that nothing is called whose result could not be written; raises `OutputError`."""
    first = LineFile.open(out, overwrite=overwrite)
    try:
        return ResultWriter(first, LineFile.open(errors, overwrite=overwrite))
    except OutputError:
        first.close()
        if first.path is not None and first.path.is_file() and not overwrite:
            first.path.unlink()
        raise
