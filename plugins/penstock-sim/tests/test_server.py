"""The server as a server: HTTP in all its forms, many connections, and the ways in which it ends."""

import asyncio
import json
import socket
import time
from contextlib import suppress

import httpx
import pytest

from penstock_sim import FaultError, SimConfig, SimServer
from penstock_sim.protocol import MAX_HEAD_BYTES, MAX_QUEUED

CHAT = "/v1/chat/completions"
MODELS = b"GET /v1/models HTTP/1.1\r\nhost: sim\r\n\r\n"


def answers_in(data):
    """Split raw answers that declare their lengths."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split()[0])
        found.append((int(head.split()[1]), rest[:length]))
        data = rest[length:]
    return found


def wait_until(reached):
    deadline = time.monotonic() + 5
    while not reached():
        assert time.monotonic() < deadline, "it did not happen within 5 s"


# ---------------------------------------------------------------- HTTP


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_pipelined_requests_are_answered_in_order_however_they_arrive(serve, raw, chat, pieces):
    one = raw(serve(latency_s=0.001))
    stream = b""
    for number in range(5):
        body = json.dumps(chat(f"Question {number}", max_tokens=number + 1)).encode()
        stream += b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)
    stream += b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n"
    size = -(-len(stream) // pieces)
    for start in range(0, len(stream), size):
        one.send(stream[start : start + size])
    *chats, models = answers_in(one.read_all())
    assert [json.loads(body)["usage"]["completion_tokens"] for _, body in chats] == [1, 2, 3, 4, 5]
    assert json.loads(models[1])["object"] == "list"


def test_a_flood_of_pipelined_requests_is_answered_to_the_last(serve, raw):
    one = raw(serve())
    count = MAX_QUEUED * 100
    one.send(MODELS * (count - 1) + MODELS.replace(b"host: sim", b"connection: close"))
    assert [status for status, _ in answers_in(one.read_all())] == [200] * count


def test_a_connection_that_closes_in_a_flood_of_requests_just_closes(serve, raw, chat):
    one = raw(serve(script="close"))
    body = json.dumps(chat()).encode()
    flood = b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)
    one.send(flood * 100)
    with suppress(ConnectionResetError):  # closing with requests unread may reset
        assert one.read_all() == b""


def test_a_body_may_come_in_chunks(serve, client, chat):
    one = client(serve())
    text = json.dumps(chat()).encode()
    chunked = one.post(CHAT, content=iter([text[:10], text[10:]]))
    assert chunked.request.headers["transfer-encoding"] == "chunked"
    assert chunked.json()["choices"] == one.post(CHAT, json=chat()).json()["choices"]


def test_a_client_that_asks_first_is_told_to_go_on(serve, raw, chat):
    one = raw(serve())
    body = json.dumps(chat()).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    one.send(head.encode())
    assert one.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.send(body)
    assert one.read_all().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_a_413_and_the_end(serve, raw, chunked):
    one = raw(serve(max_body_bytes=1000))
    if chunked:
        one.send(b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 1500)
    else:
        one.send(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 1001\r\n\r\n" + b"x" * 500)
    data = one.read_all()
    assert data.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in data


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: minus\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * MAX_HEAD_BYTES, 431),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_broken_http_is_refused_and_the_connection_closed(serve, raw, data, status):
    server = serve()
    one = raw(server)
    one.send(MODELS + data)
    answers = answers_in(one.read_all())
    assert [code for code, _ in answers] == [200, status]
    assert json.loads(answers[1][1])["error"]["type"] == "invalid_request_error"
    assert server.stats.requests == 0


def test_a_wish_for_another_protocol_is_ignored(serve, raw):
    one = raw(serve())
    one.send(MODELS.replace(b"host: sim", b"connection: upgrade\r\nupgrade: h2c"))
    assert [status for status, _ in answers_in(one.read_all())] == [200]


def test_head_gets_no_body(serve, client):
    one = client(serve())
    answer = one.head(CHAT)
    assert (answer.status_code, answer.content) == (405, b"")
    assert one.get("/v1/models").status_code == 200


def test_a_client_that_leaves_is_no_longer_in_flight(serve, raw, client, chat):
    server = serve(latency_s=60)
    one = raw(server)
    one.post(chat())
    watch = client(server)
    wait_until(lambda: watch.get("/sim/stats").json()["in_flight"]["now"] == 1)
    one.socket.close()
    wait_until(lambda: watch.get("/sim/stats").json()["in_flight"]["now"] == 0)
    assert watch.get("/sim/stats").json()["connections"]["now"] == 1


def test_a_client_that_does_not_read_holds_up_nobody_but_itself(serve, raw, client, chat):
    server = serve(script="oversized", oversized_bytes=20_000_000)
    one = raw(server)
    one.post(chat())
    assert client(server).post(CHAT, json=chat()).status_code == 200
    assert one.socket.recv(12) == b"HTTP/1.1 200"


# ---------------------------------------------------------------- many


def test_two_thousand_connections_are_held_and_served(serve, chat):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4500:
        pytest.skip("the system allows this process fewer than 4500 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4500), hard))
    server = serve()
    body = json.dumps(chat()).encode()
    request = b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)

    async def ask(reader, writer):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        return head.split()[1]

    async def main():
        host, port = server.url.removeprefix("http://").split(":")
        pairs = [await asyncio.open_connection(host, int(port)) for _ in range(2000)]
        for _ in range(2):
            assert set(await asyncio.gather(*(ask(*pair) for pair in pairs))) == {b"200"}
        for _, writer in pairs:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in pairs))

    asyncio.run(main())
    assert server.stats.max_connections == 2000
    assert server.stats.statuses == {200: 4000}


# ---------------------------------------------------------------- starting and stopping


def test_it_serves_in_the_loop_of_its_caller(chat):
    async def main():
        async with SimServer() as server, httpx.AsyncClient(trust_env=False) as one:
            answer = await one.post(server.url + CHAT, json=chat())
            assert server.stats.requests == 1
            return answer.status_code

    assert asyncio.run(main()) == 200


async def until(reached):
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110  # the server has no event for what only this test waits for
            await asyncio.sleep(0)


def test_stopping_waits_for_answers_under_way_and_for_no_others(chat):
    async def main():
        async with httpx.AsyncClient(trust_env=False) as one:
            async with SimServer(SimConfig(latency_s=0.2, script="ok,stall")) as server:
                good = asyncio.create_task(one.post(server.url + CHAT, json=chat()))
                await until(lambda: server.stats.in_flight == 1)
                stalled = asyncio.create_task(one.post(server.url + CHAT, json=chat()))
                await until(lambda: server.stats.requests == 2)
            assert (await good).status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                await stalled
            with pytest.raises(httpx.ConnectError):
                await one.get(server.url + "/v1/models")
            assert server.stats.connections == 0

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start < 4


def test_stopping_gives_up_after_its_grace(serve, raw, chat):
    with SimServer.in_thread(SimConfig(latency_s=60, grace_s=0.05)) as server:
        one = raw(server)
        one.post(chat())
        wait_until(lambda: server.stats.in_flight == 1)
    assert server.stats.connections == 0


def test_an_address_in_use_is_told_where_the_server_is_started():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = SimConfig(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"), SimServer.in_thread(config):
            pass


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"rpm": 0}, ValueError),
        ({"port": 70_000}, ValueError),
        ({"latency_s": -1}, ValueError),
        ({"latency_s": float("inf")}, ValueError),
        ({"limiter": "leaky"}, ValueError),
        ({"natural_tokens": (5, 2)}, ValueError),
        ({"script": "nonsense"}, FaultError),
    ],
)
def test_settings_out_of_range_are_refused(settings, error):
    with pytest.raises(error):
        SimServer(SimConfig(**settings))


def test_the_key_is_not_in_the_repr():
    assert "sk-secret" not in repr(SimConfig(api_key="sk-secret"))
