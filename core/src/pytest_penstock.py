"""Fixtures for those who test plugins; pytest finds them by itself. Imports nothing of penstock until one is asked for.

It stands beside the package, not in it: pytest loads it at every start, and to import `penstock` takes a while.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from penstock.contracts import StepContext
    from penstock.testing.clock import ManualClock
    from penstock.testing.fakes import RecordingSink, ScriptedProvider

# Each import below is late because pytest loads this file in every run, those that are not about penstock included.


@pytest.fixture
def penstock_clock() -> ManualClock:
    """A clock that stands still until the test lets it `advance`."""
    from penstock.testing.clock import ManualClock  # late: see above

    return ManualClock()


@pytest.fixture(params=["asyncio", "trio"])
def penstock_virtual_time(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Both event loops under virtual time; return it from a fixture `anyio_backend`, and tests of anyio use it."""
    if request.param == "asyncio":
        from penstock.testing.clock import VirtualTimeLoop  # late: see above

        return "asyncio", {"loop_factory": VirtualTimeLoop}
    if find_spec("trio") is None:
        pytest.skip("trio is not installed; pip install trio")
    from trio.testing import MockClock  # late: see above

    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture
def penstock_provider() -> Callable[..., ScriptedProvider]:
    """Make a provider that says its lines: `penstock_provider(["first", "second"], latency_s=1.0)`."""
    from penstock.testing.fakes import ScriptedProvider  # late: see above

    return ScriptedProvider


@pytest.fixture
def penstock_sink() -> RecordingSink:
    """A sink that keeps every event in `events`."""
    from penstock.testing.fakes import RecordingSink  # late: see above

    return RecordingSink()


@pytest.fixture
def penstock_step_context() -> Callable[..., StepContext]:
    """Make what a step is given beside the content: `penstock_step_context("the text", answers=["yes"])`."""
    from penstock.testing.fakes import step_context  # late: see above

    return step_context
