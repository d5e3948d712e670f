"""A provider that breaks one rule fails the check of that rule, which says what to change, and no other."""

import asyncio
import itertools
import logging
import time
from contextlib import aclosing
from types import MappingProxyType

import anyio
import pytest
import trio

from penstock import BaseLLMProvider, Demand, ErrorType, GenerationChunk, ProviderError, ProviderReply, Usage
from penstock.testing import ProviderContract


class Vendor:
    """The service: answers with the prompt it was given, or fails as it was told to."""

    def __init__(self, fault):
        self.fault = fault
        self.calls = 0

    async def answer(self, payload):
        self.calls += 1
        await anyio.sleep(0.001)
        if self.fault == "silence":
            await anyio.sleep_forever()
        if self.fault is not None:
            raise ConnectionError(self.fault)
        return f"You asked: {payload['prompt']}"


class Acme(BaseLLMProvider):
    """The sound provider that the others break."""

    name = "acme"
    embeds = True
    types = MappingProxyType({"busy": ErrorType.HTTP_429, "down": ErrorType.SERVER_ERROR})

    def __init__(self, vendor, key):
        self.vendor = vendor
        self.key = key

    def convert_request(self, request):
        if request.seed is not None:
            raise ProviderError("seed: there is none at acme", ErrorType.INVALID_REQUEST)
        if request.inputs:
            return {"inputs": list(request.inputs)}
        if any(not isinstance(message.content, str) for message in request.messages):
            raise ProviderError("messages[0]: acme sees no images", ErrorType.INVALID_REQUEST)
        tools = [{"name": tool.name, "parameters": dict(tool.parameters)} for tool in request.tools]
        return {"model": request.model, "prompt": request.messages[-1].text, "tools": tools, **request.extra}

    async def _invoke_impl(self, payload):
        if "inputs" in payload:
            return ProviderReply(None, Usage(input_tokens=5), embeddings=tuple((1.0, 2.0) for _ in payload["inputs"]))
        return self.reply(payload, await self.asked(payload))

    async def asked(self, payload):
        try:
            return await self.vendor.answer(payload)
        except ConnectionError as error:
            raise self.failure(error) from error

    def failure(self, error):
        return ProviderError(f"acme: {error}", self.types[str(error)])

    def reply(self, payload, text):
        usage = Usage(input_tokens=len(payload["prompt"]), output_tokens=len(text))
        return ProviderReply(text, usage, finish_reason="stop")

    async def stream(self, payload):
        text = await self.asked(payload)
        reply = self.reply(payload, text)
        yield GenerationChunk(text[:5])
        yield GenerationChunk(text[5:])
        yield GenerationChunk(usage=reply.usage, finish_reason=reply.finish_reason)

    def describe(self):
        return "acme, in this process"


class AcmeContract(ProviderContract):
    model = "large"
    faults = MappingProxyType({"busy": ErrorType.HTTP_429, "down": (ErrorType.SERVER_ERROR, ErrorType.OVERLOADED)})
    stall = "silence"
    unsupported = ({"seed": 1},)
    images = False
    virtual_time = True

    def make(self, fault=None):
        self._vendor = Vendor(fault)
        return Acme(self._vendor, self.secret)

    def calls(self):
        return self._vendor.calls


class Named(Acme):
    name = "ACME"


class Dated(Acme):
    numbers = itertools.count()

    def convert_request(self, request):
        return {**super().convert_request(request), "id": next(self.numbers)}


class Shares(Acme):
    options: list[str] = []  # noqa: RUF012  # what is broken about it

    def convert_request(self, request):
        self.options[:] = self.options[:1]
        return {**super().convert_request(request), "options": self.options}


class NotJson(Acme):
    def convert_request(self, request):
        return {**super().convert_request(request), "stop": {"a", "b"}}


class DropsExtras(Acme):
    def convert_request(self, request):
        return super().convert_request(request.replace(extra={}))


class RefusesTools(Acme):
    def convert_request(self, request):
        if request.tools:
            raise ProviderError("tools: no", ErrorType.INVALID_REQUEST)
        return super().convert_request(request)


class DropsImages(Acme):
    def convert_request(self, request):
        texts = [message.replace(content=message.text) for message in request.messages]
        return super().convert_request(request.replace(messages=tuple(texts)))


class DropsTheSeed(Acme):
    def convert_request(self, request):
        return super().convert_request(request.replace(seed=None))


class NamesNoField(Acme):
    def convert_request(self, request):
        if request.seed is not None:
            raise ProviderError("impossible", ErrorType.INVALID_REQUEST)
        return super().convert_request(request)


class Guesses(Acme):
    def estimate(self, request):
        return Demand(input_tokens=100, output_tokens=100)


class Ponders(Acme):
    def estimate(self, request):
        time.sleep(0.002)
        return super().estimate(request)


class Refunds(Acme):
    def charge(self, usage):
        return Demand(input_tokens=usage.input_tokens - 100)


class Boasts(Acme):
    def describe(self):
        return f"acme with {self.key}"


class SaysNoUsage(Acme):
    def reply(self, payload, text):
        return super().reply(payload, text)._replace(usage=None)


class CountsTheCacheApart(Acme):
    def reply(self, payload, text):
        usage = Usage(input_tokens=3, output_tokens=5, cache_read_input_tokens=100)
        return super().reply(payload, text)._replace(usage=usage)


class Spends(Acme):
    async def _invoke_impl(self, payload):
        reply = await super()._invoke_impl(payload)
        payload.pop("tools", None)
        return reply


class Stammers(Acme):
    async def stream(self, payload):
        async with aclosing(super().stream(payload)) as chunks:
            async for chunk in chunks:
                yield chunk
                if chunk.text:
                    yield GenerationChunk(chunk.text)


class Waits(Acme):
    async def stream(self, payload):
        yield GenerationChunk.of(await self.invoke(payload))


class Breaks(Acme):
    left = False

    async def stream(self, payload):
        try:
            async with aclosing(super().stream(payload)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except GeneratorExit:
            self.left = True
            raise

    async def asked(self, payload):
        if self.left:
            await anyio.sleep_forever()
        return await super().asked(payload)


class EmbedsOne(Acme):
    async def _invoke_impl(self, payload):
        reply = await super()._invoke_impl(payload)
        return reply._replace(embeddings=reply.embeddings[:1])


class Mixes(Acme):
    async def _invoke_impl(self, payload):
        self.payload = payload
        await anyio.sleep(0.001)
        return await super()._invoke_impl(self.payload)


class MistakesFaults(Acme):
    types = MappingProxyType({"busy": ErrorType.SERVER_ERROR, "down": ErrorType.SERVER_ERROR})

    async def stream(self, payload):
        try:
            async with aclosing(super().stream(payload)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise ProviderError(str(error), Acme.types[str(error).removeprefix("acme: ")]) from None


class LetsErrorsThrough(Acme):
    async def stream(self, payload):
        try:
            async with aclosing(super().stream(payload)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise ConnectionError(str(error)) from error


class TriesAgain(Acme):
    async def asked(self, payload):
        for _ in range(2):
            try:
                return await self.vendor.answer(payload)
            except ConnectionError:
                continue
        return await super().asked(payload)


class QuotesTheKey(Acme):
    async def asked(self, payload):
        try:
            return await self.vendor.answer(payload)
        except ConnectionError as error:
            raise self.failure(error) from ValueError(f"authorization: {self.key}")


class LogsTheKey(Acme):
    async def asked(self, payload):
        logging.getLogger("acme").debug("authorization: %s", self.key)
        return await super().asked(payload)


class Deaf(Acme):
    async def _invoke_impl(self, payload):
        try:
            return await super()._invoke_impl(payload)
        except BaseException as error:
            if isinstance(error, ProviderError):
                raise
            return ProviderReply("never mind", Usage(input_tokens=1, output_tokens=1), finish_reason="stop")


class LeavesCancelledCallsBehind(Acme):
    left: set[object] = set()  # noqa: RUF012  # as below

    async def asked(self, payload):
        try:
            return await super().asked(payload)
        except anyio.get_cancelled_exc_class():
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.spawn_system_task(anyio.sleep, 1000)
            else:
                self.left.add(asyncio.ensure_future(anyio.sleep(1000)))
            raise


class Litters(Acme):
    left: set[object] = set()  # noqa: RUF012  # shared on purpose: the collector would end the tasks

    async def asked(self, payload):
        text = await super().asked(payload)
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.spawn_system_task(anyio.sleep, 1000)
        else:
            self.left.add(asyncio.ensure_future(anyio.sleep(1000)))
        return text


class ClosesOnce(Acme):
    closed = False

    async def asked(self, payload):
        self.closed = False
        return await super().asked(payload)

    async def aclose(self):
        if self.closed:
            raise ValueError("closed")
        self.closed = True


class BelongsToALoop(Acme):
    loop: asyncio.AbstractEventLoop | None = None

    async def asked(self, payload):
        if not trio.lowlevel.in_trio_run():
            loop = asyncio.get_running_loop()
            self.loop = self.loop or loop
            if self.loop is not loop:
                raise RuntimeError("bound to a different event loop")
        return await super().asked(payload)


class FailsFirst(Acme):
    """Fails what has a trace, as requests of a service do."""

    def convert_request(self, request):
        payload = super().convert_request(request)
        return payload | {"traced": True} if request.trace_id else payload

    async def asked(self, payload):
        if payload.get("traced") and not self.vendor.calls:
            self.vendor.calls += 1
            raise ProviderError("acme: busy", ErrorType.HTTP_429)
        return await super().asked(payload)


BROKEN = {
    Named: ("test_its_name_can_stand_before_a_slash", "to something like 'acme'"),
    Dated: ("test_converting_is_pure", "put no time or id in it"),
    Shares: ("test_converting_is_pure", "make each payload anew"),
    NotJson: ("test_its_payload_is_json", "say json_payload = False"),
    DropsExtras: ("test_fields_of_other_names_reach_the_payload", "merge request.extra into it"),
    RefusesTools: ("test_tools_are_taken_or_refused", "or say tools = False"),
    DropsImages: ("test_images_are_taken_or_refused", "raise ProviderError of INVALID_REQUEST"),
    DropsTheSeed: ("test_what_the_vendor_cannot_do_is_refused_before_the_call", "in convert_request()"),
    NamesNoField: ("test_what_the_vendor_cannot_do_is_refused_before_the_call", "name the field: seed"),
    Guesses: ("test_an_estimate_is_a_demand", "10,000 words more"),
    Ponders: ("test_an_estimate_is_cheap", "count characters / 4"),
    Refunds: ("test_a_charge_is_a_demand", "for Usage("),
    Boasts: ("test_it_tells_no_secret_of_itself", "leave it out"),
    SaysNoUsage: ("test_an_answer_has_content_and_usage", "return what the vendor counted"),
    CountsTheCacheApart: ("test_an_answer_has_content_and_usage", "input_tokens includes what was read from"),
    Spends: ("test_a_payload_may_be_sent_again", "change a copy"),
    Stammers: ("test_a_stream_adds_up_to_the_answer", "Yield every text once"),
    Waits: ("test_a_stream_comes_in_pieces", "or say streams = False"),
    Breaks: ("test_a_stream_may_be_left_early", "release what a stream holds"),
    EmbedsOne: ("test_each_text_to_embed_gets_a_vector", "1 vectors for 3 inputs"),
    Mixes: ("test_calls_at_the_same_time_do_not_mix", "Keep nothing of a request on self"),
    MistakesFaults: ("test_each_failure_has_its_type", "map status and code by a table"),
    LetsErrorsThrough: ("test_each_failure_of_a_stream_has_its_type", "raise ProviderError(message, ErrorType...)"),
    TriesAgain: ("test_it_does_not_try_again_itself", "turn your client's retries off"),
    QuotesTheKey: ("test_a_failure_tells_no_secret", "mask it in the message"),
    LogsTheKey: ("test_its_log_tells_no_secret", "leave the credential out"),
    Deaf: ("test_a_call_can_be_cancelled", "catch Exception, not BaseException"),
    LeavesCancelledCallsBehind: ("test_a_call_can_be_cancelled", "end them where the call ends"),
    Litters: ("test_it_leaves_no_task_behind", "end them there"),
    ClosesOnce: ("test_it_may_be_closed_twice", "let it return when nothing is open"),
    BelongsToALoop: ("test_it_may_live_on_one_loop_after_the_other", "open connections at the first call"),
    FailsFirst: ("test_a_service_calls_it", "2 attempts"),
}

# A reply without usage is none in whatever check one comes.
OF_REPLIES = {
    "test_a_stream_adds_up_to_the_answer",
    "test_a_stream_may_be_left_early",
    "test_it_may_live_on_one_loop_after_the_other",
}
ALSO = {
    SaysNoUsage: OF_REPLIES,
    CountsTheCacheApart: OF_REPLIES,
    RefusesTools: {"test_converting_is_pure", "test_its_payload_is_json"},  # whose requests have tools
}


def contract_of(provider):
    def make(self, fault=None):
        self._vendor = Vendor(fault)
        return provider(self._vendor, self.secret)

    return type(f"{provider.__name__}Contract", (AcmeContract,), {"make": make})


def test_a_sound_provider_passes_every_check(failed_checks):
    assert failed_checks(AcmeContract) == {}


@pytest.mark.parametrize("provider", BROKEN, ids=lambda provider: provider.__name__)
def test_a_broken_provider_fails_the_check_of_its_rule_alone(provider, failed_checks):
    check, remedy = BROKEN[provider]
    failed = failed_checks(contract_of(provider))
    assert set(failed) == {check} | ALSO.get(provider, set()), failed
    assert remedy in failed[check]


def test_each_rule_has_a_provider_that_breaks_it():
    checks = {name for name in dir(ProviderContract) if name.startswith("test")}
    assert {check for check, _ in BROKEN.values()} == checks


def test_a_provider_needs_a_model(failed_checks):
    nameless = type("Nameless", (AcmeContract,), {"model": ""})
    assert "must set `model`" in failed_checks(nameless)["test_an_estimate_is_cheap"]
