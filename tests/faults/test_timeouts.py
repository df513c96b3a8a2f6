"""Every wait has a bound of its own, and an answer of its own behind it."""

import asyncio
from dataclasses import dataclass, field

import pytest
from support.black_hole import black_hole
from support.front import Outcome, answer_or_cut, call, outcome_of
from support.leaping_loop import leap
from support.leaving import HEALTH
from support.names import changing, names
from support.raw_server import OK, Script
from support.scripts import deaf, dripping, in_turn, silent, stalling

from ovh_proxy.core.settings import Timeouts, Upstream

pytestmark = pytest.mark.asyncio

SHORT = Timeouts(answer_s=0.3, idle_s=0.3, header_s=0.2, body_s=0.2)
CONNECT_S = 0.3
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\n"
# Above what the buffers of the system take, so that an upstream that does not read is noticed.
LARGE = b"x" * 16_000_000
# The bound, a look every quarter of a second, and what a machine under load adds.
LATE_S = 0.25 + 1.5


@dataclass(frozen=True, slots=True)
class Row:
    """What the upstream does, and what becomes of the call."""

    name: str
    script: Script
    bound_s: float
    status: int | None = 504
    text: bytes = field(default=call(), repr=False)
    arrived: int = 1


ROWS = (
    Row("no answer to a GET", silent, SHORT.answer_s),
    Row("no answer to a POST", silent, SHORT.answer_s, text=call("POST")),
    Row("a call that is not read", deaf, SHORT.answer_s, arrived=0),
    Row("a body that is not read", deaf, SHORT.answer_s, text=call("PUT", body=LARGE), arrived=0),
    Row("half a head", stalling(b"HTTP/1.1 200 OK\r\nContent-"), SHORT.answer_s),
    Row("a head that drips", dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.05), SHORT.answer_s),
    Row("interim answers that drip", dripping(b"", b"HTTP/1.1 103 \r\n\r\n", 0.2), SHORT.answer_s),
    Row("a head and no body", stalling(TEN), SHORT.idle_s, status=None),
    Row("part of a body", stalling(TEN, b"01234"), SHORT.idle_s, status=None),
    Row("chunks without an end", stalling(CHUNKED, b"5\r\n01234\r\n"), SHORT.idle_s, status=None),
    Row("a refusal that is not told", stalling(REFUSAL, b'{"err'), SHORT.idle_s),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_upstream_that_stops_is_given_up(start, upstream, row):
    front = await start(timeouts=SHORT)
    upstream.scripts = [row.script, in_turn(OK)]
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(front, upstream, row.text)

    assert outcome == Outcome(row.status, "UPSTREAM_TIMEOUT", arrived=row.arrived)
    assert row.bound_s <= asyncio.get_running_loop().time() - began < row.bound_s + LATE_S
    assert await outcome_of(front, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2  # the connection was not used again


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_does_not_stand_is_given_up(start, upstream, method):
    names().names["api.localhost"] = changing(("127.0.0.1",), ("127.0.0.2",))
    bounds = Timeouts(connect_s=CONNECT_S)
    front = await start(base_url=f"http://api.localhost:{upstream.port}/1.0", timeouts=bounds)
    began = asyncio.get_running_loop().time()

    with black_hole("127.0.0.2", upstream.port):
        outcome = await outcome_of(front, upstream, call(method))

    assert outcome == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    # Three of them, two waits of at most 0.1 and 0.2 seconds between, and a machine under load.
    assert 3 * CONNECT_S <= asyncio.get_running_loop().time() - began < 3 * CONNECT_S + 0.3 + 1.4


async def test_a_call_that_waits_too_long_for_a_connection_is_told_of_the_load(
    start, upstream, held
):
    front = await start(upstream=Upstream(connections=1), timeouts=Timeouts(connect_s=CONNECT_S))
    first = await front.connect()
    first.send(call())
    await upstream.until(lambda: len(upstream.calls) == 1)
    began = asyncio.get_running_loop().time()

    answer = await front.ask(call("POST"))

    assert (answer.status, answer.code, answer.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert CONNECT_S <= asyncio.get_running_loop().time() - began < CONNECT_S + LATE_S
    held.go.set()
    assert (await first.answer()).status == 200
    assert len(upstream.calls) == 1


async def test_an_answer_that_is_slow_but_comes_has_its_time(start, upstream):
    front = await start(timeouts=SHORT)
    upstream.scripts = [dripping(TEN, b"01", 0.1)]

    answer = await answer_or_cut(front, call())

    assert answer is not None
    assert answer.body == b"01" * 5


# Clients.

HALF_A_HEAD = b"GET /me HTTP/1.1\r\nHost: local"
HALF_A_BODY = b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234"
HALF_A_CHUNK = (
    b"PUT /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01234"
)


@pytest.mark.parametrize("before", [b"", call()], ids=["at first", "behind a call"])
@pytest.mark.parametrize(
    ("text", "bound_s"),
    [(HALF_A_HEAD, SHORT.header_s), (HALF_A_BODY, SHORT.body_s), (HALF_A_CHUNK, SHORT.body_s)],
    ids=["a head", "a body", "a chunked body"],
)
async def test_a_client_that_stops_in_its_request_is_told_and_let_go(
    start, upstream, before, text, bound_s
):
    front = await start(timeouts=SHORT)
    client = await front.connect()
    if before:
        client.send(before)
        await client.answer()
    began = asyncio.get_running_loop().time()
    client.send(text)

    answer = await client.answer()

    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert answer.value("Connection") == "close"
    assert bound_s <= asyncio.get_running_loop().time() - began < bound_s + LATE_S
    assert await client.ends_cleanly()
    assert len(upstream.calls) == bool(before)


@pytest.mark.parametrize(
    ("start_of_it", "piece"),
    [(b"GET /", b"a"), (b"GET /me HTTP/1.1\r\n", b"A: b\r\n"), (b"GET / HTTP/1.1\r\nA: ", b"b")],
    ids=["in its line", "with headers", "in a header"],
)
async def test_a_head_that_drips_has_no_more_time(start, upstream, start_of_it, piece):
    front = await start(timeouts=SHORT)
    client = await front.connect()
    client.send(start_of_it)
    answering = asyncio.ensure_future(client.answer())
    while not answering.done():
        client.send(piece)
        await asyncio.wait((answering,), timeout=0.02)

    answer = await answering

    assert answer.code == "REQUEST_TIMEOUT"
    assert upstream.calls == []


async def test_a_body_that_comes_fast_enough_has_its_time(front, upstream):
    # By the default bound: sixty seconds, and one more for each five hundred bytes.
    head, _, body = call("PUT", body=b"x" * 120_000).partition(b"\r\n\r\n")
    client = await front.connect()
    client.send(head + b"\r\n\r\n")

    for start_of_it in range(0, len(body), 30_000):
        await leap(50)
        client.send(body[start_of_it : start_of_it + 30_000])
        await front.ask(HEALTH)  # it has been read by now

    assert (await client.answer()).status == 200
    assert len(upstream.calls[0].body) == 120_000


@pytest.mark.parametrize("before", [b"", call()], ids=["at first", "behind a call"])
async def test_a_silent_client_is_let_go(start, before):
    front = await start(timeouts=SHORT)
    client = await front.connect()
    if before:
        client.send(before)
        await client.answer()
    began = asyncio.get_running_loop().time()

    ended = await client.ends_cleanly()

    assert ended
    assert asyncio.get_running_loop().time() - began < SHORT.idle_s + LATE_S


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go(start, upstream):
    front = await start(timeouts=SHORT)
    upstream.scripts = [stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 16000000\r\n\r\n", LARGE)]
    client = await front.connect(limit=1024)
    client.send(call())

    (record,) = await front.until_logged()

    assert record["status"] == 200
    assert record["bytes_out"] < len(LARGE)
    await upstream.until(lambda: upstream.open == 0)
    assert await client.rest() != LARGE
