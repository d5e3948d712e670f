"""What all suites share: the guard against checks lost by accident, capabilities, and loops to run on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, NoReturn, TypeVar

import anyio
import pytest

from penstock.testing.clock import virtual_time

__all__ = ["Contract", "explained", "living_tasks", "logged", "on_each_loop", "replaces_check", "tasks_left"]

T = TypeVar("T")
P = TypeVar("P")
C = TypeVar("C", bound="Contract[Any]")

TURNS = 100
"""So often at most is looked whether a task that was told to end has ended."""

ALIKE = 0.75
"""How alike, by difflib's ratio, a name must be to a hook's to be taken for a slip: "mkae" and "make" just are."""


def replaces_check(reason: str) -> Callable[[Callable[..., Any]], Any]:
    """Let a method stand in for the check of the same name, which is then reported as skipped, with `reason`.

    Raises TypeError when it is used without a reason.
    """
    if not callable(getattr(reason, "strip", None)) or not reason.strip():  # also: used without its parentheses
        raise TypeError('say why: @replaces_check("the service has no such limit")')

    def mark(check: Callable[..., Any]) -> Any:  # Any, so that its signature may be another
        check.__dict__["replaces_check"] = reason
        return check

    return mark


class Contract(Generic[P]):
    """The base of all suites: a pytest class of checks, each with the rule that it enforces as its docstring.

    An author's class may say which capabilities its plugin lacks (`streams = False`), add tests of its own, and
    replace a check with `replaces_check`. Defining a method of a check's name without it, or a misspelt hook, raises
    TypeError when the class is made: a check that is lost by accident would look like one that passes.

    Attributes:
        backends: the event loops that the plugin is for; the others are skipped.
        limit_s: seconds after which a call is taken to hang, in virtual time where there is such.
        virtual_time: whether waits take no time; False for a plugin that waits for threads, processes or sockets.
    """

    backends: tuple[str, ...] = ("asyncio", "trio")
    limit_s: float = 60.0
    virtual_time: bool = True
    _is_suite = True
    _entered: ExitStack | None = None

    def __init_subclass__(cls, *, suite: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_suite = suite
        if not suite:
            _refuse_lost_checks(cls)
            _refuse_slips(cls)

    # ---------------------------------------------------------------- for authors

    def make(self) -> P:
        """Return a new object to check."""
        raise NotImplementedError(f"{type(self).__name__} must define make(self), which returns a new object to check")

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter `context` until the end of the check; for a server or a folder that `make` needs."""
        if self._entered is None:
            self._entered = ExitStack()
        return self._entered.enter_context(context)

    def new_folder(self) -> Path:
        """Return a new empty folder, which is removed at the end of the check."""
        return Path(self.enter(TemporaryDirectory(prefix="penstock-")))

    # ---------------------------------------------------------------- for suites

    def needs(self, capability: str) -> None:
        """Skip the check, saying why, if the author's class says that the plugin lacks `capability`."""
        if not getattr(self, capability):
            pytest.skip(f"{type(self).__name__} says {capability} = {getattr(self, capability)!r}")

    def run(self, backend: str, main: Callable[[], Awaitable[T]]) -> T:
        """Run `main` on a new loop of `backend` and return what it returns; skip where that is impossible."""
        if backend not in self.backends:
            pytest.skip(f"{type(self).__name__} says backends = {self.backends}")
        if find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed; pip install {backend}")
        options = virtual_time(backend) if self.virtual_time else {}
        return anyio.run(main, backend=backend, backend_options=options)

    @pytest.fixture(autouse=True)
    def _leave_at_the_end(self) -> Iterator[None]:
        yield
        self.leave()

    def leave(self) -> None:
        """Leave all that was entered; called at the end of each check."""
        entered, self._entered = self._entered, None
        if entered is not None:
            entered.close()


def on_each_loop(check: Callable[[C], Awaitable[None]]) -> Callable[[C, str], None]:
    """Make an async check one that pytest runs on asyncio and on trio."""

    def run(self: C, backend: str) -> None:
        self.run(backend, lambda: check(self))

    run.__name__, run.__qualname__, run.__doc__ = check.__name__, check.__qualname__, check.__doc__
    run.__module__ = check.__module__
    marked: Callable[[C, str], None] = pytest.mark.parametrize("backend", ["asyncio", "trio"])(run)
    return marked


@contextmanager
def explained(message: str) -> Iterator[None]:
    """Turn whatever is raised within into a failure that says what to change; `message` formats the error."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(message.format(error)) from error


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect all that is logged, at every level; nothing of it reaches any other handler of the root logger."""
    lines: list[str] = []
    handler, root = logging.Handler(), logging.getLogger()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # a handler in a line
    level, handlers = root.level, root.handlers
    root.handlers = [handler]
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.handlers = handlers
        root.setLevel(level)


def living_tasks() -> int:
    """Return how many tasks there are on the loop that runs."""
    if "trio" in sys.modules:
        from trio import lowlevel  # late: trio is optional

        if lowlevel.in_trio_run():
            return lowlevel.current_statistics().tasks_living
    return len(anyio.get_running_tasks())


async def tasks_left(before: int) -> int:
    """Return how many tasks more there are than before, having given those that were told to end the time for it."""
    for _ in range(TURNS):
        await anyio.sleep(0.001 if living_tasks() > before else 0.0)
    return max(0, living_tasks() - before)


# ---------------------------------------------------------------- the guard


def _refuse(cls: type[Contract[Any]], problem: str) -> NoReturn:
    raise TypeError(f"{cls.__module__}.{cls.__qualname__}: {problem}")


def _is_check(name: str) -> bool:
    return name.startswith("test")


def _checks_of_suites(cls: type[Contract[Any]]) -> dict[str, type]:
    """Return the suite in which each check that `cls` inherits was written."""
    return {name: suite for suite in reversed(_suites(cls)) for name in vars(suite) if _is_check(name)}


def _suites(cls: type[Contract[Any]]) -> list[type]:
    """Return the suites that `cls` is made of, the one that its author chose first."""
    return [base for base in cls.__mro__ if vars(base).get("_is_suite")]


def _refuse_lost_checks(cls: type[Contract[Any]]) -> None:
    """Raise TypeError for a check that is hidden without a reason; show a replaced one as skipped."""
    chosen = _suites(cls)[0].__name__
    for name, suite in _checks_of_suites(cls).items():
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owner is suite:
            continue
        reason = getattr(vars(owner)[name], "__dict__", {}).get("replaces_check")
        if reason is None:
            _refuse(
                cls,
                f"{owner.__name__}.{name} hides a check of {chosen}. Give it another name, or, if the check "
                f'cannot hold here, mark it with @replaces_check("the reason")',
            )
        shown = f"{name}_as_in_{chosen}"
        if not hasattr(cls, shown):
            setattr(cls, shown, _skipped(f"replaced by {owner.__name__}.{name}: {reason}"))


def _skipped(reason: str) -> Callable[[Contract[Any]], None]:
    def check(self: Contract[Any]) -> None:  # noqa: ARG001  # pytest passes it
        pytest.skip(reason)

    check.__doc__ = reason
    return check


def _refuse_slips(cls: type[Contract[Any]]) -> None:
    """Raise TypeError for a name that is almost a hook's, and for a capability that is not True or False."""
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    hooks = {name for suite in _suites(cls) for name in vars(suite) if not _is_check(name) and not name.startswith("_")}
    for name, value in vars(cls).items():
        if name.startswith("_") or _is_check(name):
            continue
        if name not in inherited and (near := get_close_matches(name, hooks, n=1, cutoff=ALIKE)):
            _refuse(cls, f"{name!r} is no hook of the contract; did you mean {near[0]!r}? (If not: call it _{name}.)")
        if name in hooks and isinstance(_inherited(cls, name), bool) and not isinstance(value, bool):
            _refuse(cls, f"{name} is {value!r}, and must be True or False")


def _inherited(cls: type[Contract[Any]], name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)), None)
