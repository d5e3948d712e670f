"""Keys that change: asked for when they are needed, once by whoever needs them, and never shown."""

import pytest
from anyio import create_task_group

from penstock import ErrorType
from penstock.errors import ProviderError
from penstock_http import KeySource

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Clock:
    """A clock that stands."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counting(clock):
    """A source whose keys are numbered."""
    numbers = iter(range(100))
    return KeySource(lambda: f"key-{next(numbers)}", clock=clock)


async def test_a_key_is_asked_for_again_after_a_minute(counting, clock):
    found = []
    for later in (0, 59.9, 0.1, 30):
        clock.now += later
        found.append((await counting.current()).reveal())
    assert found == ["key-0", "key-0", "key-1", "key-1"]


async def test_a_key_that_was_refused_is_not_used_again(counting):
    assert (await counting.current()).reveal() == "key-0"
    counting.forget()
    assert (await counting.current()).reveal() == "key-1"


async def test_many_that_need_a_key_at_once_ask_once(counting):
    found = []

    async def need():
        found.append((await counting.current()).reveal())

    async with create_task_group() as group:
        for _ in range(50):
            group.start_soon(need)
    assert found == ["key-0"] * 50


def broken():
    raise OSError("sk-secret is stale")


@pytest.mark.parametrize(("fetch", "words"), [(broken, "raised OSError"), (lambda: " ", "gave none")])
async def test_a_function_without_a_key_is_an_authentication_error_that_quotes_nothing(fetch, words):
    with pytest.raises(ProviderError, match=words) as caught:
        await KeySource(fetch).current()
    assert (caught.value.error_type, caught.value.sent) == (ErrorType.AUTHENTICATION, False)
    assert "sk-secret" not in str(caught.value)


async def test_neither_the_source_nor_its_key_is_shown(counting):
    assert repr(counting) + repr(await counting.current()) == "KeySource(***)Secret(***)"
