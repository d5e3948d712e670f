"""The base of HTTP providers: keys, errors, streams and limits, over a transport that answers from memory."""

import pickle
from contextlib import asynccontextmanager
from typing import ClassVar

import orjson
import pytest

from penstock import ErrorType, LLMCallRequest, Message, Usage
from penstock.errors import ProviderError
from penstock.schema import GenerationChunk, ProviderReply
from penstock_http import HttpResponse, HttpStream, Options, Transport, TransportError, TransportFault
from penstock_http.provider import END, HttpProvider
from penstock_http.secret import Secret
from penstock_http.status import completed, error_type_of, message_of, transport_failure

CALL = LLMCallRequest(model="m", messages=(Message("user", "hi"),))


class EchoProvider(HttpProvider):
    """The least a provider must say."""

    name = "echo"
    default_base_url: ClassVar[str] = "https://echo.invalid/v1"
    path: ClassVar[str] = "/say"
    key_variable: ClassVar[str] = "ECHO_KEY"
    base_url_variable: ClassVar[str] = "ECHO_URL"

    def payload(self, request):
        return {"text": request.messages[0].text, **request.extra}

    def parse_reply(self, data):
        return ProviderReply(data["text"].upper())

    def parse_event(self, event):
        if event.data == "end":
            return END
        if event.data == "nothing":
            return None
        data = orjson.loads(event.data)
        return GenerationChunk(data["text"], finish_reason=data.get("finish"))


class MemoryTransport(Transport):
    """Answers each request with the same status, headers and pieces of body; or raises what it is given."""

    name = "memory"

    def __init__(self, *pieces, status=200, headers=None, error=None):
        super().__init__(Options())
        self.pieces, self.status, self.error = pieces, status, error
        self.headers = {"content-type": "text/event-stream", **(headers or {})}
        self.sent = []
        self.closed = False

    async def send(self, request, *, total_s=None):
        self.sent.append(request)
        if self.error:
            raise self.error
        return HttpResponse(self.status, self.headers, b"".join(self.pieces))

    @asynccontextmanager
    async def stream(self, request, *, total_s=None):
        self.sent.append(request)

        async def pieces():
            for piece in self.pieces:
                yield piece
            if self.error:
                raise self.error

        body = pieces()
        try:
            yield HttpStream(self.status, self.headers, body)
        finally:
            await body.aclose()

    async def aclose(self):
        self.closed = True


def provider_on(transport, **settings):
    provider = EchoProvider(**{"api_key": "sk-secret", **settings})
    provider._transport = transport
    return provider


async def chunks_of(provider):
    return [chunk async for chunk in provider.stream(provider.convert_request(CALL))]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    monkeypatch.delenv("ECHO_KEY", raising=False)
    monkeypatch.delenv("ECHO_URL", raising=False)


# ---------------------------------------------------------------- settings and keys


def test_what_an_error_says_of_its_usage_is_kept():
    error = ProviderError("blocked", ErrorType.CONTENT_FILTER, usage=Usage(input_tokens=4))
    assert completed(error, status=200, host="h").usage == Usage(input_tokens=4)


@pytest.mark.parametrize("key", ["sk-sécret", "sk\N{EN DASH}123", "sk-1\n23"])
def test_a_key_that_no_header_can_carry_is_told_as_such_and_not_repeated(key):
    with pytest.raises(ProviderError, match=r"the key .* has characters that no header can carry") as caught:
        EchoProvider(api_key=key).convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION
    assert key not in str(caught.value)


def test_a_missing_key_fails_before_anything_is_sent_and_says_what_to_do():
    with pytest.raises(ProviderError, match="ECHO_KEY is not set") as caught:
        EchoProvider().convert_request(CALL)
    assert caught.value.error_type is ErrorType.AUTHENTICATION


def test_a_key_that_is_set_later_is_found(monkeypatch):
    provider = EchoProvider()
    monkeypatch.setenv("ECHO_KEY", "sk-late")
    assert provider.convert_request(CALL) == {"text": "hi"}


@pytest.mark.parametrize("key", ["", "  \n"])
def test_a_blank_key_is_no_key(key):
    with pytest.raises(ProviderError, match="ECHO_KEY"):
        EchoProvider(api_key=key).convert_request(CALL)


def opened(provider):
    """The options with which a provider opens its transport."""
    return provider._open().options


def test_another_base_url_needs_no_key_and_is_sent_none():
    provider = EchoProvider(base_url="http://127.0.0.1:1/v1/")
    assert provider.convert_request(CALL) == {"text": "hi"}
    assert provider.url == "http://127.0.0.1:1/v1/say"
    assert "authorization" not in opened(provider).headers


def test_a_vendor_without_a_key_variable_needs_no_key():
    class LocalProvider(EchoProvider):
        key_variable: ClassVar[str] = ""

    provider = LocalProvider()
    assert provider.convert_request(CALL) == {"text": "hi"}
    assert "authorization" not in opened(provider).headers
    assert "is not set" not in provider.describe()


def test_a_missing_key_is_part_of_the_description(monkeypatch):
    assert EchoProvider().describe().endswith("; ECHO_KEY is not set")
    monkeypatch.setenv("ECHO_KEY", "sk-1")
    assert "ECHO_KEY" not in EchoProvider().describe()


def test_the_key_goes_into_the_header_without_blanks_and_own_headers_win(monkeypatch):
    monkeypatch.setenv("ECHO_URL", "http://127.0.0.1:1")
    provider = EchoProvider(api_key=" sk-1\n", headers={"User-Agent": "mine"})
    assert opened(provider).headers == {
        "content-type": "application/json",
        "authorization": "Bearer sk-1",
        "user-agent": "mine",
    }
    assert provider.url == "http://127.0.0.1:1/say"


@pytest.mark.parametrize("url", ["echo.invalid/v1", "ftp://echo.invalid", "https://", "file:///etc/passwd"])
def test_a_base_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="base_url"):
        EchoProvider(base_url=url)


def test_an_unknown_engine_is_refused_at_once():
    with pytest.raises(ValueError, match="did you mean 'httpx'"):
        EchoProvider(engine="htpx")


def test_the_key_shows_nowhere():
    provider = EchoProvider(api_key="sk-secret", base_url="https://user:pass@echo.invalid/v1")
    options = opened(provider)
    shown = [repr(provider), provider.describe(), repr(vars(provider)), repr(options), str(provider._key)]
    assert [text for text in shown[:2] + shown[3:] if "sk-secret" in text or "pass" in text] == []
    assert "sk-secret" not in shown[2]
    assert provider.describe().startswith("https://echo.invalid/v1 via ")


def test_a_secret_is_not_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(Secret("sk-secret"))


@pytest.mark.anyio
async def test_a_key_that_changes_is_asked_for_and_goes_with_each_request():
    keys = iter(["first", "second"])
    transport = MemoryTransport(b'{"text": "hi"}')
    provider = provider_on(transport, api_key=lambda: next(keys))
    for _ in range(2):
        await provider.invoke(provider.convert_request(CALL))
    transport.status, transport.pieces = 401, (b'{"error": "first is not a key"}',)
    with pytest.raises(ProviderError, match=r"\*\*\* is not a key") as caught:
        await provider.invoke(provider.convert_request(CALL))
    assert caught.value.error_type is ErrorType.AUTHENTICATION
    transport.status, transport.pieces = 200, (b'data: {"text": "hi", "finish": "stop"}\n\n',)
    await chunks_of(provider)
    assert [request.headers["authorization"] for request in transport.sent] == [*["Bearer first"] * 3, "Bearer second"]


@pytest.mark.anyio
async def test_a_given_header_wins_over_a_key_that_changes():
    transport = MemoryTransport(b'{"text": "hi"}')
    provider = provider_on(transport, api_key=lambda: "mine", headers={"Authorization": "Basic x"})
    await provider.invoke(provider.convert_request(CALL))
    assert transport.sent[0].headers == {}
    assert "not set" not in provider.describe()


# ---------------------------------------------------------------- answers


@pytest.mark.anyio
async def test_an_answer_carries_request_id_and_limits_from_the_headers():
    headers = {"x-request-id": "r1", "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}
    transport = MemoryTransport(b'{"text":"hi"}', headers=headers)
    provider = provider_on(transport)
    reply = await provider.invoke(provider.convert_request(CALL))
    assert (reply.content, reply.request_id) == ("HI", "r1")
    assert [(reading.dimension, reading.limit, reading.remaining) for reading in reply.limits] == [("requests", 60, 0)]
    assert [(sent.method, sent.url, sent.body) for sent in transport.sent] == [
        ("POST", "https://echo.invalid/v1/say", b'{"text":"hi"}')
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b'{"text":', b"[]", b"null", b'{"text":5}', b"{}", b"[" * 5000]
)
async def test_a_body_of_another_shape_is_a_malformed_response_that_is_not_quoted(body):
    provider = provider_on(MemoryTransport(body, headers={"x-request-id": "r1"}))
    with pytest.raises(ProviderError) as caught:
        await provider.invoke({})
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE
    assert caught.value.request_id == "r1"
    assert str(caught.value).startswith("200 from echo.invalid: ")
    assert "hello" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize("value", [object(), "half \ud800", 2**70])
async def test_what_json_cannot_say_is_an_invalid_request(value):
    provider = provider_on(MemoryTransport(b"{}"))
    with pytest.raises(ProviderError, match="the request cannot be sent") as caught:
        await provider.invoke({"text": value})
    assert caught.value.error_type is ErrorType.INVALID_REQUEST


@pytest.mark.anyio
async def test_an_error_has_status_hint_request_id_and_message():
    headers = {"retry-after-ms": "1500", "x-request-id": "r1", "x-should-retry": "true"}
    provider = provider_on(MemoryTransport(b'{"error":{"message":"slow\\n down"}}', status=429, headers=headers))
    with pytest.raises(ProviderError) as caught:
        await provider.invoke({})
    error = caught.value
    assert str(error) == "429 from echo.invalid: slow down"
    assert (error.error_type, error.status_code, error.retry_after_s) == (ErrorType.HTTP_429, 429, 1.5)
    assert (error.should_retry, error.request_id) == (True, "r1")


@pytest.mark.anyio
async def test_a_servers_wish_to_be_asked_again_does_not_make_a_wrong_key_right():
    provider = provider_on(MemoryTransport(b"{}", status=401, headers={"x-should-retry": "true"}))
    with pytest.raises(ProviderError) as caught:
        await provider.invoke({})
    assert not caught.value.retryable


@pytest.mark.anyio
async def test_a_key_that_the_server_quotes_is_masked():
    provider = provider_on(MemoryTransport(b'{"error":"wrong key: sk-secret"}', status=401))
    with pytest.raises(ProviderError) as caught:
        await provider.invoke({})
    assert str(caught.value) == "401 from echo.invalid: wrong key: ***"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "error_type", "retryable"),
    [
        (TransportFault.REQUEST, ErrorType.INVALID_REQUEST, False),
        (TransportFault.CONNECT, ErrorType.CONNECTION, True),
        (TransportFault.TLS, ErrorType.CONNECTION, False),
        (TransportFault.CONNECT_TIMEOUT, ErrorType.TIMEOUT, True),
        (TransportFault.FIRST_BYTE_TIMEOUT, ErrorType.TIMEOUT, True),
        (TransportFault.IDLE_TIMEOUT, ErrorType.TIMEOUT, True),
        (TransportFault.TOTAL_TIMEOUT, ErrorType.TIMEOUT, True),
        (TransportFault.RESET, ErrorType.CONNECTION, True),
        (TransportFault.PROTOCOL, ErrorType.MALFORMED_RESPONSE, True),
        (TransportFault.TOO_LARGE, ErrorType.MALFORMED_RESPONSE, False),
        (TransportFault.CLOSED, ErrorType.SERVICE_CLOSED, False),
    ],
)
async def test_each_fault_of_the_transport_has_its_error_type(fault, error_type, retryable):
    provider = provider_on(MemoryTransport(error=TransportError(fault, "it broke")))
    with pytest.raises(ProviderError, match="it broke") as caught:
        await provider.invoke({})
    assert (caught.value.error_type, caught.value.retryable) == (error_type, retryable)


def test_no_fault_of_the_transport_is_forgotten():
    for fault in TransportFault:
        assert transport_failure(TransportError(fault, "x")).error_type is not ErrorType.UNKNOWN


# ---------------------------------------------------------------- streams


@pytest.mark.anyio
async def test_a_streams_first_chunk_carries_what_the_headers_said():
    transport = MemoryTransport(
        b'data: nothing\n\ndata: {"text":"a"}\n\nda',
        b'ta: {"text":"b","finish":"stop"}\n\n',
        headers={"x-request-id": "r1", "x-ratelimit-limit-requests": "60"},
    )
    first, second = await chunks_of(provider_on(transport))
    assert (first.text, first.request_id, first.limits[0].limit) == ("a", "r1", 60)
    assert (second.text, second.request_id, second.limits) == ("b", None, ())


@pytest.mark.anyio
async def test_chunks_before_an_error_in_mid_stream_arrive():
    transport = MemoryTransport(b'data: {"text":"a"}\n\ndata: {"txt":"b"}\n\n')
    provider = provider_on(transport)
    stream = provider.stream({})
    assert (await anext(stream)).text == "a"
    with pytest.raises(ProviderError, match="unexpected shape") as caught:
        await anext(stream)
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


@pytest.mark.anyio
@pytest.mark.parametrize("tail", [b"data: end\n\n", b'data: {"text":"","finish":"stop"}\n\n'])
async def test_a_stream_is_complete_with_its_last_event_or_a_finish_reason(tail):
    chunks = await chunks_of(provider_on(MemoryTransport(b'data: {"text":"a"}\n\n', tail)))
    assert "".join(chunk.text for chunk in chunks) == "a"


@pytest.mark.anyio
async def test_a_stream_that_ends_before_its_answer_is_a_connection_error():
    with pytest.raises(ProviderError, match="ended early") as caught:
        await chunks_of(provider_on(MemoryTransport(b'data: {"text":"a"}\n\n')))
    assert caught.value.error_type is ErrorType.CONNECTION


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", b": hello\n\n", b"<html></html>", b"data: nothing\n\n", b"data: end\n\n"])
async def test_a_stream_without_a_chunk_is_a_malformed_response(body):
    with pytest.raises(ProviderError) as caught:
        await chunks_of(provider_on(MemoryTransport(body)))
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


@pytest.mark.anyio
async def test_each_stream_may_have_a_reader_of_its_own():
    class CountingProvider(EchoProvider):
        def event_reader(self):
            seen = []

            def read(event):
                seen.append(event)
                return END if event.data == "end" else GenerationChunk(f"{len(seen)}{event.data}")

            return read

    provider = CountingProvider(api_key="k")
    provider._transport = MemoryTransport(b"data: a\n\ndata: b\n\ndata: end\n\n")
    for _ in range(2):
        assert [chunk.text for chunk in await chunks_of(provider)] == ["1a", "2b"]


@pytest.mark.anyio
async def test_nothing_is_taken_from_a_stream_after_its_last_event():
    transport = MemoryTransport(b'data: {"text":"a"}\n\ndata: end\n\ndata: {"text":"b"}\n\n', b'data: {"text":"c"}\n\n')
    assert [chunk.text for chunk in await chunks_of(provider_on(transport))] == ["a"]


@pytest.mark.anyio
async def test_a_connection_that_breaks_after_the_last_event_is_of_no_consequence():
    broken = TransportError(TransportFault.RESET, "it broke")
    transport = MemoryTransport(b'data: {"text":"a"}\n\ndata: end\n\n', error=broken)
    assert [chunk.text for chunk in await chunks_of(provider_on(transport))] == ["a"]


@pytest.mark.anyio
async def test_a_server_that_does_not_stream_gives_one_chunk():
    transport = MemoryTransport(b'{"text":"hi"}', headers={"content-type": "application/json; charset=utf-8"})
    assert [chunk.text for chunk in await chunks_of(provider_on(transport))] == ["HI"]


@pytest.mark.anyio
async def test_an_error_instead_of_a_stream_is_the_same_error():
    with pytest.raises(ProviderError, match="503 from echo") as caught:
        await chunks_of(provider_on(MemoryTransport(b'{"message":"busy"}', status=503)))
    assert caught.value.error_type is ErrorType.OVERLOADED


@pytest.mark.anyio
async def test_an_event_larger_than_the_parser_holds_is_a_malformed_response():
    with pytest.raises(ProviderError) as caught:
        await chunks_of(provider_on(MemoryTransport(b"data: " + b"x" * (9 * 1024 * 1024))))
    assert caught.value.error_type is ErrorType.MALFORMED_RESPONSE


@pytest.mark.anyio
async def test_closing_closes_the_transport_once():
    transport = MemoryTransport()
    provider = provider_on(transport)
    await provider.aclose()
    await provider.aclose()
    assert transport.closed


@pytest.mark.anyio
@pytest.mark.parametrize("before", [b"", b'data: {"text": "so far"}\n\n'], ids=["at once", "in mid-stream"])
async def test_an_error_that_is_written_into_a_stream_as_it_is_is_told(before):
    provider = provider_on(MemoryTransport(before, b'{\r\n  "error": {"message": "no ', b'capacity"}\r\n}\r\n\r\n'))
    with pytest.raises(ProviderError, match="no capacity") as caught:
        await chunks_of(provider)
    assert caught.value.error_type is ErrorType.SERVER_ERROR


@pytest.mark.anyio
async def test_other_things_beside_the_events_are_nothing():
    provider = provider_on(MemoryTransport(b'data: {"text": "so far"}\n\n', b"<html>\n"))
    with pytest.raises(ProviderError, match="ended early") as caught:
        await chunks_of(provider)
    assert caught.value.error_type is ErrorType.CONNECTION


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (302, ErrorType.NOT_FOUND),
        (400, ErrorType.INVALID_REQUEST),
        (401, ErrorType.AUTHENTICATION),
        (402, ErrorType.INSUFFICIENT_QUOTA),
        (403, ErrorType.PERMISSION),
        (404, ErrorType.NOT_FOUND),
        (408, ErrorType.TIMEOUT),
        (409, ErrorType.SERVER_ERROR),
        (413, ErrorType.INVALID_REQUEST),
        (418, ErrorType.INVALID_REQUEST),
        (422, ErrorType.INVALID_REQUEST),
        (429, ErrorType.HTTP_429),
        (500, ErrorType.SERVER_ERROR),
        (502, ErrorType.SERVER_ERROR),
        (503, ErrorType.OVERLOADED),
        (504, ErrorType.TIMEOUT),
        (520, ErrorType.SERVER_ERROR),
        (529, ErrorType.OVERLOADED),
    ],
)
def test_each_status_has_its_error_type(status, error_type):
    assert error_type_of(status) is error_type


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "no", "code": 3}, "no"),
        ({"detail": [{"loc": ["body"], "msg": "no"}]}, "no"),
        ([{"error": {"message": "no"}}], "no"),
        ("<html>\n no </html>", "<html> no </html>"),
        ({"error": {}}, ""),
        ({"error": 5}, ""),
        (None, ""),
        ([], ""),
        ({"error": {"error": {"error": {"error": {"error": {"error": {"error": {"error": "no"}}}}}}}}, ""),
    ],
)
def test_the_message_is_found_in_the_shapes_that_servers_use(data, message):
    assert message_of(data) == message


def test_a_long_message_is_cut():
    assert len(message_of("x" * 1_000_000)) == 603


def test_what_a_body_says_wins_over_the_headers():
    told = completed(
        ProviderError("x", ErrorType.HTTP_429, status_code=400, retry_after_s=7.0, request_id="of the body"),
        status=200,
        host="h",
        request_id="of the headers",
    )
    assert (told.status_code, told.retry_after_s, told.request_id) == (400, 7.0, "of the body")
