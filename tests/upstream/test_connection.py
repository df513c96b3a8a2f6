import asyncio
import tempfile
from collections.abc import Callable

import pytest
from support.raw_server import OK, RawServer, Side, after_reading, answering, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.core.settings import Timeouts
from ovh_proxy.ovhcloud.messages import Body, Headers, UpstreamRequest
from ovh_proxy.upstream.connection import Connection
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import HIGH_WATER, UpstreamResponse

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# More than the socket buffers of both ends hold.
BIG = 32 * 1024 * 1024


def get(server: RawServer, path: str = "/me", headers: Headers = ()) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + path, headers)


def body_of(*chunks: bytes) -> Body:
    return Body(chunks, sum(map(len, chunks)), is_declared=True)


def post(server: RawServer, body: Body) -> UpstreamRequest:
    return UpstreamRequest("POST", server.url + "/me", (), body)


async def whole(incoming: UpstreamResponse) -> bytes:
    pieces = []
    while piece := await within(incoming.read()):
        pieces.append(piece)
    return b"".join(pieces)


async def is_kept(pool: Pool, server: RawServer) -> bool:
    """Whether the next call reuses a connection."""
    before = pool.made
    await within(pool.send(get(server)))
    return pool.made == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/1.0/me", b"GET /1.0/me HTTP/1.1", id="a path"),
        pytest.param("/me?", b"GET /me? HTTP/1.1", id="a bare question mark"),
        pytest.param("/a%2Fb%c3?x=%20+&&y", b"GET /a%2Fb%c3?x=%20+&&y HTTP/1.1", id="escapes"),
        pytest.param("", b"GET / HTTP/1.1", id="no path"),
    ],
)
async def test_a_request_is_sent_byte_for_byte(
    server: RawServer, pool: Pool, path: str, expected: bytes
) -> None:
    headers = ((b"x-LOW", b"\xff\xfe"), (b"X-Two", b"1"), (b"x-two", b"2"), (b"X-Empty", b""))

    await within(pool.send(get(server, path, headers)))

    host = b"\r\nHost: 127.0.0.1:%d\r\n" % server.port
    lines = b"x-LOW: \xff\xfe\r\nX-Two: 1\r\nx-two: 2\r\nX-Empty: \r\n\r\n"
    assert server.heads == [expected + host + lines]


def spooled(text: bytes) -> Body:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the body closes it
    spool.write(text)
    return Body(size=len(text), spool=spool, is_declared=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: body_of(b"a" * 10, b"\xff\0\r\n\r\n"), id="small"),
        pytest.param(lambda: body_of(b"a" * 100_000, b"b" * 3_000_000, b"c"), id="large"),
        pytest.param(lambda: spooled(bytes(range(256)) * 4096), id="on disk"),
    ],
)
async def test_a_body_arrives_byte_for_byte_each_time_it_is_sent(
    server: RawServer, pool: Pool, make: Callable[[], Body]
) -> None:
    body = make()
    text = b"".join(body.pieces())
    for _ in range(2):
        await within(pool.send(post(server, body)))

    assert server.sides[0].bodies == [text, text]
    body.close()


@pytest.mark.asyncio
async def test_a_response_streams_after_its_head(server: RawServer, pool: Pool) -> None:
    is_read = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 201 Fine\r\nX-a: \xff\r\nContent-Length: 6\r\n\r\none")
        await is_read.wait()
        await side.send(b"two")
        await side.until_gone()

    server.scripts = [script]

    incoming = await within(pool.send(get(server)))
    first = await within(incoming.read())
    is_read.set()
    rest = await whole(incoming)

    assert (incoming.head.status, incoming.head.reason) == (201, b"Fine")
    assert incoming.head.headers == ((b"X-a", b"\xff"), (b"Content-Length", b"6"))
    assert (first, rest) == (b"one", b"two")
    assert incoming.is_complete


KEPT = {
    "a length": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "chunks": ("GET", CHUNKED + b"2;x=y\r\nok\r\n0\r\nX-Late: 1\r\n\r\n", b"ok"),
    "HEAD with a length": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b""),
    "204": ("GET", b"HTTP/1.1 204 No\r\n\r\n", b""),
    "304 with a length": ("GET", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", b""),
    "interim answers": ("GET", b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\n" + OK, b"ok"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", KEPT)
async def test_a_connection_is_reused_after_a_self_delimiting_response(
    server: RawServer, pool: Pool, name: str
) -> None:
    method, response, expected = KEPT[name]
    server.scripts = [answering(response)]

    incoming = await within(pool.send(UpstreamRequest(method, server.url + "/me")))

    assert await whole(incoming) == expected
    assert await is_kept(pool, server)


SPOILED = {
    "Connection: close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a second response": OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "garbage behind it": OK + b"\0\xff",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("response", SPOILED.values(), ids=SPOILED)
async def test_a_connection_with_extra_bytes_or_close_is_not_reused(
    server: RawServer, pool: Pool, response: bytes
) -> None:
    server.scripts = [answering(response), answering(OK)]

    incoming = await within(pool.send(get(server)))

    assert await whole(incoming) == b"ok"
    assert not await is_kept(pool, server)
    await server.until(lambda: server.open == 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("lateness", ["with the response", "later"])
async def test_an_unsolicited_response_never_reaches_another_request(
    server: RawServer, pool: Pool, lateness: str
) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    is_read = asyncio.Event()

    async def script(side: Side) -> None:
        if lateness == "with the response":
            await side.answer(OK + smuggled)
        else:
            await side.answer(OK)
            await is_read.wait()
            await side.send(smuggled)
        await side.until_gone()

    server.scripts = [script, answering(OK)]
    await whole(await within(pool.send(get(server))))
    is_read.set()
    await asyncio.sleep(0)  # the server sends; we have not read yet

    incoming = await within(pool.send(get(server)))

    assert await whole(incoming) == b"ok"
    assert len(server.sides) == 2


@pytest.mark.asyncio
async def test_a_response_without_a_length_ends_with_its_connection(
    server: RawServer, pool: Pool
) -> None:
    server.scripts = [answering(b"HTTP/1.1 200 OK\r\n\r\n", b"some", b" more", ends=True)]

    incoming = await within(pool.send(get(server)))

    assert await whole(incoming) == b"some more"
    assert incoming.is_complete


BROKEN_HEADS = {
    "garbage": b"\x16\x03\x01\x02\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a switch": b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a storm of interim answers": b"HTTP/1.1 103 E\r\n\r\n" * 20,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a body that breaks at once": CHUNKED + b"zz\r\n",
    "a cut head": b"HTTP/1.1 200 OK\r\nConte",
    "nothing": b"",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("response", BROKEN_HEADS.values(), ids=BROKEN_HEADS)
async def test_an_invalid_response_is_a_broken_upstream(
    server: RawServer, pool: Pool, response: bytes
) -> None:
    server.scripts = [answering(response, ends=True)]

    with pytest.raises(UpstreamBroken) as failed:
        await within(pool.send(get(server)))

    assert not failed.value.nothing_arrived
    assert not failed.value.on_kept_connection
    await server.until(lambda: server.open == 0)


CUT_BODIES: dict[str, tuple[bytes, bytes, Callable[[Side], None]]] = {
    "a length, ended": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"some", Side.end),
    "a length, reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"some", Side.reset),
    "chunks, ended": (CHUNKED, b"4\r\nsome\r\n", Side.end),
    "chunks, reset": (CHUNKED, b"4\r\nsome\r\n", Side.reset),
    "chunks, broken": (CHUNKED, b"4\r\nsome\r\nzz\r\n", Side.end),
    "no length, reset": (b"HTTP/1.1 200 OK\r\n\r\n", b"some", Side.reset),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CUT_BODIES)
async def test_a_cut_body_never_looks_complete(server: RawServer, pool: Pool, name: str) -> None:
    head, body, finish = CUT_BODIES[name]
    is_read = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(head)
        await is_read.wait()
        await side.send(body)
        finish(side)

    server.scripts = [script]
    incoming = await within(pool.send(get(server)))
    is_read.set()

    with pytest.raises(UpstreamBroken):
        await whole(incoming)

    assert not incoming.is_complete
    with pytest.raises(UpstreamBroken):
        incoming.raise_if_broken()


@pytest.mark.asyncio
async def test_a_valid_response_raises_nothing(server: RawServer, pool: Pool) -> None:
    incoming = await within(pool.send(get(server)))

    incoming.raise_if_broken()

    assert await whole(incoming) == b"ok"


@pytest.mark.asyncio
@pytest.mark.parametrize("closing", [Side.end, Side.reset], ids=["ended", "reset"])
async def test_an_idle_connection_that_closes_on_the_request_is_reported(
    server: RawServer, pool: Pool, closing: Callable[[Side], None]
) -> None:
    async def script(side: Side) -> None:
        await side.answer(OK)
        await side.head()
        closing(side)

    server.scripts = [script]
    await whole(await within(pool.send(get(server))))

    with pytest.raises(UpstreamFailed) as failed:
        await within(pool.send(get(server)))

    assert failed.value.on_kept_connection
    assert not failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_a_request_is_not_repeatable_once_a_response_has_begun(
    server: RawServer, pool: Pool
) -> None:
    async def script(side: Side) -> None:
        await side.answer(OK)
        await side.answer(b"HTTP/1.1 1")
        side.end()

    server.scripts = [script]
    await whole(await within(pool.send(get(server))))

    with pytest.raises(UpstreamBroken) as failed:
        await within(pool.send(get(server)))

    assert not failed.value.on_kept_connection


# Flow control.


@pytest.mark.asyncio
async def test_an_unread_response_is_buffered_up_to_a_limit(server: RawServer, pool: Pool) -> None:
    text = b"a" * 65_536

    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // len(text)):
            await side.send(text)
        await side.until_gone()

    server.scripts = [script]
    incoming = await within(pool.send(get(server)))
    # Both ends run in this loop; without back-pressure all of it would have arrived by now.
    for _ in range(4 * BIG // len(text)):
        await asyncio.sleep(0)
    sent = server.sides[0].sent

    held = sum(map(len, incoming.take()))

    assert HIGH_WATER < held <= HIGH_WATER + 65_536
    assert sent < BIG
    assert held + len(await whole(incoming)) == BIG


@pytest.mark.asyncio
async def test_unread_pieces_are_read_again(server: RawServer, pool: Pool) -> None:
    server.scripts = [answering(CHUNKED + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")]
    incoming = await within(pool.send(get(server)))

    peeked = await within(incoming.read_up_to(1))
    incoming.unread(peeked)

    assert peeked == [b"a", b"b"]
    assert await whole(incoming) == b"abc"


@pytest.mark.asyncio
async def test_reading_up_to_a_limit_stops_at_the_end_of_a_short_body(
    server: RawServer, pool: Pool
) -> None:
    incoming = await within(pool.send(get(server)))

    pieces = await within(incoming.read_up_to(1000))

    assert pieces == [b"ok"]


@pytest.mark.asyncio
async def test_reading_all_returns_the_body_and_keeps_the_connection(
    server: RawServer, pool: Pool
) -> None:
    incoming = await within(pool.send(get(server)))

    body = await within(incoming.read_all(2))

    assert body == b"ok"
    assert await is_kept(pool, server)


@pytest.mark.asyncio
async def test_reading_all_of_a_body_beyond_the_limit_closes_the_connection(
    server: RawServer, pool: Pool
) -> None:
    server.scripts = [answering(CHUNKED + b"2\r\nab\r\n")]
    incoming = await within(pool.send(get(server)))

    body = await within(incoming.read_all(1))

    assert body == b"ab"
    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_cancelled_reading_closes_the_connection(server: RawServer, pool: Pool) -> None:
    server.scripts = [answering(CHUNKED + b"1\r\na\r\n")]
    incoming = await within(pool.send(get(server)))
    reading = asyncio.ensure_future(incoming.read_all(100))
    await asyncio.sleep(0)

    reading.cancel()
    await asyncio.wait([reading])

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_an_upload_waits_for_a_slow_upstream(server: RawServer, pool: Pool) -> None:
    goes_on = asyncio.Event()
    body = body_of(*[bytes([number]) * 1_000_000 for number in range(32)])

    async def script(side: Side) -> None:
        await side.head()
        await goes_on.wait()
        side.bodies.append(await side.reader.readexactly(body.size))
        await side.send(OK)
        await side.until_gone()

    server.scripts = [script]
    sending = asyncio.ensure_future(pool.send(post(server, body)))
    await server.until(lambda: len(server.sides) == 1)

    _, unfinished = await asyncio.wait([sending], timeout=0.05)
    goes_on.set()
    incoming = await within(sending)

    assert unfinished
    assert server.sides[0].bodies == [b"".join(body.chunks)]
    assert await whole(incoming) == b"ok"


REFUSALS = {
    "whole": b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno",
    "longer than we hold": b"HTTP/1.1 413 Too Large\r\nContent-Length: 1000000\r\n\r\n"
    + b"n" * 1_000_000,
    "without a length": b"HTTP/1.1 413 Too Large\r\n\r\nno",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", REFUSALS)
async def test_an_early_response_ends_the_upload(server: RawServer, pool: Pool, name: str) -> None:
    ends = name == "without a length"
    refused = REFUSALS[name]

    async def script(side: Side) -> None:
        await side.head()
        await side.send(refused)
        if ends:
            side.writer.write_eof()
        await asyncio.Event().wait()  # never reads the rest

    server.scripts = [script, answering(OK)]

    incoming = await within(pool.send(post(server, body_of(*[b"a" * 1_000_000] * 32))))

    assert incoming.head.status == 413
    assert await whole(incoming) == refused.partition(b"\r\n\r\n")[2]
    assert not await is_kept(pool, server)


@pytest.mark.asyncio
async def test_an_upload_that_loses_its_connection_fails(server: RawServer, pool: Pool) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.reset()

    server.scripts = [script]

    with pytest.raises(UpstreamBroken):
        await within(pool.send(post(server, body_of(*[b"a" * 1_000_000] * 32))))


@pytest.mark.asyncio
async def test_a_body_that_cannot_be_read_closes_the_connection(
    server: RawServer, pool: Pool
) -> None:
    body = spooled(b"a" * 100_000)
    body.close()
    server.scripts = [Side.until_gone]

    with pytest.raises(ValueError, match="closed file"):
        await within(pool.send(post(server, body)))

    await server.until(lambda: len(server.sides) == 1 and server.open == 0)


# Timeouts.


@pytest.mark.asyncio
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 2"], ids=["silence", "half a head"])
async def test_a_missing_response_times_out(
    server: RawServer, make_pool: MakePool, start: bytes
) -> None:
    async def script(side: Side) -> None:
        await side.answer(start)
        await side.until_gone()

    server.scripts = [script]
    pool = make_pool(answer_s=0.05, idle_s=60)

    with pytest.raises(UpstreamTimeout, match=r"no response .*timeouts\.answer_s") as failed:
        await within(pool.send(get(server)))

    assert not failed.value.nothing_arrived
    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_stalled_body_times_out(server: RawServer, make_pool: MakePool) -> None:
    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await side.until_gone()

    server.scripts = [script]
    pool = make_pool(answer_s=60, idle_s=0.05)
    incoming = await within(pool.send(get(server)))

    with pytest.raises(UpstreamTimeout, match=r"stalled for .*timeouts\.idle_s"):
        await whole(incoming)

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_an_unread_upload_times_out(server: RawServer, make_pool: MakePool) -> None:
    async def script(side: Side) -> None:
        await side.head()
        await asyncio.Event().wait()

    server.scripts = [script]
    pool = make_pool(answer_s=0.05)

    with pytest.raises(UpstreamTimeout):
        await within(pool.send(post(server, body_of(*[b"a" * 1_000_000] * 32))))


@pytest.mark.asyncio
async def test_a_slow_client_does_not_time_out_the_upstream(
    server: RawServer, make_pool: MakePool
) -> None:
    text = b"a" * 4_000_000

    async def slow(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text), text)
        await side.until_gone()

    async def silent(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await side.until_gone()

    server.scripts = [slow, silent]
    pool = make_pool(idle_s=0.05)
    unread = await within(pool.send(get(server)))
    other = await within(pool.send(get(server)))
    with pytest.raises(UpstreamTimeout):
        await whole(other)  # the unread response has waited for as long

    body = await whole(unread)

    assert body == text


# Cancelled calls.


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, BIG], ids=["waiting for the response", "sending the body"])
async def test_a_cancelled_call_closes_its_connection(
    server: RawServer, pool: Pool, size: int
) -> None:
    has_head, has_left = asyncio.Event(), asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        has_head.set()
        await has_left.wait()
        await side.until_gone()

    server.scripts = [script]
    sending = asyncio.ensure_future(pool.send(post(server, body_of(b"a" * size, b"b"))))
    await within(has_head.wait())

    sending.cancel()
    await asyncio.wait([sending])
    has_left.set()

    assert sending.cancelled()
    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_call_that_fails_and_is_cancelled_at_once_logs_nothing(
    server: RawServer, pool: Pool
) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.writer.write(b"garbage\r\n\r\n")
        after_reading(sending.cancel)
        await asyncio.Event().wait()  # never reads the body

    server.scripts = [script]
    sending = asyncio.ensure_future(pool.send(post(server, body_of(*[b"a" * 1_000_000] * 32))))

    await within(asyncio.wait([sending]))

    assert sending.cancelled()


@pytest.mark.asyncio
async def test_an_abandoned_response_closes_its_connection(server: RawServer, pool: Pool) -> None:
    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await side.until_gone()

    server.scripts = [script]
    incoming = await within(pool.send(get(server)))

    incoming.abandon()

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_an_abandoned_response_without_a_length_is_incomplete(
    server: RawServer, pool: Pool
) -> None:
    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await side.until_gone()

    server.scripts = [script]
    incoming = await within(pool.send(get(server)))

    await pool.close()

    assert incoming.take() == [b"some"]
    with pytest.raises(UpstreamBroken):
        await within(incoming.read())
    assert not incoming.is_complete


@pytest.mark.asyncio
async def test_abandoning_a_complete_response_keeps_its_connection(
    server: RawServer, pool: Pool
) -> None:
    incoming = await within(pool.send(get(server)))

    incoming.abandon()

    assert await is_kept(pool, server)


@pytest.mark.asyncio
async def test_a_cancelled_reader_does_not_break_the_response(
    server: RawServer, pool: Pool
) -> None:
    goes_on = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await goes_on.wait()
        await side.send(b"ok")
        await side.until_gone()

    server.scripts = [script]
    incoming = await within(pool.send(get(server)))
    reading = asyncio.ensure_future(incoming.read())
    await asyncio.sleep(0)

    reading.cancel()
    await asyncio.wait([reading])
    goes_on.set()

    assert await whole(incoming) == b"ok"


@pytest.mark.asyncio
async def test_bytes_on_an_idle_connection_close_it(server: RawServer, pool: Pool) -> None:
    speaks = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(OK)
        await speaks.wait()
        await side.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await side.until_gone()

    server.scripts = [script]
    await whole(await within(pool.send(get(server))))

    speaks.set()

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_transport_without_a_socket_has_nothing_unread() -> None:
    # As on Windows, where sockets cannot be polled.
    connection = Connection(bytearray(1), Timeouts(), lambda _: None)

    connection.connection_made(asyncio.Transport())

    assert not connection.has_unread()
