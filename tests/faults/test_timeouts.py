"""Every wait has its own timeout, with its own error response."""

import asyncio
from dataclasses import dataclass, field

import pytest
from support.black_hole import black_hole
from support.leaping_loop import leap
from support.leaving import HEALTH
from support.names import changing, names
from support.raw_server import OK, Script
from support.scripts import deaf, dripping, in_turn, silent, stalling
from support.serving import Outcome, answer_or_cut, call, outcome_of

from ovh_proxy.core.settings import Timeouts, Upstream

pytestmark = pytest.mark.asyncio

SHORT = Timeouts(answer_s=0.3, idle_s=0.3, header_s=0.2, body_s=0.2)
CONNECT_S = 0.3
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\n"
# More than the system's buffers hold, so that an upstream that does not read is noticed.
LARGE = b"x" * 16_000_000
# A check every quarter of a second, and the delay of a machine under load.
LATE_S = 0.25 + 1.5


@dataclass(frozen=True, slots=True)
class Row:
    """What the upstream does, and the result of the call."""

    name: str
    script: Script
    bound_s: float
    status: int | None = 504
    text: bytes = field(default=call(), repr=False)
    arrived: int = 1


ROWS = (
    Row("no response to a GET", silent, SHORT.answer_s),
    Row("no response to a POST", silent, SHORT.answer_s, text=call("POST")),
    Row("a call that is not read", deaf, SHORT.answer_s, arrived=0),
    Row("a body that is not read", deaf, SHORT.answer_s, text=call("PUT", body=LARGE), arrived=0),
    Row("half a head", stalling(b"HTTP/1.1 200 OK\r\nContent-"), SHORT.answer_s),
    Row("a slow head", dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.05), SHORT.answer_s),
    Row("slow interim responses", dripping(b"", b"HTTP/1.1 103 \r\n\r\n", 0.2), SHORT.answer_s),
    Row("a head and no body", stalling(TEN), SHORT.idle_s, status=None),
    Row("part of a body", stalling(TEN, b"01234"), SHORT.idle_s, status=None),
    Row("chunks without an end", stalling(CHUNKED, b"5\r\n01234\r\n"), SHORT.idle_s, status=None),
    Row("an incomplete rejection", stalling(REFUSAL, b'{"err'), SHORT.idle_s),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_upstream_that_stalls_times_out(start, upstream, row):
    proxy_server = await start(timeouts=SHORT)
    upstream.scripts = [row.script, in_turn(OK)]
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(proxy_server, upstream, row.text)

    assert outcome == Outcome(row.status, "UPSTREAM_TIMEOUT", arrived=row.arrived)
    assert row.bound_s <= asyncio.get_running_loop().time() - began < row.bound_s + LATE_S
    assert await outcome_of(proxy_server, upstream, call()) == Outcome(200)
    assert len(upstream.sides) == 2  # the connection was not reused


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_attempt_that_hangs_times_out(start, upstream, method):
    names().names["api.localhost"] = changing(("127.0.0.1",), ("127.0.0.2",))
    bounds = Timeouts(connect_s=CONNECT_S)
    proxy_server = await start(
        base_url=f"http://api.localhost:{upstream.port}/1.0", timeouts=bounds
    )
    began = asyncio.get_running_loop().time()

    with black_hole("127.0.0.2", upstream.port):
        outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    # Three attempts, two pauses of at most 0.1 and 0.2 seconds, and a machine under load.
    assert 3 * CONNECT_S <= asyncio.get_running_loop().time() - began < 3 * CONNECT_S + 0.3 + 1.4


async def test_a_call_that_waits_too_long_for_a_connection_is_rejected_as_overload(
    start, upstream, held
):
    proxy_server = await start(
        upstream=Upstream(connections=1), timeouts=Timeouts(connect_s=CONNECT_S)
    )
    first = await proxy_server.connect()
    first.send(call())
    await upstream.until(lambda: len(upstream.calls) == 1)
    began = asyncio.get_running_loop().time()

    answer = await proxy_server.ask(call("POST"))

    assert (answer.status, answer.code, answer.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert CONNECT_S <= asyncio.get_running_loop().time() - began < CONNECT_S + LATE_S
    held.go.set()
    assert (await first.answer()).status == 200
    assert len(upstream.calls) == 1


async def test_a_slow_response_that_makes_progress_does_not_time_out(start, upstream):
    proxy_server = await start(timeouts=SHORT)
    upstream.scripts = [dripping(TEN, b"01", 0.1)]

    answer = await answer_or_cut(proxy_server, call())

    assert answer is not None
    assert answer.body == b"01" * 5


# Clients.

HALF_A_HEAD = b"GET /me HTTP/1.1\r\nHost: local"
HALF_A_BODY = b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234"
HALF_A_CHUNK = (
    b"PUT /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01234"
)


@pytest.mark.parametrize("before", [b"", call()], ids=["first", "after a call"])
@pytest.mark.parametrize(
    ("text", "bound_s"),
    [(HALF_A_HEAD, SHORT.header_s), (HALF_A_BODY, SHORT.body_s), (HALF_A_CHUNK, SHORT.body_s)],
    ids=["a head", "a body", "a chunked body"],
)
async def test_a_client_that_stalls_in_its_request_gets_408_and_is_disconnected(
    start, upstream, before, text, bound_s
):
    proxy_server = await start(timeouts=SHORT)
    client = await proxy_server.connect()
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
    ("begin", "piece"),
    [(b"GET /", b"a"), (b"GET /me HTTP/1.1\r\n", b"A: b\r\n"), (b"GET / HTTP/1.1\r\nA: ", b"b")],
    ids=["in its line", "with headers", "in a header"],
)
async def test_a_slow_head_gets_no_more_time(start, upstream, begin, piece):
    proxy_server = await start(timeouts=SHORT)
    client = await proxy_server.connect()
    client.send(begin)
    answering = asyncio.ensure_future(client.answer())
    while not answering.done():
        client.send(piece)
        await asyncio.wait((answering,), timeout=0.02)

    answer = await answering

    assert answer.code == "REQUEST_TIMEOUT"
    assert upstream.calls == []


async def test_a_body_that_arrives_fast_enough_gets_more_time(proxy_server, upstream):
    # The default timeout: sixty seconds, and one more per five hundred bytes.
    head, _, body = call("PUT", body=b"x" * 120_000).partition(b"\r\n\r\n")
    client = await proxy_server.connect()
    client.send(head + b"\r\n\r\n")

    for begin in range(0, len(body), 30_000):
        await leap(50)
        client.send(body[begin : begin + 30_000])
        await proxy_server.ask(HEALTH)  # by now, it has been read

    assert (await client.answer()).status == 200
    assert len(upstream.calls[0].body) == 120_000


@pytest.mark.parametrize("before", [b"", call()], ids=["first", "after a call"])
async def test_a_silent_client_is_disconnected(start, before):
    proxy_server = await start(timeouts=SHORT)
    client = await proxy_server.connect()
    if before:
        client.send(before)
        await client.answer()
    began = asyncio.get_running_loop().time()

    ended = await client.ends_cleanly()

    assert ended
    assert asyncio.get_running_loop().time() - began < SHORT.idle_s + LATE_S


async def test_a_client_that_reads_nothing_of_its_response_is_disconnected(start, upstream):
    proxy_server = await start(timeouts=SHORT)
    upstream.scripts = [stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 16000000\r\n\r\n", LARGE)]
    client = await proxy_server.connect(limit=1024)
    client.send(call())

    (record,) = await proxy_server.until_logged()

    assert record["status"] == 200
    assert record["bytes_out"] < len(LARGE)
    await upstream.until(lambda: upstream.open == 0)
    assert await client.rest() != LARGE
