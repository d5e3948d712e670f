"""The suite of providers, third part: failures and cancellation."""

from __future__ import annotations

import anyio
import pytest

from penstock.errors import ErrorType
from penstock.testing.contract import living_tasks, logged, on_each_loop, tasks_left
from penstock.testing.provider_suite import ProviderSuite, Types, stream_of

__all__ = ["FailureChecks"]

CANCEL_AFTER_S = 0.2


class FailureChecks(ProviderSuite, suite=True):
    """Checks calls that the author's fake service makes fail."""

    @on_each_loop
    async def test_each_failure_has_its_type(self) -> None:
        """What goes wrong is a ProviderError of the right type: retries, gates and users' remedies go by it."""
        for fault, types in self.known_faults().items():
            error = await self.failure(fault, stream=False)
            assert error.error_type in _types(types), (
                f"fault {fault!r}: {error.error_type} ({error}), and should be {types}; map status and code by a table"
            )

    @on_each_loop
    async def test_each_failure_of_a_stream_has_its_type(self) -> None:
        """A stream that fails, at its begin or half-way, raises a ProviderError of the right type."""
        for fault, types in {**self.known_faults(), **self.stream_faults}.items():
            error = await self.failure(fault, stream=True)
            assert error.error_type in _types(types), (
                f"fault {fault!r}: {error.error_type} ({error}), and should be {types}; map the stream's errors too"
            )

    @on_each_loop
    async def test_it_does_not_try_again_itself(self) -> None:
        """One `invoke` is one call, also when it fails: retries are the engine's, which pays for them at the gates."""
        for fault in self.known_faults():
            await self.failure(fault, stream=False)
            calls = self.calls()
            if calls is None:
                pytest.skip(f"{type(self).__name__} does not define calls(self)")
            assert calls <= 1, f"fault {fault!r}: {calls} calls reached the service; turn your client's retries off"

    @on_each_loop
    async def test_a_failure_tells_no_secret(self) -> None:
        """No credential is in an error's text, or in the errors that it came from."""
        if self.secret is None:
            pytest.skip(f"{type(self).__name__} says secret = None")
        for fault in self.known_faults():
            error: BaseException | None = await self.failure(fault, stream=False)
            while error is not None:
                assert self.secret not in f"{error} {error!r}", (
                    f"fault {fault!r}: the credential is in a {type(error).__name__}; mask it in the message"
                )
                error = error.__cause__ or error.__context__

    @on_each_loop
    async def test_its_log_tells_no_secret(self) -> None:
        """No credential is logged, at any level, by the provider or by the client that it uses."""
        if self.secret is None:
            pytest.skip(f"{type(self).__name__} says secret = None")
        with logged() as lines:
            async with self.open() as provider:
                await provider.invoke(provider.convert_request(self.request()))
            for fault in list(self.faults)[:1]:
                await self.failure(fault, stream=False)
        told = [line for line in lines if self.secret in line]
        assert not told, f"logged: {told[0]:.200}; leave the credential out of what is logged"

    @on_each_loop
    async def test_a_call_can_be_cancelled(self) -> None:
        """A call or a stream that is cancelled while the service is silent ends at once and leaves nothing running."""
        if self.stall is None:
            pytest.skip(f"{type(self).__name__} names no `stall`: the fault of a service that never answers")
        before = living_tasks()
        for stream in (False, True):
            async with self.open(self.stall) as provider:
                payload = provider.convert_request(self.request(stream=stream))
                began = anyio.current_time()
                with anyio.move_on_after(CANCEL_AFTER_S) as scope:
                    await (stream_of(provider, payload) if stream else provider.invoke(payload))
                took_s = anyio.current_time() - began
            assert scope.cancelled_caught, (
                "a stalled call returned; let cancellation pass: catch Exception, not BaseException"
            )
            assert took_s < CANCEL_AFTER_S + self.limit_s / 2, f"it took {took_s:.1f} s to be cancelled"
        left = await tasks_left(before)
        assert not left, f"{left} tasks of cancelled calls still run; end them where the call ends"


def _types(types: Types) -> tuple[ErrorType, ...]:
    return types if isinstance(types, tuple) else (types,)
