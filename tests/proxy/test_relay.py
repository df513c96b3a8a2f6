"""Responses on their way to the client."""

import asyncio
import socket
from contextlib import suppress

import pytest

from ovh_proxy.core.errors import UpstreamBroken
from ovh_proxy.core.settings import Retries, Timeouts, Upstream
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.ovhcloud.messages import ResponseHead
from ovh_proxy.proxy.relay import relay
from ovh_proxy.upstream.response import UpstreamResponse

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"HEAD /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
OLD = b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def fields_of(answer) -> list[tuple[bytes, bytes]]:
    """All fields except the request ID, which the proxy adds."""
    return [(name, value) for name, value in answer.fields if name != b"X-Ovh-Proxy-Request-Id"]


@pytest.mark.asyncio
async def test_response_headers_keep_order_and_spelling_and_none_is_added(proxy_server, upstream):
    upstream.answers(
        b"HTTP/1.1 299 Fine  enough\r\nb-Field: 1\r\nA-FIELD:2\r\nb-field: 3\r\nX-Raw: caf\xe9\r\n"
        b"X-Empty:\r\nX-OVH-QUERYID: EU.ext-1\r\ncontent-length: 2\r\n\r\nhi"
    )

    answer = await proxy_server.ask(GET)

    assert answer.first_line == "HTTP/1.1 299 Fine  enough"
    assert fields_of(answer) == [
        (b"b-Field", b"1"),
        (b"A-FIELD", b"2"),
        (b"b-field", b"3"),
        (b"X-Raw", b"caf\xe9"),
        (b"X-Empty", b""),
        (b"X-OVH-QUERYID", b"EU.ext-1"),
        (b"content-length", b"2"),
    ]
    assert answer.body == b"hi"


@pytest.mark.asyncio
async def test_hop_by_hop_cookie_and_cors_headers_are_dropped(proxy_server, upstream):
    upstream.answers(
        OK + b"Access-Control-Allow-Origin: *\r\nACCESS-CONTROL-expose-headers: *\r\n"
        b"Set-Cookie: a=b\r\nset-cookie: c=d\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nX-Ovh-Proxy-Error: FAKED\r\nContent-Length: 0\r\n\r\n"
    )

    answer = await proxy_server.ask(GET)

    assert fields_of(answer) == [(b"Content-Length", b"0")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asked", "location", "expected"),
    [
        (b"/me", b"http://127.0.0.1:{port}/1.0/x?y=%2F", b"http://localhost:81/1.0/x?y=%2F"),
        (b"/@personal/me", b"/1.0/x", b"/@personal/1.0/x"),
        (b"/me", b"https://elsewhere.example/1.0/x", b"https://elsewhere.example/1.0/x"),
    ],
    ids=["absolute", "with a profile", "elsewhere"],
)
async def test_a_location_at_the_endpoint_points_to_the_proxy(
    proxy_server, upstream, asked, location, expected
):
    location = location.replace(b"{port}", b"%d" % upstream.port)
    upstream.answers(
        b"HTTP/1.1 302 Found\r\nlocation: " + location + b"\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"
    )

    answer = await proxy_server.ask(b"GET " + asked + b" HTTP/1.1\r\nHost: localhost:81\r\n\r\n")

    assert fields_of(answer)[0] == (b"location", expected)
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("ask", "answered", "length"),
    [
        (HEAD, OK + b"Content-Length: 99\r\n\r\n", "99"),
        (HEAD, OK + b"\r\n", None),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "99"),
    ],
    ids=["HEAD", "HEAD without a length", "204", "304"],
)
async def test_a_response_without_a_body_ends_with_its_head(
    proxy_server, upstream, ask, answered, length
):
    upstream.answers(answered)
    conversation = await proxy_server.connect()
    conversation.send(ask)
    answer = await conversation.answer("HEAD")
    upstream.answers(OK + b"Content-Length: 4\r\n\r\nnext")
    conversation.send(NEXT)

    following = await conversation.answer()

    assert (answer.value("Content-Length"), answer.value("Transfer-Encoding")) == (length, None)
    assert following.body == b"next"


CHUNKS = (b"4\r\nWiki\r\n", b"5;x=y\r\npedia\r\n", b"0\r\nTrailer: x\r\n\r\n")


@pytest.mark.asyncio
async def test_a_chunked_response_stays_chunked(proxy_server, upstream):
    upstream.answers(OK + b"Transfer-Encoding: chunked\r\n\r\n", *CHUNKS)
    conversation = await proxy_server.connect()
    conversation.send(GET + NEXT)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.body for answer in answers] == [b"Wikipedia"] * 2
    assert answers[0].values("Transfer-Encoding") == ["chunked"]


@pytest.mark.asyncio
async def test_a_response_that_ends_with_its_connection_is_chunked_for_the_client(
    proxy_server, upstream
):
    upstream.answers(OK + b"\r\nWiki", b"pedia", ends=True)
    conversation = await proxy_server.connect()
    conversation.send(GET + NEXT)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.body for answer in answers] == [b"Wikipedia"] * 2


@pytest.mark.asyncio
@pytest.mark.parametrize("asks", [b"", b"Connection: keep-alive\r\n"], ids=["plain", "keep-alive"])
async def test_http_1_0_gets_a_chunked_response_without_chunks(proxy_server, upstream, asks):
    upstream.answers(OK + b"Transfer-Encoding: chunked\r\n\r\n", *CHUNKS)
    conversation = await proxy_server.connect()
    conversation.send(OLD[:-2] + asks + b"\r\n")

    answer = await conversation.answer()

    assert answer.body == b"Wikipedia"
    assert (answer.value("Transfer-Encoding"), answer.value("Connection")) == (None, "close")


@pytest.mark.asyncio
async def test_each_part_is_forwarded_before_the_next_arrives(proxy_server, upstream):
    seen = asyncio.Event()

    async def answering(_, side) -> None:
        await side.write(OK + b"Content-Length: 10\r\n\r\nfirst")
        await seen.wait()
        await side.write(b"later")

    upstream.answering = answering
    conversation = await proxy_server.connect()
    conversation.send(GET)

    head = await asyncio.wait_for(conversation.reader.readuntil(b"\r\n\r\n"), 5)
    first = await conversation.exactly(b"first")
    seen.set()
    later = await conversation.exactly(b"later")

    assert head.startswith(OK)
    assert (first, later) == (b"first", b"later")


@pytest.mark.asyncio
async def test_interim_responses_are_dropped(proxy_server, upstream):
    upstream.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"
    )

    answer = await proxy_server.ask(GET)

    assert answer.status == 200


CUTS = {
    "length": (GET, OK + b"Content-Length: 100\r\n\r\npart"),
    "chunk": (GET, OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\npart"),
    "between chunks": (GET, OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"),
    "HTTP/1.0, length": (OLD, OK + b"Content-Length: 100\r\n\r\npart"),
    "HTTP/1.0, chunk": (OLD, OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\npart"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("ask", "answered"), CUTS.values(), ids=CUTS)
async def test_a_response_that_breaks_off_never_looks_complete(
    proxy_server, upstream, ask, answered
):
    has_seen = asyncio.Event()

    async def answering(_, side) -> None:
        await side.write(answered)
        await has_seen.wait()
        side.end()

    upstream.answering = answering
    conversation = await proxy_server.connect()
    conversation.send(ask)
    begun = await asyncio.wait_for(conversation.reader.readuntil(b"part"), 5)
    has_seen.set()

    clean = await conversation.ends_cleanly()

    assert begun.startswith(OK)
    # A reset, whatever the framing: in HTTP/1.0 nothing else shows that the response was cut.
    assert not clean
    [record] = await proxy_server.until_logged()
    assert (record["status"], record["error"]) == (200, "UPSTREAM_BROKEN")


@pytest.mark.asyncio
async def test_a_response_that_breaks_off_on_a_unix_socket_lacks_its_end(
    start, upstream, unix_listener
):
    proxy_server = await start(listen=(unix_listener,))
    upstream.answers(OK + b"Content-Length: 100\r\n\r\npart", ends=True)
    conversation = await proxy_server.connect()
    conversation.send(GET)

    rest = await conversation.rest()

    assert rest == b"" or rest.endswith(b"part")


BROKEN = {
    "no byte": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a bad chunk with its head": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("answered", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_upstream_that_breaks_off_before_a_byte_gets_502(
    proxy_server, upstream, answered, method
):
    upstream.answers(answered, ends=True)
    conversation = await proxy_server.connect()
    conversation.send(GET.replace(b"GET", method.encode()))
    answer = await conversation.answer()
    upstream.answers(OK + b"Content-Length: 0\r\n\r\n")
    conversation.send(NEXT)

    following = await conversation.answer()

    assert (answer.status, answer.code) == (502, "UPSTREAM_BROKEN")
    assert following.status == 200


@pytest.mark.asyncio
async def test_a_response_that_breaks_off_while_it_is_inspected_gets_502(proxy_server, upstream):
    # A 403 may reject the credential: its body is read before its head is forwarded.
    upstream.answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\npart", ends=True)

    answer = await proxy_server.ask(GET)

    assert (answer.status, answer.code) == (502, "UPSTREAM_BROKEN")


@pytest.mark.asyncio
async def test_an_unreachable_upstream_gets_502(start, upstream):
    proxy_server = await start(retries=Retries(attempts=1))
    await proxy_server.ask(GET)  # the clock is known
    await upstream.stop()
    await upstream.until(lambda: upstream.open == 0)

    answer = await proxy_server.ask(GET)

    assert (answer.status, answer.code) == (502, "UPSTREAM_UNREACHABLE")


@pytest.mark.asyncio
async def test_an_upstream_that_does_not_respond_gets_504(start, upstream):
    proxy_server = await start(timeouts=Timeouts(answer_s=0.1))
    upstream.answers()

    answer = await proxy_server.ask(GET)

    assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "begun", [b"", OK + b"Content-Length: 9\r\n\r\npart"], ids=["before", "in"]
)
@pytest.mark.parametrize("by", ["close", "abort"])
async def test_a_client_that_disconnects_ends_the_upstream_call(proxy_server, upstream, begun, by):
    upstream.answers(begun)
    conversation = await proxy_server.connect()
    conversation.send(GET)
    await upstream.until(lambda: len(upstream.requests) == 1)
    if begun:
        await asyncio.wait_for(conversation.reader.readuntil(b"part"), 5)
    # The connection that fetched the time may be open as well.
    calling = upstream.open

    conversation.writer.close() if by == "close" else conversation.abort()

    await upstream.until(lambda: upstream.open < calling)
    [record] = await proxy_server.until_logged()
    assert record["status"] == (200 if begun else 499)


def endless(written: list[int]):
    async def answering(_, side) -> None:
        await side.write(OK + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            await side.write(b"x" * 10_000)
            written[0] += 10_000

    return answering


async def slow_reader(proxy_server) -> socket.socket:
    """A client with a small receive buffer that sends a request and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", proxy_server.port))
    await loop.sock_sendall(client, GET)
    return client


@pytest.mark.asyncio
async def test_a_client_that_reads_nothing_is_disconnected_and_little_is_buffered(start, upstream):
    proxy_server = await start(timeouts=Timeouts(idle_s=0.3))
    written = [0]
    upstream.answering = endless(written)

    client = await slow_reader(proxy_server)
    [record] = await proxy_server.until_logged()

    assert 290 < record["total_ms"] < 3000
    # The kernel's buffers on both sides take some megabytes; without a bound it would be all.
    assert written[0] < 16_000_000
    assert record["status"] == 200
    client.close()


@pytest.mark.asyncio
async def test_a_slow_client_gets_the_whole_response(start, upstream):
    proxy_server = await start(timeouts=Timeouts(idle_s=0.5), upstream=Upstream(connections=2))
    size = 3_000_000
    upstream.answers(OK + b"Content-Length: %d\r\n\r\n" % size, b"x" * size)
    client = await slow_reader(proxy_server)
    loop = asyncio.get_running_loop()

    received = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while received < size and (piece := await loop.sock_recv(client, 200_000)):
                received += len(piece)

    assert received >= size
    client.close()


@pytest.mark.asyncio
async def test_an_http_1_0_client_gets_the_end_when_upstream_ends(proxy_server, upstream):
    seen = asyncio.Event()

    async def answering(_, side) -> None:
        await side.write(OK + b"\r\nall")
        await seen.wait()
        side.end()

    upstream.answering = answering
    conversation = await proxy_server.connect()
    conversation.send(OLD)
    await asyncio.wait_for(conversation.reader.readuntil(b"all"), 5)
    seen.set()

    clean = await conversation.ends_cleanly()

    assert clean


@pytest.mark.asyncio
async def test_a_rejected_credential_is_forwarded_with_a_hint(proxy_server, upstream):
    body = b'{"errorCode":"INVALID_CREDENTIAL","httpCode":"403 Forbidden","message":"no"}'
    upstream.answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    answer = await proxy_server.ask(GET)

    assert (answer.status, answer.code, answer.body) == (403, None, body)
    assert "ovh-proxy login --profile personal" in answer.value("X-Ovh-Proxy-Hint")


@pytest.mark.asyncio
async def test_a_failure_between_head_and_relay_still_gets_an_error_response():
    incoming = UpstreamResponse(None)
    incoming.head = ResponseHead(200, b"OK", ((b"Content-Length", b"9"),))
    incoming.finish(UpstreamBroken("cut"))
    exchange = Exchange(0.0, "GET", "/me")

    with pytest.raises(UpstreamBroken):
        await relay(incoming, (), None, exchange, is_http_1_0=False, keep_alive=True)

    assert (exchange.has_begun, exchange.status) == (False, 0)
