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
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed; pip install {request.param}")
    from penstock.testing.clock import virtual_time  # late: see above

    return request.param, virtual_time(request.param)


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
