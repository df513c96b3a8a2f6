"""A network that delays, throttles, truncates, resets or drops data, on either side."""

import asyncio

import pytest
from support.proxy_server import ProxyServer
from support.raw import say
from support.raw_server import answering, within
from support.relay import Line, Relay
from support.serving import Outcome, answer_or_cut, call, outcome_of

from ovh_proxy.core.settings import Timeouts

pytestmark = pytest.mark.asyncio

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world"
CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
)
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello, world"
SHORT = Timeouts(answer_s=0.3, idle_s=0.3)


# Between the proxy and the upstream.


async def cut_at_each_byte(proxy_server: ProxyServer, line: Line, text: bytes) -> list[int | None]:
    """The status of a call for each length of its truncated response; None if it broke off."""
    statuses = []
    for limit in range(1, len(text)):
        line.limit = limit
        answer = await answer_or_cut(proxy_server, call())
        statuses.append(None if answer is None else answer.status)
    return statuses


@pytest.mark.parametrize("text", [LENGTH, CHUNKS], ids=["length", "chunks"])
@pytest.mark.parametrize("then", ["end", "reset"])
async def test_a_response_truncated_anywhere_never_looks_complete(start, upstream, text, then):
    upstream.scripts = [answering(text)]
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0")
        relay.back.then = then

        statuses = await cut_at_each_byte(proxy_server, relay.back, text)

    assert set(statuses) == {None, 502}
    assert relay.taken == 1 + len(statuses)  # one connection per call, and one for the time
    assert len(upstream.calls) == len(statuses)


async def test_a_response_without_a_length_is_incomplete_if_a_reset_ends_it(start, upstream):
    upstream.scripts = [answering(UNTIL_THE_END)]
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0")
        relay.back.then = "reset"

        statuses = await cut_at_each_byte(proxy_server, relay.back, UNTIL_THE_END)

    assert set(statuses) == {None, 502}


@pytest.mark.parametrize("then", ["end", "reset"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_truncated_call_is_an_error_and_not_retried(start, upstream, method, then):
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0")
        relay.forth.then = then
        outcomes = set()

        for limit in range(0, 300, 7):
            relay.forth.limit = limit
            outcomes.add(await outcome_of(proxy_server, upstream, call(method, body=b"x" * 500)))

    assert outcomes == {Outcome(502, "UPSTREAM_BROKEN", arrived=0)}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(0, Outcome(504, "UPSTREAM_TIMEOUT")), (45, Outcome(None, "UPSTREAM_TIMEOUT"))],
    ids=["before a byte", "in the body"],
)
async def test_a_response_that_is_lost_times_out(start, upstream, limit, expected):
    upstream.scripts = [answering(LENGTH)]
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0", timeouts=SHORT)
        relay.back.limit, relay.back.then = limit, "swallow"
        began = asyncio.get_running_loop().time()

        outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == expected
    assert asyncio.get_running_loop().time() - began < 2


async def test_with_high_latency_calls_do_not_wait_for_each_other(start, upstream):
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0")
        relay.forth.delay_s = relay.back.delay_s = 0.1
        began = asyncio.get_running_loop().time()

        answers = await asyncio.gather(*(proxy_server.ask(call()) for _ in range(20)))

    assert {answer.status for answer in answers} == {200}
    assert 0.2 <= asyncio.get_running_loop().time() - began < 1.5


async def test_a_slow_response_is_streamed_and_complete(start, upstream):
    size = 100_000
    upstream.scripts = [
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x" * size)
    ]
    async with Relay(upstream.port) as relay:
        proxy_server = await start(base_url=f"{relay.url}/1.0", timeouts=SHORT)
        relay.back.bytes_per_s, relay.back.piece_bytes = 200_000, 10_000
        client = await proxy_server.connect()
        client.send(call())
        await client.exactly(b"HTTP/1.1 200 OK")
        first = asyncio.get_running_loop().time()

        await within(client.reader.readuntil(b"\r\n\r\n"))
        body = await within(client.reader.readexactly(size))

    assert body == b"x" * size
    assert asyncio.get_running_loop().time() - first > 0.3  # of about half a second


# Between the client and the proxy.


@pytest.mark.parametrize("then", ["end", "reset"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
async def test_a_truncated_request_is_never_forwarded(proxy_server, upstream, is_chunked, then):
    text = call("PUT", body=b"hello, world")
    if is_chunked:
        text = call("DELETE", "Transfer-Encoding: chunked") + CHUNKS.partition(b"\r\n\r\n")[2]
    async with Relay(proxy_server.port) as relay:
        relay.forth.then = then

        for limit in range(len(text)):
            relay.forth.limit = limit
            assert b" 200 " not in (await say(f"http://127.0.0.1:{relay.port}", text)).text

    assert upstream.calls == []
    assert await outcome_of(proxy_server, upstream, text) == Outcome(200)


async def test_a_slow_client_sends_and_receives_everything(start, upstream):
    size = 60_000
    upstream.scripts = [answering(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"y" * size)]
    proxy_server = await start(timeouts=Timeouts(body_s=0.3, idle_s=0.3, header_s=0.3))
    async with Relay(proxy_server.port) as relay:
        relay.forth.bytes_per_s = relay.back.bytes_per_s = 150_000
        relay.forth.piece_bytes = relay.back.piece_bytes = 6_000
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(call("PUT", body=b"x" * size))

        head = await within(reader.readuntil(b"\r\n\r\n"))
        body = await within(reader.readexactly(size))
        writer.close()

    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"y" * size
    assert upstream.calls[0].body == b"x" * size
