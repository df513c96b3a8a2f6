from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ovh_proxy.ovhcloud.messages import Body, Headers, UpstreamRequest
from ovh_proxy.upstream.http1 import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INTERIM,
    MalformedResponse,
    ResponseParser,
    encode_request_head,
)

HTTP = b"HTTP/1.1 "
CHUNKED = HTTP + b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Reading(NamedTuple):
    """The outcome of parsing some bytes."""

    status: int | None
    body: bytes
    is_complete: bool
    is_reusable: bool


def read(response: bytes, method: str = "GET", step: int | None = None) -> Reading:
    """Feeds a response to a parser in steps, as a connection does."""
    reader = ResponseParser(method)
    body = b"".join(pieces(reader, response, step or len(response)))
    status = reader.head.status if reader.head is not None else None
    return Reading(status, body, reader.is_complete, reader.is_reusable)


def pieces(reader: ResponseParser, response: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(response), step):
        reader.feed(memoryview(response)[start : start + step])
        yield from reader.pieces
        reader.pieces = []


WHOLE = {
    "a length": (HTTP + b"200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    "an empty body": (HTTP + b"200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 200, b"", True),
    "no reason": (HTTP + b"200\r\nContent-Length: 0\r\n\r\n", "GET", 200, b"", True),
    "line ends ahead": (
        b"\r\n" + HTTP + b"200 OK\r\nContent-Length: 0\r\n\r\n",
        "GET",
        200,
        b"",
        True,
    ),
    "chunks": (CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "GET", 200, b"abc", True),
    "chunk extensions": (CHUNKED + b'2;a=b;c="d"\r\nab\r\n0;z\r\n\r\n', "GET", 200, b"ab", True),
    "trailers": (CHUNKED + b"2\r\nab\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", "GET", 200, b"ab", True),
    "HEAD with a length": (HTTP + b"200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, b"", True),
    "HEAD without a length": (HTTP + b"200 OK\r\n\r\n", "HEAD", 200, b"", False),
    "HEAD with chunks": (CHUNKED, "HEAD", 200, b"", False),
    "204": (HTTP + b"204 No Content\r\n\r\n", "GET", 204, b"", True),
    "204 with a length": (HTTP + b"204 No\r\nContent-Length: 5\r\n\r\n", "GET", 204, b"", True),
    "304 with a length": (HTTP + b"304 No\r\nContent-Length: 5\r\n\r\n", "GET", 304, b"", True),
    "304 with chunks": (
        HTTP + b"304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET",
        304,
        b"",
        True,
    ),
    "after interim answers": (
        HTTP
        + b"100 Continue\r\n\r\n"
        + HTTP
        + b"103 Early Hints\r\nLink: x\r\n\r\n"
        + HTTP
        + b"201 Created\r\nContent-Length: 2\r\n\r\nok",
        "POST",
        201,
        b"ok",
        True,
    ),
    "an upgrade that is offered": (
        HTTP + b"200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
        "GET",
        200,
        b"a",
        True,
    ),
    "Connection: close": (
        HTTP + b"200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
        "GET",
        200,
        b"",
        False,
    ),
    "close, then keep-alive": (
        HTTP
        + b"200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        "GET",
        200,
        b"",
        False,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "GET", 200, b"a", False),
    "HTTP/1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        "GET",
        200,
        b"a",
        True,
    ),
    "HTTP/1.0 with chunks": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET",
        200,
        b"",
        False,
    ),
}


@pytest.mark.parametrize("step", [None, 1, 7], ids=["at once", "byte by byte", "in sevens"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_response_is_parsed_however_it_is_split(name: str, step: int | None) -> None:
    response, method, status, body, is_reusable = WHOLE[name]

    reading = read(response, method, step)

    assert reading == Reading(status, body, is_complete=True, is_reusable=is_reusable)


@pytest.mark.parametrize("name", WHOLE)
def test_a_response_is_incomplete_before_its_last_byte(name: str) -> None:
    response, method, *_ = WHOLE[name]

    reading = read(response[:-1], method)

    assert not reading.is_complete


FOLLOWERS = {
    "another response": HTTP + b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "the start of one": b"H",
    "garbage": b"\x00\xff",
    "a space": b" ",
    "an empty chunk": b"0\r\n\r\n",
    "the start of a chunk": b"5",
    "a body": b"hello",
}


@pytest.mark.parametrize("step", [None, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("follower", FOLLOWERS.values(), ids=FOLLOWERS)
@pytest.mark.parametrize("name", WHOLE)
def test_bytes_after_a_response_make_only_the_connection_unusable(
    name: str, follower: bytes, step: int | None
) -> None:
    response, method, status, body, _ = WHOLE[name]

    reading = read(response + follower, method, step)

    assert reading == Reading(status, body, is_complete=True, is_reusable=False)


BROKEN = {
    "no HTTP": b"hello\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "a short status": HTTP + b"20 OK\r\n\r\n",
    "a long status": HTTP + b"2000 OK\r\n\r\n",
    "a status below 100": HTTP + b"099 OK\r\nContent-Length: 0\r\n\r\n",
    "a switch of protocols": HTTP + b"101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a folded header": HTTP + b"200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": HTTP + b"200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    "a header without a name": HTTP + b"200 OK\r\n: a\r\n\r\n",
    "a null in a header": HTTP + b"200 OK\r\nX: a\0b\r\n\r\n",
    "a bare carriage return in a header": HTTP + b"200 OK\r\nX: a\rb\r\n\r\n",
    "two lengths": HTTP + b"200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": HTTP + b"200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
    "a signed length": HTTP + b"200 OK\r\nContent-Length: +2\r\n\r\nab",
    "a negative length": HTTP + b"200 OK\r\nContent-Length: -2\r\n\r\nab",
    "a length beyond numbers": HTTP + b"200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "an empty length": HTTP + b"200 OK\r\nContent-Length:\r\n\r\n",
    "chunks and a length": HTTP
    + b"200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length and chunks": HTTP
    + b"200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another transfer coding": HTTP
    + b"200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an empty transfer coding": HTTP + b"200 OK\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
    "an interim response with a body": HTTP
    + b"100 Continue\r\nContent-Length: 5\r\n\r\nhello"
    + HTTP
    + b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"5\r\nhelloX0\r\n\r\n",
    "a chunk with bare line feeds": CHUNKED + b"5\nhello\n0\n\n",
    "a negative chunk": CHUNKED + b"-5\r\nhello\r\n",
    "a chunk in C's hexadecimal": CHUNKED + b"0x5\r\nhello\r\n",
    "a chunk beyond numbers": CHUNKED + b"fffffffffffffffff\r\n",
    "a space behind a chunk's size": CHUNKED + b"5 \r\nhello\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "a head without an end": HTTP + b"200 OK\r\nX: " + b"a" * MAX_HEAD_BYTES,
    "trailers without an end": CHUNKED + b"0\r\nX: " + b"a" * MAX_HEAD_BYTES,
    "a reason without an end": HTTP + b"200 " + b"a" * MAX_HEAD_BYTES,
    "too many headers": HTTP + b"200 OK\r\n" + b"X: a\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "too many trailers": CHUNKED + b"0\r\n" + b"X: a\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "interim answers without end": (HTTP + b"103 Hints\r\n\r\n") * (MAX_INTERIM + 1),
}


@pytest.mark.parametrize("step", [None, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN)
def test_an_invalid_response_is_rejected_however_it_is_split(
    response: bytes, step: int | None
) -> None:
    with pytest.raises(MalformedResponse) as refused:
        read(response, step=step)

    assert "OVHcloud" in str(refused.value)


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN)
def test_the_error_for_an_invalid_response_contains_none_of_its_bytes(response: bytes) -> None:
    secret = b"s3cr3t"

    with pytest.raises(MalformedResponse) as refused:
        read(response.replace(b"X", secret).replace(b"OK", secret).replace(b"hello", secret))

    assert secret.decode() not in str(refused.value)


LIMITS = {
    "headers": HTTP + b"200 OK\r\n" + b"X: a\r\n" * MAX_HEADERS + b"\r\n",
    "interim answers": (HTTP + b"103 Hints\r\n\r\n") * MAX_INTERIM + HTTP + b"200 OK\r\n\r\n",
}


@pytest.mark.parametrize("response", LIMITS.values(), ids=LIMITS)
def test_a_response_at_a_limit_is_parsed(response: bytes) -> None:
    reading = read(response)

    assert reading.status == 200


def test_a_body_may_exceed_the_limit_of_the_head() -> None:
    chunk = b"1\r\na\r\n"
    count = MAX_HEAD_BYTES

    reading = read(CHUNKED + chunk * count + b"0\r\n\r\n", step=1000)

    assert reading == Reading(200, b"a" * count, is_complete=True, is_reusable=True)


def test_headers_keep_order_spelling_repeats_and_bytes() -> None:
    reader = ResponseParser("GET")

    reader.feed(
        memoryview(
            HTTP + b"200 Tr\xe8s bien\r\nx-B: \xff \t\r\nX-a:1\r\nx-B:\t two\r\n"
            b"X-Empty:\r\nContent-Length: 0\r\n\r\n"
        )
    )

    assert reader.head is not None
    assert reader.head.reason == b"Tr\xe8s bien"
    assert reader.head.headers == (
        (b"x-B", b"\xff"),
        (b"X-a", b"1"),
        (b"x-B", b"two"),
        (b"X-Empty", b""),
        (b"Content-Length", b"0"),
    )


def test_headers_of_interim_responses_and_trailers_are_dropped() -> None:
    reader = ResponseParser("GET")
    hints = HTTP + b"103 Hints\r\nX-Early: 1\r\n\r\n"

    reader.feed(memoryview(hints + CHUNKED + b"0\r\nX-Late: 1\r\n\r\n"))

    assert reader.head is not None
    assert reader.head.headers == ((b"Transfer-Encoding", b"chunked"),)


UNTIL_CLOSE = {
    "no length": HTTP + b"200 OK\r\n\r\n",
    "no length and 205": HTTP + b"205 Reset\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("head", UNTIL_CLOSE.values(), ids=UNTIL_CLOSE)
def test_a_response_without_a_length_ends_with_its_connection(head: bytes) -> None:
    reader = ResponseParser("GET")
    reader.feed(memoryview(head + b"some"))

    reader.end()

    assert reader.is_complete
    assert not reader.is_reusable


CUT = {
    "before a byte": b"",
    "in the status line": HTTP + b"20",
    "in the head": HTTP + b"200 OK\r\nContent-Le",
    "after an interim response": HTTP + b"100 Continue\r\n\r\n",
    "before the body": HTTP + b"200 OK\r\nContent-Length: 2\r\n\r\n",
    "in the body": HTTP + b"200 OK\r\nContent-Length: 2\r\n\r\no",
    "in a chunk": CHUNKED + b"5\r\nhe",
    "before the last chunk": CHUNKED + b"5\r\nhello\r\n",
    "in the trailers": CHUNKED + b"0\r\nX: a\r\n",
    "with a coding behind chunked": HTTP
    + b"200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nabc",
}


@pytest.mark.parametrize("response", CUT.values(), ids=CUT)
def test_a_cut_response_is_never_complete(response: bytes) -> None:
    reader = ResponseParser("GET")
    if response:
        reader.feed(memoryview(response))

    with pytest.raises(MalformedResponse):
        reader.end()

    assert not reader.is_complete


def test_eof_after_a_complete_response_changes_nothing() -> None:
    reader = ResponseParser("GET")
    reader.feed(memoryview(HTTP + b"200 OK\r\nContent-Length: 0\r\n\r\n"))

    reader.end()

    assert reader.is_complete
    assert reader.is_reusable


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"H", True, id="a byte"),
        pytest.param(HTTP + b"100 Continue\r\n\r\n", True, id="an interim response"),
    ],
)
def test_a_response_has_begun_with_its_first_byte(response: bytes, expected: bool) -> None:
    reader = ResponseParser("GET")

    if response:
        reader.feed(memoryview(response))

    assert reader.has_begun is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(b"X: a", None, id="no header"),
        pytest.param(b"Keep-Alive: timeout=5", 5.0, id="a timeout"),
        pytest.param(b"keep-alive: max=100, Timeout=30", 30.0, id="after a maximum"),
        pytest.param(b"Keep-Alive: max=100", None, id="a maximum alone"),
        pytest.param(b"Keep-Alive: timeout=soon", None, id="no number"),
        pytest.param(b"Keep-Alive: timeout=0", 0.0, id="none"),
    ],
)
def test_the_keep_alive_timeout_is_parsed(header: bytes, expected: float | None) -> None:
    reader = ResponseParser("GET")

    reader.feed(memoryview(HTTP + b"200 OK\r\n" + header + b"\r\n\r\n"))

    assert reader.keep_alive_s == expected


def test_there_is_no_keep_alive_timeout_before_the_head() -> None:
    reader = ResponseParser("GET")

    assert reader.keep_alive_s is None


NO_BODY, EMPTY, FULL = Body(), Body(is_declared=True), Body((b"abc",), 3, is_declared=True)
ODD: Headers = ((b"x-LOW", b"\xff\xfe"), (b"X-Two", b"1"), (b"x-two", b"2"), (b"X-Empty", b""))


@pytest.mark.parametrize(
    ("method", "headers", "body", "expected"),
    [
        pytest.param("GET", (), NO_BODY, b"", id="no additional headers"),
        pytest.param(
            "GET",
            ODD,
            NO_BODY,
            b"x-LOW: \xff\xfe\r\nX-Two: 1\r\nx-two: 2\r\nX-Empty: \r\n",
            id="order, spelling, repeats and bytes stay",
        ),
        pytest.param(
            "GET", (), EMPTY, b"Content-Length: 0\r\n", id="a body that is declared empty"
        ),
        pytest.param("GET", (), FULL, b"Content-Length: 3\r\n", id="a GET with a body"),
        pytest.param("POST", (), NO_BODY, b"Content-Length: 0\r\n", id="POST without a body"),
        pytest.param("PUT", (), NO_BODY, b"Content-Length: 0\r\n", id="PUT without a body"),
        pytest.param("PATCH", (), NO_BODY, b"Content-Length: 0\r\n", id="PATCH without a body"),
        pytest.param("DELETE", (), NO_BODY, b"", id="DELETE without a body"),
        pytest.param("HEAD", (), NO_BODY, b"", id="HEAD"),
        pytest.param("OPTIONS", (), NO_BODY, b"", id="OPTIONS"),
        pytest.param(
            "PUT",
            ODD[:1],
            FULL,
            b"x-LOW: \xff\xfe\r\nContent-Length: 3\r\n",
            id="the length comes last",
        ),
    ],
)
def test_a_request_head_is_encoded(
    method: str, headers: Headers, body: Body, expected: bytes
) -> None:
    outgoing = UpstreamRequest(method, "https://eu.api.ovh.com/1.0/me", headers, body)

    head = encode_request_head(outgoing, "eu.api.ovh.com", "/1.0/me?")

    line = method.encode() + b" /1.0/me? HTTP/1.1\r\n"
    assert head == line + b"Host: eu.api.ovh.com\r\n" + expected + b"\r\n"


@pytest.mark.parametrize("step", [None, 1])
def test_control_characters_in_a_reason_phrase_are_dropped(step: int | None) -> None:
    reader = ResponseParser("GET")
    response = HTTP + b"200 \x00O\x07K\tyes \xe9\r\nContent-Length: 0\r\n\r\n"

    list(pieces(reader, response, step or len(response)))

    assert reader.head is not None
    assert reader.head.reason == b"OK\tyes \xe9"


@pytest.mark.parametrize("end", [b"\t", b" \t", b"\t "])
@pytest.mark.parametrize("field", [b"Transfer-Encoding: chunked", b"transfer-encoding:chunked"])
def test_a_tab_after_a_transfer_coding_is_ambiguous(field: bytes, end: bytes) -> None:
    with pytest.raises(MalformedResponse):
        read(HTTP + b"200 OK\r\n" + field + end + b"\r\n\r\n1\r\na\r\n0\r\n\r\n")
