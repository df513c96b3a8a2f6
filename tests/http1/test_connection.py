"""Input that becomes a request, or an error: framing, limits, timeouts, persistence."""

import asyncio
import re
import socket
import time

import pytest
from support.proxy_server import BOUND_S

from ovh_proxy.core.settings import Limits, Listener, Timeouts

CRLF = b"\r\n"
GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /me HTTP/1.1\r\nHost: localhost\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = Timeouts(header_s=0.1, body_s=0.1, idle_s=0.2)
SECRET = b"Bearer NobodyMaySeeThisToken"

MALFORMED = {
    "HTTP/0.9": b"GET /me\r\n\r\n",
    "HTTP/0.9 without a target": b"GET\r\n\r\n",
    "HTTP/1.2": b"GET /me HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "HTTP/2.0": b"GET /me HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PRI as HTTP/1.1": b"PRI /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "RTSP": b"OPTIONS /me RTSP/1.0\r\nHost: localhost\r\n\r\n",
    "ICE": b"SOURCE /me ICE/1.0\r\nHost: localhost\r\n\r\n",
    "an RTSP method": b"DESCRIBE /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "lower-case method": b"get /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "unknown method": b"FOOBAR /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method that begins well": b"GETTER /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control byte in the target": b"GET /a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in the target": b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bare LF everywhere": b"GET /me HTTP/1.1\nHost: localhost\n\n",
    "bare LF behind a field": GET + b"X: a\nY: b\r\n\r\n",
    "bare CR in a value": GET + b"X: a\rb\r\n\r\n",
    "bare CR behind the request line": b"GET /me HTTP/1.1\rHost: localhost\r\n\r\n",
    "NUL in a value": GET + b"X: a\x00b\r\n\r\n",
    "NUL in a name": GET + b"X\x00: a\r\n\r\n",
    "DEL in a value": GET + b"X: a\x7fb\r\n\r\n",
    "folded field": GET + b"X: a\r\n b\r\n\r\n",
    "folded field by a tab": GET + b"X: a\r\n\tb\r\n\r\n",
    "space before the first field": b"GET /me HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "space before the colon": GET + b"X : a\r\n\r\n",
    "no colon": GET + b"X a\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "non-ASCII name": GET + b"X-\xc3\xa9: a\r\n\r\n",
    "empty Transfer-Encoding": POST + b"Transfer-Encoding:\r\n\r\n",
    "empty Transfer-Encoding and a length": POST
    + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello",
    "gzip": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "Transfer-Encoding twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding and a length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length and Transfer-Encoding": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding in HTTP/1.0": b"POST /me HTTP/1.0\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length beyond all": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "no Host": b"GET /me HTTP/1.1\r\n\r\n",
    "no Host in HTTP/1.0": b"GET /me HTTP/1.0\r\n\r\n",
    "two Hosts": GET + b"Host: localhost\r\n\r\n",
    "binary": bytes(range(256)),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_input_gets_an_error_response_and_closes_the_connection(
    proxy_server, upstream, text
):
    conversation = await proxy_server.connect()
    conversation.send(text, NEXT)

    answer = await conversation.answer()

    assert answer.first_line == "HTTP/1.1 400 Bad Request"
    assert (answer.code, answer.json["errorCode"]) == ("BAD_REQUEST", "BAD_REQUEST")
    assert answer.json["class"] == "OvhProxy::BAD_REQUEST"
    assert answer.json["requestId"] == answer.value("X-Ovh-Proxy-Request-Id")
    assert answer.value("Content-Type") == "application/json"
    assert answer.value("Connection") == "close"
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        GET + b"Authorization : " + SECRET + b"\r\n\r\n",
        GET + b"Authorization: " + SECRET + b"\x00\r\n\r\n",
        GET + b"Authorization: " + SECRET + b"\nX: y\r\n\r\n",
        b"GET /" + SECRET.replace(b" ", b"") + b" HTTP/3.0\r\n\r\n",
        SECRET + b"\r\n\r\n",
        POST + b"Content-Length: " + SECRET + b"\r\n\r\n",
        CHUNKED + SECRET + b"\r\n",
        CHUNKED + b"3\r\nabc" + SECRET + b"\r\n0\r\n\r\n",
    ],
    ids=["field", "NUL", "bare LF", "version", "line", "length", "chunk size", "chunk end"],
)
async def test_malformed_input_is_neither_echoed_nor_logged(proxy_server, text, capfd, caplog):
    answer = await proxy_server.ask(text)

    await proxy_server.until_logged()
    out, err = capfd.readouterr()
    shown = (
        answer.head + answer.body + (proxy_server.log.getvalue() + caplog.text + out + err).encode()
    )
    assert answer.status == 400
    assert b"NobodyMaySee" not in shown
    assert b"Traceback" not in shown


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_connect_and_trace_are_rejected(proxy_server, upstream, method):
    answer = await proxy_server.ask(f"{method} /me HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert (answer.status, answer.code) == (405, "METHOD_REFUSED")
    assert "GET" in answer.value("Allow")
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"*", "the target is not a path"),
        (b"http://localhost/me", "the target is not a path"),
        (b"me", "the target is not a path"),
        (b"/me#fragment", "fragment"),
        (b"/caf\xc3\xa9", "percent-encode them (é is %C3%A9)"),
        (b"/caf\xe9", "percent-encode them (é is %C3%A9)"),
        (b"/a%0Ab", "a control character"),
        (b"/a//b", "an empty segment"),
        (b"/a/%2e%2e/b", "a . or .. segment"),
        (b"/a%5Cb", "a backslash"),
    ],
)
async def test_an_ambiguous_target_is_rejected_with_advice(
    proxy_server, upstream, target, expected
):
    answer = await proxy_server.ask(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert (answer.status, answer.code) == (400, "BAD_TARGET")
    assert expected in answer.json["message"]
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "PURGE", "PROPFIND", "M-SEARCH"])
async def test_every_method_that_the_parser_knows_is_forwarded(proxy_server, upstream, method):
    answer = await proxy_server.ask(f"{method} /me HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert answer.status == 200
    assert [request.method for request in upstream.requests] == [method]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        GET + b"X: " + b"x" * 2000 + b"\r\n\r\n",
        GET + b"".join(b"X-%d: y\r\n" % i for i in range(40)) + b"\r\n",
        b"GET /" + b"a" * 600 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 600,
        GET + b"X: " + b"x" * 2000,
    ],
    ids=["size", "count", "target", "target without an end", "head without an end"],
)
async def test_a_head_above_the_limits_gets_431(start, upstream, text):
    proxy_server = await start(limits=Limits(header_bytes=1500, headers=32, line_bytes=500))

    answer = await proxy_server.ask(text)

    assert (answer.status, answer.code) == (431, "HEADERS_TOO_LARGE")
    assert answer.value("Connection") == "close"
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_a_head_just_within_the_limits_is_forwarded(start, upstream):
    proxy_server = await start(limits=Limits(header_bytes=1500, headers=32, line_bytes=500))
    head = b"GET /" + b"a" * 499 + b" HTTP/1.1\r\nHost: localhost\r\n"
    head += b"".join(b"X-%02d: y\r\n" % i for i in range(31)) + CRLF

    answer = await proxy_server.ask(head)

    assert answer.status == 200
    assert len(upstream.requests[0].values("X-30")) == 1


@pytest.mark.asyncio
async def test_a_head_as_large_as_the_default_limits_allow_crosses(proxy_server, upstream):
    head = b"GET /" + b"a" * 16_000 + b" HTTP/1.1\r\nHost: localhost\r\n"
    head += b"X: " + b"x" * 49_000 + b"\r\n\r\n"

    answer = await proxy_server.ask(head)

    assert answer.status == 200
    assert len(upstream.requests[0].value("X")) == 49_000


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [b"G", b"GET /me HTTP/1.1", b"GET /me HTTP/1.1\r\nHost: localhost\r\n"],
    ids=["a byte", "a line", "a field"],
)
async def test_a_head_that_does_not_come_in_time_is_answered(start, upstream, text):
    proxy_server = await start(timeouts=Timeouts(header_s=0.1))
    conversation = await proxy_server.connect()
    conversation.send(text)

    answer = await conversation.answer()

    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_an_incomplete_head_is_not_treated_as_an_idle_connection(start):
    proxy_server = await start(timeouts=Timeouts(header_s=0.3, idle_s=0.1))
    conversation = await proxy_server.connect()
    conversation.send(b"GET /me HT")

    answer = await conversation.answer()

    assert answer.status == 408


@pytest.mark.asyncio
async def test_a_head_that_arrives_slowly_has_the_same_timeout(start):
    proxy_server = await start(timeouts=Timeouts(header_s=0.2))
    conversation = await proxy_server.connect()

    async def drip() -> None:
        conversation.send(GET)
        while True:
            conversation.send(b"X: y\r\n")
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    answer = await conversation.answer()
    dripping.cancel()

    assert answer.status == 408


@pytest.mark.asyncio
async def test_a_slow_head_after_another_request_gets_a_response_too(start):
    proxy_server = await start(timeouts=Timeouts(header_s=0.1))
    conversation = await proxy_server.connect()
    conversation.send(GET + CRLF)
    first = await conversation.answer()
    conversation.send(b"GET /next HT")

    second = await conversation.answer()

    assert (first.status, second.status) == (200, 408)


@pytest.mark.asyncio
@pytest.mark.parametrize("text", [b"", b"\r\n", b"\r", GET + CRLF], ids=["", "CRLF", "CR", "kept"])
async def test_an_idle_connection_is_closed(start, text):
    proxy_server = await start(timeouts=SHORT)
    conversation = await proxy_server.connect()
    conversation.send(text)

    rest = await conversation.rest()

    assert rest.count(b"HTTP/1.1 ") == text.count(b"GET")


@pytest.mark.asyncio
async def test_empty_lines_before_a_request_are_ignored(proxy_server):
    answer = await proxy_server.ask(b"\r\n\r\n" + GET + CRLF)

    assert answer.status == 200


@pytest.mark.asyncio
async def test_pipelined_requests_get_responses_in_order(proxy_server, upstream):
    conversation = await proxy_server.connect()
    # More than the queue of aiohttp holds at once.
    count = 100
    conversation.send(
        *(
            b"POST /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello" % i
            if i % 3 == 0
            else b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % i
            for i in range(count)
        )
    )

    answers = [await conversation.answer() for _ in range(count)]

    assert [answer.body.rpartition(b"/")[2] for answer in answers] == [
        b"%d" % i for i in range(count)
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [1, 50])
async def test_garbage_after_valid_requests_gets_its_response_in_order(
    proxy_server, upstream, before
):
    conversation = await proxy_server.connect()
    conversation.send((GET + CRLF) * before + b"garbage\r\n\r\n" + NEXT)

    answers = [await conversation.answer() for _ in range(before + 1)]

    assert [answer.status for answer in answers] == [200] * before + [400]
    assert await conversation.ends_cleanly()
    assert len(upstream.requests) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        GET + b"Connection: close\r\n\r\n",
        GET + b"Connection: keep-alive, close\r\n\r\n",
        POST + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET /me HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive, close\r\n\r\n",
        GET + b"Upgrade: h2c\r\n\r\n",
    ],
    ids=["GET", "list", "length", "chunked", "HTTP/1.0", "HTTP/1.0 with both", "Upgrade"],
)
async def test_nothing_is_served_after_a_request_that_closes(proxy_server, upstream, text):
    conversation = await proxy_server.connect()
    conversation.send(text + NEXT)

    answer = await conversation.answer()

    assert (answer.status, answer.value("Connection")) == (200, "close")
    assert await conversation.ends_cleanly()
    assert [request.target for request in upstream.requests] == ["/1.0/me"]


@pytest.mark.asyncio
async def test_a_body_that_looks_like_a_request_stays_a_body(proxy_server, upstream):
    conversation = await proxy_server.connect()
    conversation.send(POST + b"Content-Length: %d\r\n\r\n%s" % (len(NEXT), NEXT) + NEXT)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.body for answer in answers] == [b"POST /1.0/me", b"GET /1.0/next"]
    assert [request.body for request in upstream.requests] == [NEXT, b""]


TWO_CHUNKED = (
    CHUNKED
    + b'7\r\na\r\n\r\nbc\r\n5;ext="x"\r\n\r\n\r\n0\r\n4\r\n\r\n\r\n\r\n'
    + b"0\r\nTrailer-Field: x\r\n\r\n"
    + NEXT
)
CHUNKED_DATA = b"a\r\n\r\nbc" + b"\r\n\r\n0" + b"\r\n\r\n"


@pytest.mark.asyncio
async def test_a_chunked_body_may_be_split_at_every_byte(proxy_server, upstream):
    cuts = range(1, len(TWO_CHUNKED))

    async def cut_at(offset: int) -> list[bytes]:
        conversation = await proxy_server.connect()
        conversation.send(TWO_CHUNKED[:offset])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        conversation.send(TWO_CHUNKED[offset:])
        return [(await conversation.answer()).body for _ in range(2)]

    answers = [await cut_at(offset) for offset in cuts]

    assert answers == [[b"POST /1.0/me", b"GET /1.0/next"]] * len(cuts)
    assert {r.body for r in upstream.requests if r.method == "POST"} == {CHUNKED_DATA}
    assert upstream.offences == []


@pytest.mark.asyncio
async def test_a_chunked_body_may_arrive_byte_by_byte(proxy_server, upstream):
    conversation = await proxy_server.connect()
    await conversation.send_slowly(TWO_CHUNKED)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [request.body for request in upstream.requests] == [CHUNKED_DATA, b""]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("length", "unit"),
    [(100_000, b"x"), (400_000, b"x"), (100_000, b"\r\n\r\n" + b"x" * 96)],
    ids=["100 kB", "400 kB", "empty lines"],
)
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
async def test_the_end_of_a_body_larger_than_any_buffer_is_found(
    proxy_server, upstream, length, unit, is_chunked
):
    body = unit * (length // len(unit))
    text = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body) if is_chunked else body
    head = CHUNKED if is_chunked else POST + b"Content-Length: %d\r\n\r\n" % length
    conversation = await proxy_server.connect()
    conversation.send(head + text + NEXT)

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [request.body for request in upstream.requests] == [body, b""]


@pytest.mark.asyncio
@pytest.mark.parametrize("length", [60_000, 200_000, 262_000, 300_000])
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
async def test_a_request_after_a_large_body_is_served(proxy_server, upstream, length, is_chunked):
    body = b"x" * length
    text = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body) if is_chunked else body
    conversation = await proxy_server.connect()
    conversation.send(
        (CHUNKED if is_chunked else POST + b"Content-Length: %d\r\n\r\n" % length) + text
    )
    await conversation.answer()
    conversation.send(NEXT)

    answer = await conversation.answer()

    assert answer.body == b"GET /1.0/next"
    assert [request.body for request in upstream.requests] == [body, b""]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"X-Checksum: abc", 200),
        (b"Host: evil.example.com", 400),
        (b"authorization: Bearer x", 400),
        (b"X-Ovh-Proxy-Profile: other", 400),
        (b"X-Long: " + b"x" * 5000, 400),
    ],
    ids=["harmless", "Host", "Authorization", "ours", "long"],
)
@pytest.mark.parametrize("size", [1, 10_000], ids=["byte by byte", "whole"])
async def test_a_trailer_is_dropped_and_must_not_contain_fields_of_the_head(
    proxy_server, upstream, field, status, size
):
    conversation = await proxy_server.connect()
    # The data looks like a trailer, but is not.
    text = b"16\r\n0\r\nHost: b.example\r\n\r\n\r\n0;ext\r\nX: y\r\n" + field + b"\r\n\r\n"
    await conversation.send_slowly(CHUNKED + text, size)

    answer = await conversation.answer()

    assert answer.status == status
    crossed = [name.lower() for request in upstream.requests for name, _ in request.fields]
    assert crossed.count(b"host") == (status == 200)
    assert {b"x", b"x-checksum"}.isdisjoint(crossed)


BAD_BODIES = {
    "no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hexadecimal prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size beyond all": b"fffffffffffffffff\r\nhello\r\n",
    "longer than said": b"3\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "the second chunk": b"5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a trailer that is no field": b"0\r\nno colon\r\n\r\n",
    "a length in the trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding in the trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_malformed_chunk_is_400_and_nothing_is_sent(proxy_server, upstream, body, whole):
    conversation = await proxy_server.connect()
    await conversation.send_slowly(CHUNKED + body + NEXT, 10_000 if whole else 1)

    answer = await conversation.answer()

    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("fields", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize(
    ("head", "body"),
    [
        (GET, b"\r\n"),
        (POST, b"Content-Length: 5\r\n\r\nhello"),
        (POST, b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ],
    ids=["no body", "length", "chunked"],
)
@pytest.mark.parametrize("size", [1, 10_000], ids=["byte by byte", "whole"])
async def test_an_upgrade_is_served_as_http_and_closes(
    proxy_server, upstream, fields, head, body, size
):
    conversation = await proxy_server.connect()
    await conversation.send_slowly(head + fields + body + NEXT, size)

    answer = await conversation.answer()

    assert (answer.status, answer.value("Connection")) == (200, "close")
    assert await conversation.ends_cleanly()
    assert upstream.requests[0].values("Upgrade") == []
    assert upstream.requests[0].values("HTTP2-Settings") == []
    assert upstream.requests[0].body == (b"hello" if head == POST else b"")
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
async def test_http_1_0_keep_alive_is_honored_and_confirmed(proxy_server, upstream):
    conversation = await proxy_server.connect()
    ask = b"GET /me HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    conversation.send(ask)
    first = await conversation.answer()
    conversation.send(ask)

    second = await conversation.answer()

    assert first.first_line == second.first_line == "HTTP/1.1 200 OK"
    # RFC 9112 section 9.3: otherwise an HTTP/1.0 client waits until the connection closes.
    assert first.value("Connection") == second.value("Connection") == "keep-alive"


@pytest.mark.asyncio
async def test_an_own_route_keeps_an_http_1_0_connection_too(proxy_server):
    answer = await proxy_server.ask(
        b"GET /-/healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    )

    assert answer.value("Connection") == "keep-alive"


@pytest.mark.asyncio
async def test_a_client_that_disconnects_within_its_head_leaves_nothing_behind(start, upstream):
    proxy_server = await start(timeouts=SHORT)
    conversation = await proxy_server.connect()
    conversation.send(b"GET /me HTTP/1.1\r\nHos")
    await conversation.close()

    answer = await proxy_server.ask(GET + CRLF)

    assert answer.status == 200
    assert len(proxy_server.requests) == 1


@pytest.mark.asyncio
async def test_a_rejected_client_that_keeps_sending_still_gets_the_response(proxy_server, upstream):
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", proxy_server.port)) as client:
        client.setblocking(False)
        await loop.sock_sendall(client, b"GET /me HTTP/1.1\r\nX : y\r\n\r\n" + b"x" * 300_000)

        received = await asyncio.wait_for(loop.sock_recv(client, 65_536), 5)

    assert re.match(rb"HTTP/1\.1 400 ", received)


@pytest.mark.asyncio
async def test_a_unix_socket_client_gets_the_same_service(start, upstream, unix_listener: Listener):
    proxy_server = await start(listen=(unix_listener,))
    conversation = await proxy_server.connect()
    await conversation.send_slowly(TWO_CHUNKED.replace(b"localhost", b"whatever.example"))

    answers = [await conversation.answer() for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert upstream.requests[0].body == CHUNKED_DATA


def _goes_on_after_the_end(port: int, pieces: list[bytes]) -> tuple[bytes, bool]:
    """Sends a request that announces to be the last, then more; returns the response, and whether
    the connection was reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.send(piece)
            time.sleep(0.01)
        answer = b""
        while piece := client.recv(65_536):
            answer += piece
        try:
            # If nobody reads any more, the first is answered by a reset, which the second finds.
            client.send(b"more")
            client.send(b"and more")
            return answer, False
        except ConnectionError:
            return answer, True


LAST = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("pieces", "is_closed_at_once"),
    [
        pytest.param([LAST], True, id="in one piece"),
        pytest.param([LAST[:9], LAST[9:]], False, id="in two"),
        pytest.param([LAST.replace(b"close", b"upgrade\r\nUpgrade: x")], False, id="an upgrade"),
    ],
)
async def test_after_a_last_request_in_one_piece_the_connection_is_closed_at_once(
    proxy_server, pieces, is_closed_at_once
):
    answer, was_reset = await asyncio.to_thread(_goes_on_after_the_end, proxy_server.port, pieces)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert was_reset == is_closed_at_once
