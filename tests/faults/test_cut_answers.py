"""An incomplete response never looks complete, and its connection is not reused."""

import gzip
from dataclasses import dataclass, field

import pytest
from support.raw_server import OK, Script, Side, within
from support.scripts import closing, endless, in_turn, resetting
from support.serving import Outcome, answer_or_cut, call, outcome_of

pytestmark = pytest.mark.asyncio

TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\n"
GZIP = b"HTTP/1.1 %d -\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
BROKEN = 502, "UPSTREAM_BROKEN"
CUT = None, "UPSTREAM_BROKEN"


def ends(*pieces: bytes, by: str = "end") -> Script:
    """Responds with these bytes, then ends the connection."""

    async def script(side: Side) -> None:
        await side.answer(*pieces)
        side.reset() if by == "reset" else side.end()

    return script


@dataclass(frozen=True, slots=True)
class Row:
    """What the upstream does, and the status and code of the result."""

    name: str
    script: Script
    expected: tuple[int | None, str | None]
    text: bytes = field(default=call(), repr=False)


def odd(name: str, text: bytes, expected: tuple[int | None, str | None] = BROKEN) -> Row:
    return Row(name, in_turn(text), expected)


BEFORE_A_BYTE = (
    Row("an end without a byte", closing, BROKEN),
    Row("a reset without a byte", resetting, BROKEN),
    Row("an end after a POST", closing, BROKEN, text=call("POST")),
    Row("half a status line", ends(b"HTTP/1."), BROKEN),
    Row("half a head", ends(b"HTTP/1.1 200 OK\r\nContent-Le"), BROKEN),
    Row("half a head, reset", ends(b"HTTP/1.1 200 OK\r\nContent-Le", by="reset"), BROKEN),
    Row("only an interim response", ends(b"HTTP/1.1 103 Early Hints\r\n\r\n"), BROKEN),
    Row(
        "a rejection that breaks off",
        ends(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n{"),
        BROKEN,
    ),
)

GARBAGE = (
    odd("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n"),
    odd("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
    odd("a page without a head", b"<html><h1>502 Bad Gateway</h1></html>\r\n\r\n"),
    odd("only null bytes", bytes(4096)),
    odd("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    odd("another version", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    odd("a status below 100", b"HTTP/1.1 099 -\r\nContent-Length: 2\r\n\r\nok"),
    odd("a protocol switch", b"HTTP/1.1 101 Switching\r\nUpgrade: a\r\n\r\n"),
    odd("a header without a name", b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok"),
    odd("a header with a null byte", b"HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nok"),
    odd("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"),
    odd("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    odd("an invalid length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
    odd("a huge length", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    odd("a length and chunks", CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    odd("an unknown transfer coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"),
    Row("endless interim responses", endless(b"", b"HTTP/1.1 100 \r\n\r\n"), BROKEN),
    Row("endless headers", endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), BROKEN),
    Row("an endless header", endless(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1024), BROKEN),
    Row("an endless status line", endless(b"HTTP/1.1 200 ", b"b" * 1024), BROKEN),
    Row("endless empty lines", endless(b"", b"\r\n" * 512), BROKEN),
)


@pytest.mark.parametrize("row", BEFORE_A_BYTE + GARBAGE, ids=lambda row: row.name)
async def test_an_invalid_response_becomes_an_error_of_the_proxy(proxy_server, upstream, row):
    upstream.scripts = [row.script, in_turn(OK)]

    outcome = await outcome_of(proxy_server, upstream, row.text)

    assert outcome == Outcome(*row.expected)
    assert await outcome_of(proxy_server, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2  # the connection was not reused


AFTER_A_BYTE = (
    Row("less than the length", ends(TEN, b"01234"), CUT),
    Row("less than the length, reset", ends(TEN, b"01234", by="reset"), CUT),
    Row("no last chunk", ends(CHUNKED, b"5\r\n01234\r\n"), CUT),
    Row("no last chunk, reset", ends(CHUNKED, b"5\r\n01234\r\n", by="reset"), CUT),
    Row("half a chunk", ends(CHUNKED, b"5\r\n012"), CUT),
    Row("half of the last chunk", ends(CHUNKED, b"5\r\n01234\r\n0\r\n"), CUT),
    Row("an end by a reset", ends(NO_LENGTH, b"01234", by="reset"), CUT),
    Row("a chunk without a size", in_turn(CHUNKED + b"5\r\n01234\r\nten\r\n"), CUT),
    Row("a chunk longer than its size", in_turn(CHUNKED + b"5\r\n0123456789\r\n0\r\n\r\n"), CUT),
    Row("a huge chunk", in_turn(CHUNKED + b"fffffffffffffffff\r\n"), CUT),
    Row("an endless extension", endless(CHUNKED, b"a" * 1024), CUT),
    Row("an endless trailer", endless(CHUNKED + b"5\r\n01234\r\n0\r\n", b"A: b\r\n"), CUT),
)


@pytest.mark.parametrize("row", AFTER_A_BYTE, ids=lambda row: row.name)
async def test_a_response_that_breaks_off_midway_never_looks_complete(proxy_server, upstream, row):
    upstream.scripts = [row.script, in_turn(OK)]

    outcome = await outcome_of(proxy_server, upstream, row.text)

    # If it breaks off before a byte was forwarded, the client gets an error response.
    assert outcome in (Outcome(*row.expected), Outcome(*BROKEN))
    assert await outcome_of(proxy_server, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2


@pytest.mark.parametrize("script", [row.script for row in AFTER_A_BYTE[:6]])
async def test_an_http_1_0_client_notices_an_incomplete_response_by_a_reset(
    proxy_server, upstream, script
):
    upstream.scripts = [script]
    client = await proxy_server.connect()
    client.send(b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n")

    with pytest.raises(ConnectionResetError):
        await within(client.reader.read(-1))


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize(
    "body",
    # The bomb consists of many small members: fifty megabytes in total.
    [b"no gzip at all", gzip.compress(b"cut short")[:-6], gzip.compress(bytes(1_000_000)) * 50],
    ids=["not gzip", "truncated", "a bomb"],
)
async def test_a_response_with_a_false_content_encoding_is_forwarded_unchanged(
    proxy_server, upstream, status, body
):
    upstream.scripts = [in_turn(GZIP % (status, len(body), body))]

    answer = await answer_or_cut(proxy_server, call())

    assert answer is not None
    assert (answer.status, answer.body) == (status, body)
    assert answer.value("Content-Encoding") == "gzip"
