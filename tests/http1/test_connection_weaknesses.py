"""Typical mistakes of simple proxies that no other file here tests over real sockets."""

import asyncio
import gzip

import pytest

from ovh_proxy.core.settings import Upstream

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        b"GET /me HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /me RTSP/1.0\r\nHost: localhost\r\n\r\n",
        b"SOURCE /me ICE/1.0\r\nHost: localhost\r\n\r\n",
        b"GET /me\r\n",
        b"GET /me HTTP/1.7\r\nHost: localhost\r\n\r\n",
    ],
    ids=["HTTP/2.0", "RTSP", "ICE", "HTTP/0.9", "HTTP/1.7"],
)
async def test_another_protocol_version_is_not_echoed_in_the_status_line(
    proxy_server, upstream, text
):
    answer = await proxy_server.ask(text)

    assert answer.first_line == "HTTP/1.1 400 Bad Request"
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"user@localhost",
        b"localhost/path",
        b"localhost, localhost",
        b"localhost localhost",
        b"http://localhost",
        b"localhost:x",
        b"localhost#",
        b"[::1",
    ],
)
async def test_an_invalid_host_is_rejected_and_nothing_is_forwarded(proxy_server, upstream, host):
    answer = await proxy_server.ask(GET.replace(b"localhost", host))

    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_headers_are_forwarded_in_order_and_spelling_and_not_merged(proxy_server, upstream):
    fields = (b"X-A: 1", b"x-a: 2", b"X-b:3", b"X-A: caf\xe9 \xff", b"X-Empty:", b"accept: a, b")

    await proxy_server.ask(
        b"\r\n".join((b"GET /me HTTP/1.1", b"Host: localhost", *fields, b"", b""))
    )

    names = {b"X-A", b"x-a", b"X-b", b"X-Empty", b"accept"}
    assert [field for field in upstream.requests[0].fields if field[0] in names] == [
        (b"X-A", b"1"),
        (b"x-a", b"2"),
        (b"X-b", b"3"),
        (b"X-A", b"caf\xe9 \xff"),
        (b"X-Empty", b""),
        (b"accept", b"a, b"),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target",
    ["/me?", "/me??", "/me?&", "/me?a", "/me?a=&b", "/me?a=+%20%2B", "/me?%ff", "/me/?", "/a%2Fb?"],
)
async def test_a_target_is_forwarded_to_its_last_byte(proxy_server, upstream, target):
    await proxy_server.ask(GET.replace(b"/me", target.encode()))

    assert upstream.requests[0].target == f"/1.0{target}"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "lengths"),
    # RFC 9110 section 8.6: an empty POST or PUT has a length, other methods have none.
    [("GET", []), ("HEAD", []), ("DELETE", []), ("OPTIONS", []), ("POST", ["0"]), ("PUT", ["0"])],
)
async def test_no_length_is_added_to_methods_without_a_body(
    proxy_server, upstream, method, lengths
):
    await proxy_server.ask(GET.replace(b"GET", method.encode()))

    assert upstream.requests[0].values("Content-Length") == lengths
    assert upstream.requests[0].values("Content-Type") == []


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_an_explicit_length_of_zero_is_forwarded(proxy_server, upstream, method):
    ask = GET.replace(b"GET", method.encode()).replace(
        b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"
    )

    await proxy_server.ask(ask)

    assert upstream.requests[0].values("Content-Length") == ["0"]


@pytest.mark.asyncio
async def test_a_response_without_a_content_type_stays_without_one(proxy_server, upstream):
    upstream.answers(OK)

    answer = await proxy_server.ask(GET)

    assert answer.value("Content-Type") is None
    assert (answer.value("Server"), answer.value("Date")) == (None, None)


@pytest.mark.asyncio
async def test_the_trailer_of_a_response_is_dropped_and_the_response_is_complete(
    proxy_server, upstream
):
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
    )
    conversation = await proxy_server.connect()
    conversation.send(GET + GET)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.body for answer in answers] == [b"hi", b"hi"]
    assert [answer.values("Trailer") + answer.values("X-T") for answer in answers] == [[], []]


@pytest.mark.asyncio
async def test_no_call_is_lost_if_upstream_closes_idle_connections(start, upstream):
    async def answering(_, side) -> None:
        await side.write(OK)
        # As soon as it is idle: the next call may find it closed or closing.
        asyncio.get_running_loop().call_soon(side.end)

    upstream.answering = answering
    proxy_server = await start(upstream=Upstream(connections=4))
    conversation = await proxy_server.connect()

    answers = []
    for _ in range(40):
        conversation.send(GET)
        answers.append(await conversation.answer())

    assert [answer.status for answer in answers] == [200] * 40


@pytest.mark.asyncio
async def test_clients_that_disconnect_before_a_response_leave_no_call_behind(
    proxy_server, upstream
):
    count = 10

    async def answering(_, side) -> None:
        await asyncio.Event().wait()

    upstream.answering = answering
    leaving = [await proxy_server.connect() for _ in range(count)]
    for conversation in leaving:
        conversation.send(GET)
    await upstream.until(lambda: len(upstream.requests) == count)

    for conversation in leaving:
        conversation.abort()

    records = await proxy_server.until_logged(count)
    assert {record["status"] for record in records} == {499}


@pytest.mark.asyncio
async def test_a_compressed_body_is_not_decoded_in_either_direction(proxy_server, upstream):
    coded = gzip.compress(b"hello" * 1000)
    length = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
    upstream.answers(b"HTTP/1.1 200 OK\r\n" + length + coded)

    answer = await proxy_server.ask(b"PUT /me HTTP/1.1\r\nHost: localhost\r\n" + length + coded)

    assert (answer.body, answer.value("Content-Encoding")) == (coded, "gzip")
    assert upstream.requests[0].body == coded
    assert upstream.requests[0].value("Content-Encoding") == "gzip"


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed(proxy_server, upstream):
    upstream.answers(b"HTTP/1.1 307 Elsewhere\r\nLocation: /1.0/other\r\nContent-Length: 0\r\n\r\n")

    answer = await proxy_server.ask(GET)

    assert (answer.status, len(upstream.requests)) == (307, 1)
