"""What a result says of its waits, and how a caller may read it."""

import pytest

from penstock import GenerationRequest, Service
from penstock.builtin.gates import RpmGate, TpmGate
from penstock.errors import ErrorType, ProviderError
from penstock.schema import BackoffStats, GateWait, RetryPolicy
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio


def test_b3_waits_are_told_by_gate_and_by_whose_account_they_are_on():
    stats = BackoffStats(
        gates=(
            GateWait("rpm", 1, 100.0),
            GateWait("tpm", 1, 20.0),
            GateWait("rpm", 2, 50.0),
            GateWait("other", 1, 1.0),
        ),
        retry_loops=2,
        retry_ms=700.0,
    )
    assert (stats.rpm_loops, stats.rpm_ms) == (3, 150.0)
    assert (stats.tpm_loops, stats.tpm_ms) == (1, 20.0)
    assert stats.client_ms == 171.0
    assert stats.server_ms == stats.retry_ms == 700.0
    assert stats.total_ms == 871.0
    assert stats.of("nobody") == GateWait("nobody", 0, 0.0)


async def test_b3_a_wait_at_a_gate_is_the_time_that_really_passed():
    gates = [RpmGate(60), TpmGate(60_000)]
    async with Service(providers=[ScriptedProvider()], gates=gates, default_model="fake/m") as service:
        first = await service.generate_output_async("x")
        second = await service.generate_output_async("x")
    assert first.backoff.rpm_ms == 0
    assert second.backoff.rpm_loops == 1
    assert second.backoff.rpm_ms == pytest.approx(second.attempts[0].queue_ms)
    assert second.backoff.tpm_ms == 0


async def test_b32_a_default_stands_in_for_what_failed():
    refused = ProviderError("no", ErrorType.INVALID_REQUEST)
    provider = ScriptedProvider(["yes", refused])
    async with Service(providers=[provider], default_model="fake/m", retry=RetryPolicy(max_retries=0)) as service:
        good, bad = [await service.generate_output_async(GenerationRequest(prompt="x")) for _ in range(2)]
    assert (good.unwrap_or("nothing"), bad.unwrap_or("nothing")) == ("yes", "nothing")
