"""The suite of providers, second part: answers, streams and many calls at once."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import pytest

from penstock.service import Service
from penstock.testing.contract import explained, living_tasks, on_each_loop, tasks_left
from penstock.testing.provider_suite import ProviderSuite, added, check_reply, image_of, stream_of

__all__ = ["CallChecks"]

AT_ONCE = 20


class CallChecks(ProviderSuite, suite=True):
    """Checks calls that succeed, and what they leave behind."""

    @on_each_loop
    async def test_an_answer_has_content_and_usage(self) -> None:
        """`invoke` returns a ProviderReply: content, usage with both sides counted, and a reason to finish."""
        async with self.open() as provider:
            reply = await provider.invoke(provider.convert_request(self.request()))
        check_reply(reply)

    @on_each_loop
    async def test_a_payload_may_be_sent_again(self) -> None:
        """A call leaves its payload as it is: a retry sends the same one."""
        async with self.open() as provider:
            payload = provider.convert_request(self.request())
            kept = image_of(payload)
            await provider.invoke(payload)
            assert image_of(payload) == kept, "invoke() changed the payload; change a copy"
            await stream_of(provider, payload)
            assert image_of(payload) == kept, "stream() changed the payload; change a copy"

    @on_each_loop
    async def test_a_stream_adds_up_to_the_answer(self) -> None:
        """The chunks of a stream add up to what `invoke` returns, usage and finish reason included."""
        async with self.open() as provider:
            whole = await provider.invoke(provider.convert_request(self.request()))
            chunks = await stream_of(provider, provider.convert_request(self.request(stream=True)))
        reply = added(chunks)
        check_reply(reply)
        if self.repeatable:
            assert (reply.content, reply.usage) == (whole.content, whole.usage), (
                f"the stream adds up to {reply.content!r:.200}, {reply.usage}; the answer is {whole.content!r:.200}, "
                f"{whole.usage}. Yield every text once, and the usage at the end"
            )

    @on_each_loop
    async def test_a_stream_comes_in_pieces(self) -> None:
        """A stream yields chunks as they come, not one at the end."""
        self.needs("streams")
        async with self.open() as provider:
            chunks = await stream_of(provider, provider.convert_request(self.request(stream=True)))
        texts = [chunk.text for chunk in chunks if chunk.text]
        assert len(texts) > 1, (
            f"the whole text came in {len(texts)} chunk; yield each as it comes, or say streams = False"
        )

    @on_each_loop
    async def test_a_stream_may_be_left_early(self) -> None:
        """A stream that is closed after its first chunk leaves the provider usable."""
        async with self.open() as provider:
            async with aclosing(provider.stream(provider.convert_request(self.request(stream=True)))) as chunks:
                await anext(chunks)
            reply = await provider.invoke(provider.convert_request(self.request()))
        check_reply(reply)

    @on_each_loop
    async def test_each_text_to_embed_gets_a_vector(self) -> None:
        """A provider that `embeds` answers `inputs` with a vector for each, in order, and counts their tokens."""
        texts = ("a pipe", "a gate", "a lake")
        async with self.open() as provider:
            if not provider.embeds:
                pytest.skip("the provider says embeds = False")
            call = self.request(model=self.embedding_model or self.model, messages=(), inputs=texts, max_tokens=None)
            reply = await provider.invoke(provider.convert_request(call))
        assert len(reply.embeddings) == len(texts), f"{len(reply.embeddings)} vectors for {len(texts)} inputs"
        assert len({len(vector) for vector in reply.embeddings}) == 1, "vectors are of different lengths"
        assert reply.usage is not None, "usage is None; return what the vendor counted"
        assert reply.usage.input_tokens > 0, f"{reply.usage}; count the texts in input_tokens"

    @on_each_loop
    async def test_calls_at_the_same_time_do_not_mix(self) -> None:
        """Twenty calls at once get the answers that each gets alone."""
        self.needs("repeatable")
        together: dict[str, Any] = {}
        prompts = [f"How deep is lake number {number}?" for number in range(AT_ONCE)]
        async with self.open() as provider:

            async def ask(prompt: str) -> None:
                reply = await provider.invoke(provider.convert_request(self.request(prompt)))
                together[prompt] = (reply.content, reply.usage)

            async with anyio.create_task_group() as tasks:
                for prompt in prompts:
                    tasks.start_soon(ask, prompt)
            for prompt in prompts:
                reply = await provider.invoke(provider.convert_request(self.request(prompt)))
                assert together[prompt] == (reply.content, reply.usage), (
                    f"{prompt!r} alone: {reply.content!r:.100}; among others: {together[prompt][0]!r:.100}. Keep "
                    f"nothing of a request on self"
                )

    @on_each_loop
    async def test_it_leaves_no_task_behind(self) -> None:
        """After `aclose` nothing that the provider started is still running."""
        before = living_tasks()
        async with self.open() as provider:
            await provider.invoke(provider.convert_request(self.request()))
            await stream_of(provider, provider.convert_request(self.request(stream=True)))
        left = await tasks_left(before)
        assert not left, f"{left} tasks still run after aclose(); end them there"

    @on_each_loop
    async def test_it_may_be_closed_twice(self) -> None:
        """`aclose` may be called on a provider that made no call, and again."""
        for used in (False, True):
            provider = self.make()
            if used:
                await provider.invoke(provider.convert_request(self.request()))
            for _ in range(2):
                with explained("aclose() raises {!r:.200}; let it return when nothing is open"):
                    await provider.aclose()

    def test_it_may_live_on_one_loop_after_the_other(self) -> None:
        """A provider that was used on one event loop can be closed, and used again, on another."""
        provider = self.make()

        async def ask() -> None:
            check_reply(await provider.invoke(provider.convert_request(self.request())))

        self.run(self.backends[0], ask)
        with explained("on another loop it raises {!r:.200}; open connections at the first call after aclose()"):
            for main in (provider.aclose, ask, provider.aclose):
                self.run(self.backends[0], main)

    @on_each_loop
    async def test_a_service_calls_it(self) -> None:
        """In a service "provider/model" reaches the provider; the result has content, usage and one attempt."""
        provider = self.make()
        async with Service(providers=[provider]) as service:
            result = await service.generate_output_async(
                {"model": f"{provider.name}/{self.model}", "prompt": "What is a penstock?", "max_tokens": 64}
            )
        assert result.success, f"{result.error_type}: {result.error_message}"
        assert len(result.attempts) == 1, f"{len(result.attempts)} attempts: {result.attempts[0].error_message}"
        assert result.usage.total_tokens > 0, f"{result.usage}"
