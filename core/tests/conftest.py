"""Both event loops, under virtual time: an hour of waiting takes a moment, in the right order."""

import pytest


@pytest.fixture
def anyio_backend(penstock_virtual_time):
    return penstock_virtual_time
