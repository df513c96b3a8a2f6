"""What is no whole answer never looks like one, and its connection is thrown away."""

import gzip
from dataclasses import dataclass, field

import pytest
from support.front import Outcome, answer_or_cut, call, outcome_of
from support.raw_server import OK, Script, Side, within
from support.scripts import closing, endless, in_turn, resetting

pytestmark = pytest.mark.asyncio

TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\n"
GZIP = b"HTTP/1.1 %d -\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
BROKEN = 502, "UPSTREAM_BROKEN"
CUT = None, "UPSTREAM_BROKEN"


def ends(*pieces: bytes, by: str = "end") -> Script:
    """Answers by these bytes, and then the connection ends."""

    async def script(side: Side) -> None:
        await side.answer(*pieces)
        side.reset() if by == "reset" else side.end()

    return script


@dataclass(frozen=True, slots=True)
class Row:
    """What the upstream answers, and the status and code of what becomes of it."""

    name: str
    script: Script
    expected: tuple[int | None, str | None]
    text: bytes = field(default=call(), repr=False)


def odd(name: str, text: bytes, expected: tuple[int | None, str | None] = BROKEN) -> Row:
    return Row(name, in_turn(text), expected)


BEFORE_A_BYTE = (
    Row("an end and nothing before", closing, BROKEN),
    Row("a reset and nothing before", resetting, BROKEN),
    Row("an end to a POST", closing, BROKEN, text=call("POST")),
    Row("half a status line", ends(b"HTTP/1."), BROKEN),
    Row("half a head", ends(b"HTTP/1.1 200 OK\r\nContent-Le"), BROKEN),
    Row("half a head, reset", ends(b"HTTP/1.1 200 OK\r\nContent-Le", by="reset"), BROKEN),
    Row("an interim answer alone", ends(b"HTTP/1.1 103 Early Hints\r\n\r\n"), BROKEN),
    Row(
        "a refusal that breaks off", ends(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n{"), BROKEN
    ),
)

GARBAGE = (
    odd("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n"),
    odd("an alert of TLS", b"\x15\x03\x03\x00\x02\x02\x28"),
    odd("a page without a head", b"<html><h1>502 Bad Gateway</h1></html>\r\n\r\n"),
    odd("nothing but noughts", bytes(4096)),
    odd("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    odd("another version", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    odd("a status below all", b"HTTP/1.1 099 -\r\nContent-Length: 2\r\n\r\nok"),
    odd("a switch of protocols", b"HTTP/1.1 101 Switching\r\nUpgrade: a\r\n\r\n"),
    odd("a header without a name", b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok"),
    odd("a header with a nought", b"HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nok"),
    odd("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"),
    odd("a length below nought", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    odd("a length that is none", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
    odd("a length beyond all", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    odd("a length and chunks", CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    odd("a coding that nobody knows", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"),
    Row("interim answers without end", endless(b"", b"HTTP/1.1 100 \r\n\r\n"), BROKEN),
    Row("headers without end", endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), BROKEN),
    Row("a header without end", endless(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1024), BROKEN),
    Row("a status line without end", endless(b"HTTP/1.1 200 ", b"b" * 1024), BROKEN),
    Row("empty lines without end", endless(b"", b"\r\n" * 512), BROKEN),
)


@pytest.mark.parametrize("row", BEFORE_A_BYTE + GARBAGE, ids=lambda row: row.name)
async def test_what_is_no_answer_is_an_error_of_ours(front, upstream, row):
    upstream.scripts = [row.script, in_turn(OK)]

    outcome = await outcome_of(front, upstream, row.text)

    assert outcome == Outcome(*row.expected)
    assert await outcome_of(front, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2  # the connection was not used again


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
    Row("a chunk beyond all", in_turn(CHUNKED + b"fffffffffffffffff\r\n"), CUT),
    Row("an extension without end", endless(CHUNKED, b"a" * 1024), CUT),
    Row("a trailer without end", endless(CHUNKED + b"5\r\n01234\r\n0\r\n", b"A: b\r\n"), CUT),
)


@pytest.mark.parametrize("row", AFTER_A_BYTE, ids=lambda row: row.name)
async def test_an_answer_that_breaks_off_never_looks_whole(front, upstream, row):
    upstream.scripts = [row.script, in_turn(OK)]

    outcome = await outcome_of(front, upstream, row.text)

    # Where it broke before a byte was passed on, it is an error answer all the same.
    assert outcome in (Outcome(*row.expected), Outcome(*BROKEN))
    assert await outcome_of(front, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2


@pytest.mark.parametrize("script", [row.script for row in AFTER_A_BYTE[:6]])
async def test_a_client_that_knows_no_chunks_is_told_of_a_cut_by_a_reset(front, upstream, script):
    upstream.scripts = [script]
    client = await front.connect()
    client.send(b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n")

    with pytest.raises(ConnectionResetError):
        await within(client.reader.read(-1))


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize(
    "body",
    # The bomb is many members, each of which is quickly made: fifty megabytes in all.
    [b"no gzip at all", gzip.compress(b"cut short")[:-6], gzip.compress(bytes(1_000_000)) * 50],
    ids=["it is none", "it is cut short", "it is a bomb"],
)
async def test_a_coding_that_lies_passes_as_it_stands(front, upstream, status, body):
    upstream.scripts = [in_turn(GZIP % (status, len(body), body))]

    answer = await answer_or_cut(front, call())

    assert answer is not None
    assert (answer.status, answer.body) == (status, body)
    assert answer.value("Content-Encoding") == "gzip"
