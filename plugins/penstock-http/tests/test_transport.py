"""Every engine, on every backend it runs on, against a server that answers well and one that misbehaves."""

import asyncio
import json
import socket
import subprocess
import threading

import anyio
import anyio.to_thread
import pytest

from penstock_http import (
    HttpRequest,
    Options,
    RetryHint,
    Timeouts,
    TransportError,
    TransportFault,
    parse_limits,
    parse_retry,
)

pytestmark = [
    pytest.mark.anyio,
    # httpcore leaves its inner generators to the garbage collector when a body is given up; trio remarks on it.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore).:ResourceWarning"),
]

SHORT = 0.15
QUICK = Timeouts(connect=5.0, first_byte=SHORT, idle=SHORT)


@pytest.fixture
async def transport(engine):
    transport = engine.build(Options(headers={"Authorization": "Bearer secret"}))
    yield transport
    await transport.aclose()


@pytest.fixture
async def quick(engine):
    transport = engine.build(Options(timeouts=QUICK))
    yield transport
    await transport.aclose()


@pytest.fixture
async def small(engine):
    transport = engine.build(Options(max_body=200_000))
    yield transport
    await transport.aclose()


async def fault_of_send(transport, url, **options):
    with pytest.raises(TransportError) as caught:
        await transport.send(HttpRequest("GET", url), **options)
    assert caught.value.__cause__ is None
    return caught.value


async def fault_of_stream(transport, url, **options):
    got = bytearray()

    async def read():
        async with transport.stream(HttpRequest("GET", url), **options) as stream:
            async for chunk in stream:
                got.extend(chunk)

    with pytest.raises(TransportError) as caught:
        await read()
    return caught.value, bytes(got)


async def until(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 5)


async def test_a_request_arrives_as_given_and_its_answer_comes_back_whole(transport, server):
    request = HttpRequest("POST", server.url("echo") + "?q=1", {"X-Trace": "t1"}, b'{"a":1}')
    response = await transport.send(request)
    told = json.loads(response.body)
    assert response.status == 200
    assert (told["method"], told["target"], told["body"]) == ("POST", "/echo?q=1", '{"a":1}')
    assert told["headers"]["x-trace"] == "t1"
    assert told["headers"]["authorization"] == "Bearer secret"
    assert told["headers"]["accept-encoding"].replace(" ", "") == "gzip,deflate"


async def test_a_header_of_the_request_wins_over_the_one_of_the_transport(transport, server):
    response = await transport.send(HttpRequest("GET", server.url("echo"), {"authorization": "Bearer other"}))
    assert json.loads(response.body)["headers"]["authorization"] == "Bearer other"


async def test_response_headers_are_a_mapping_of_lower_case_names(transport, server):
    headers = (await transport.send(HttpRequest("GET", server.url("ok")))).headers
    assert headers["x-request-id"] == "r1"
    assert headers.get("absent") is None
    assert headers.get("absent", "else") == "else"
    assert "absent" not in headers
    with pytest.raises(KeyError):
        headers["absent"]
    assert set(headers) == {"content-length", "x-request-id", "set-cookie"}
    assert len(headers) == 3


async def test_headers_that_are_not_text_trouble_nobody(transport, server):
    headers = (await transport.send(HttpRequest("GET", server.url("odd-headers")))).headers
    assert dict(headers)["x-even"] == "yes"
    assert len(dict(headers)) == len(headers)
    assert parse_retry(headers, now_wall=0.0) == RetryHint()
    assert parse_limits(headers, now_wall=0.0) == ()


async def test_any_status_is_an_answer_and_no_redirect_is_followed(transport, server):
    limited = await transport.send(HttpRequest("GET", server.url("limited")))
    assert (limited.status, limited.headers["retry-after"]) == (429, "2")
    assert (await transport.send(HttpRequest("GET", server.url("redirect")))).status == 302
    assert len(server.seen) == 2


async def test_no_cookie_is_kept(transport, server):
    for _ in range(2):
        await transport.send(HttpRequest("GET", server.url("ok")))
    assert "cookie" not in server.seen[1].headers


async def test_exchanges_one_after_another_share_a_connection(transport, server):
    for behaviour in ("ok", "gzip", "chunks", "large", "limited"):
        assert (await transport.send(HttpRequest("GET", server.url(behaviour)))).body
    async with transport.stream(HttpRequest("GET", server.url("chunks"))) as stream:
        await stream.read()
    await transport.send(HttpRequest("GET", server.url("ok")))
    assert server.connections == 1


async def test_exchanges_at_once_each_have_a_connection(transport, server):
    async with anyio.create_task_group() as group:
        for _ in range(150):  # httpx alone would stop at 100
            group.start_soon(transport.send, HttpRequest("GET", server.url("slow-head")))
        await until(server.arrived)
        with anyio.fail_after(5):
            while len(server.seen) < 150:
                await anyio.to_thread.run_sync(server.arrived.wait, 0.01)
        group.cancel_scope.cancel()
    assert server.connections == 150


async def test_a_stream_gives_each_chunk_when_it_arrives(transport, server):
    async with transport.stream(HttpRequest("GET", server.url("stall"))) as stream:
        assert stream.status == 200
        assert await anext(aiter(stream)) == b"data: one\n\n"  # the server sends no more
    await until(server.hung_up)


async def test_a_stream_can_be_read_to_its_end(transport, server):
    async with transport.stream(HttpRequest("GET", server.url("chunks"))) as stream:
        assert await stream.read() == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_an_error_inside_a_stream_block_is_the_callers_and_frees_the_connection(transport, server):
    with pytest.raises(LookupError):
        async with transport.stream(HttpRequest("GET", server.url("stall"))):
            raise LookupError
    await until(server.hung_up)


@pytest.mark.parametrize("behaviour", ["gzip", "ok"])
async def test_bodies_arrive_decompressed(transport, server, behaviour):
    assert (await transport.send(HttpRequest("GET", server.url(behaviour)))).body == b'{"ok":true}'
    async with transport.stream(HttpRequest("GET", server.url(behaviour))) as stream:
        assert await stream.read() == b'{"ok":true}'


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("slow-head", TransportFault.FIRST_BYTE_TIMEOUT),
        ("stall", TransportFault.IDLE_TIMEOUT),
        ("stall-late", TransportFault.TOO_LARGE),
        ("endless", TransportFault.TOO_LARGE),
        ("bomb", TransportFault.TOO_LARGE),
        ("broken-gzip", TransportFault.PROTOCOL),
        ("short", TransportFault.PROTOCOL),
        ("garbage", TransportFault.PROTOCOL),
        ("hang-up", TransportFault.RESET),
        ("reset", TransportFault.RESET),
        ("reset-late", TransportFault.RESET),
    ],
)
async def test_misbehaviour_is_named(quick, small, server, behaviour, fault):
    transport = quick if "TIMEOUT" in fault.name else small
    sent = await fault_of_send(transport, server.url(behaviour) + "?key=secret")
    streamed, _ = await fault_of_stream(transport, server.url(behaviour) + "?key=secret")
    for error in (sent, streamed):
        assert error.fault is fault
        assert not fault.never_sent
        assert f"127.0.0.1:{server.port}" in str(error)
        assert "secret" not in str(error)
        assert f"/{behaviour}" not in str(error)
        if "TIMEOUT" in fault.name:
            assert f"{SHORT} s" in str(error)


async def test_a_declared_length_beyond_the_bound_is_refused(small, server):
    error, chunks = await fault_of_stream(small, server.url("huge-length"))
    assert error.fault is TransportFault.TOO_LARGE
    assert chunks == b""
    await until(server.hung_up)


async def test_what_arrived_before_a_stall_has_been_given(quick, server):
    error, chunks = await fault_of_stream(quick, server.url("stall"))
    assert error.fault is TransportFault.IDLE_TIMEOUT
    assert chunks == b"data: one\n\n"
    await until(server.hung_up)


@pytest.mark.parametrize("behaviour", ["slow-head", "stall", "stall-late"])
async def test_the_total_limit_ends_any_phase(engine, server, behaviour):
    transport = engine.build(Options(timeouts=Timeouts(total=60.0)))
    assert (await fault_of_send(transport, server.url(behaviour), total_s=SHORT)).fault is TransportFault.TOTAL_TIMEOUT
    error, _ = await fault_of_stream(transport, server.url(behaviour), total_s=SHORT)
    assert error.fault is TransportFault.TOTAL_TIMEOUT
    assert f"{SHORT} s" in str(error)
    await transport.aclose()


@pytest.mark.parametrize("total_s", [0.0, -1.0])
async def test_a_deadline_that_has_passed_is_a_total_timeout(transport, server, total_s):
    assert (await fault_of_send(transport, server.url("ok"), total_s=total_s)).fault is TransportFault.TOTAL_TIMEOUT


async def test_no_limit_at_all_is_a_choice(engine, server):
    never = Timeouts(connect=None, first_byte=None, idle=None)
    transport = engine.build(Options(timeouts=never))
    assert (await transport.send(HttpRequest("GET", server.url("large")), total_s=float("inf"))).status == 200
    async with transport.stream(HttpRequest("GET", server.url("large"))) as stream:
        assert len(await stream.read()) == 500_000
    await transport.aclose()


async def test_a_first_byte_limit_below_the_idle_limit_holds(engine, server):
    transport = engine.build(Options(timeouts=Timeouts(first_byte=SHORT, idle=30.0)))
    error = await fault_of_send(transport, server.url("slow-head"))
    assert error.fault is TransportFault.FIRST_BYTE_TIMEOUT
    assert str(SHORT) in str(error)
    assert (await transport.send(HttpRequest("GET", server.url("ok")))).status == 200
    await transport.aclose()


async def test_a_name_that_does_not_resolve_was_never_sent(transport):
    error = await fault_of_send(transport, "http://models.invalid/")
    assert error.fault is TransportFault.CONNECT
    assert error.fault.never_sent
    assert str(error).startswith("cannot connect to models.invalid")


async def test_a_kept_connection_that_broke_is_a_reset_and_a_post_is_sent_once(transport, server):
    request = HttpRequest("POST", server.url("once"), {}, b"{}")
    assert (await transport.send(request)).status == 200
    with pytest.raises(TransportError) as caught:
        await transport.send(request)
    assert caught.value.fault in (TransportFault.RESET, TransportFault.PROTOCOL)
    assert not caught.value.fault.never_sent
    assert len(server.seen) == 2


async def test_a_body_of_megabytes_arrives(transport, server):
    response = await transport.send(HttpRequest("POST", server.url("ok"), {}, b"x" * 3_000_000))
    assert response.status == 200
    assert server.seen[0].body == b"x" * 3_000_000


async def test_a_server_that_does_not_take_the_request_is_a_first_byte_timeout(quick):
    with socket.create_server(("127.0.0.1", 0)) as listener:  # its backlog accepts the connection, and nobody reads
        request = HttpRequest("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"x" * 30_000_000)
        with pytest.raises(TransportError) as caught:
            await quick.send(request)
    assert caught.value.fault is TransportFault.FIRST_BYTE_TIMEOUT


async def test_the_user_and_password_of_a_url_are_not_sent(engine, server):
    transport = engine.build()
    await transport.send(HttpRequest("GET", server.url("ok").replace("//", "//user:secret@")))
    assert "authorization" not in server.seen[0].headers
    await transport.aclose()


async def test_a_url_is_sent_as_it_is_and_one_beyond_ascii_encoded(transport, server):
    for target, sent in [("ok?a=%7E%2f+b", "/ok?a=%7E%2f+b"), ("ok?q=\u20ac", "/ok?q=%E2%82%AC")]:
        await transport.send(HttpRequest("GET", server.url(target)))
        assert server.seen[-1].target == sent


async def test_a_refused_connection_was_never_sent(transport):
    error = await fault_of_send(transport, "http://user:secret@127.0.0.1:1/")
    assert error.fault is TransportFault.CONNECT
    assert error.fault.never_sent
    assert str(error).startswith("cannot connect to 127.0.0.1:1")
    assert "secret" not in str(error)


async def test_a_server_that_never_shakes_hands_is_a_connect_timeout(engine, server):
    transport = engine.build(Options(timeouts=Timeouts(connect=SHORT)))
    error = await fault_of_send(transport, server.url("ok").replace("http:", "https:"))
    assert error.fault is TransportFault.CONNECT_TIMEOUT
    assert f"within {SHORT} s" in str(error)
    await transport.aclose()


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/", {}),
        ("nothing", {}),
        ("ok", {"x": "secret\r\ny: z"}),
        ("ok", {"x y": "secret"}),
    ],
)
async def test_a_request_that_cannot_be_sent_says_so(transport, server, url, headers):
    request = HttpRequest("GET", server.url(url) if url == "ok" else url, headers)
    with pytest.raises(TransportError) as sent:
        await transport.send(request)
    with pytest.raises(TransportError) as streamed:
        async with transport.stream(request):
            pass
    for caught in (sent, streamed):
        assert caught.value.fault is TransportFault.REQUEST
        assert "cret" not in str(caught.value)


@pytest.mark.parametrize("behaviour", ["slow-head", "stall", "stall-late"])
async def test_a_cancelled_send_frees_its_connection(engine, server, behaviour):
    transport = engine.build()
    with anyio.move_on_after(SHORT) as scope:
        await transport.send(HttpRequest("GET", server.url(behaviour)))
    assert scope.cancelled_caught
    await until(server.hung_up)
    assert (await transport.send(HttpRequest("GET", server.url("ok")))).status == 200
    await transport.aclose()


async def test_closing_ends_what_is_in_flight(engine, server):
    transport = engine.build()

    async def send():
        with pytest.raises(TransportError) as caught:
            await transport.send(HttpRequest("GET", server.url("slow-head")))
        assert caught.value.fault is TransportFault.CLOSED

    if engine.name != "aiohttp":
        pytest.skip("a lane in use is its exchange's, and ends with it")
    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await until(server.arrived)
        await transport.aclose()


@pytest.mark.parametrize("behaviour", ["stall", "stall-late"])
async def test_a_cancelled_stream_frees_its_connection(engine, server, behaviour):
    transport = engine.build()
    with anyio.move_on_after(SHORT) as scope:
        async with transport.stream(HttpRequest("GET", server.url(behaviour))) as stream:
            await stream.read()
    assert scope.cancelled_caught
    await until(server.hung_up)
    assert (await transport.send(HttpRequest("GET", server.url("ok")))).status == 200
    await transport.aclose()


async def test_closing_twice_is_closing_once_and_nothing_is_sent_afterwards(engine, server):
    transport = engine.build()
    await transport.send(HttpRequest("GET", server.url("ok")))
    await transport.aclose()
    await transport.aclose()
    await until(server.hung_up)
    assert (await fault_of_send(transport, server.url("ok"))).fault is TransportFault.CLOSED
    error, _ = await fault_of_stream(transport, server.url("ok"))
    assert error.fault is TransportFault.CLOSED
    assert len(server.seen) == 1


async def test_the_environment_names_the_proxy(engine, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    transport = engine.build()
    through = await transport.send(HttpRequest("GET", "http://models.invalid/echo"))
    assert json.loads(through.body)["target"] == "http://models.invalid/echo"
    direct = await transport.send(HttpRequest("GET", server.url("echo")))
    assert json.loads(direct.body)["target"] == "/echo"
    await transport.aclose()


async def test_a_proxy_that_is_no_http_proxy_is_refused(engine, server, monkeypatch):
    if engine.name != "aiohttp":
        pytest.skip("httpx speaks SOCKS where it is installed with it")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    transport = engine.build()
    error = await fault_of_send(transport, server.url("ok"))
    assert error.fault is TransportFault.CONNECT
    assert "not an HTTP proxy" in str(error)
    await transport.aclose()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl command to make a certificate with")
    return folder


async def test_a_certificate_is_verified_and_one_can_be_trusted(engine, tls_server, certificate):
    stranger = engine.build()
    error = await fault_of_send(stranger, tls_server)
    assert error.fault is TransportFault.TLS
    assert error.fault.never_sent
    await stranger.aclose()
    trusting = engine.build(Options(ca_pem=(certificate / "cert.pem").read_bytes()))
    assert (await trusting.send(HttpRequest("GET", tls_server))).body == b"ok"
    await trusting.aclose()


def test_what_can_carry_a_credential_is_in_no_repr():
    request = HttpRequest("GET", "https://u:secret@h/p?key=secret", {"authorization": "secret"}, b"secret")
    assert "secret" not in repr(request)
    assert "secret" not in repr(Options(headers={"authorization": "secret"}))


async def test_asyncio_cancellation_of_a_task_is_seen_as_one(engine, server, anyio_backend):
    if anyio_backend != "asyncio":
        pytest.skip("a task of asyncio needs asyncio")
    transport = engine.build()
    task = asyncio.create_task(transport.send(HttpRequest("GET", server.url("slow-head"))))
    await until(server.arrived)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(server.hung_up)
    await transport.aclose()
