"""An unrequested response never reaches another client: its connection is not reused."""

import asyncio

import pytest
from support.raw_server import Side, after_reading, answering
from support.scripts import in_turn
from support.serving import call

pytestmark = pytest.mark.asyncio

HONEST = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhonest\r\n0\r\n\r\n"
# Excess bytes after a complete response, and the body that the client must see.
EXCESS: dict[str, tuple[str, bytes, bytes]] = {
    "a second response": ("GET", HONEST + SMUGGLED, b"honest"),
    "a response after chunks": ("GET", CHUNKED + SMUGGLED, b"honest"),
    "a response in a body that is too long": ("GET", HONEST + b"!" * 3 + SMUGGLED, b"honest"),
    "an interim response": ("GET", HONEST + b"HTTP/1.1 103 -\r\n\r\n", b"honest"),
    "half a response": ("GET", HONEST + SMUGGLED[:-4], b"honest"),
    "garbage": ("GET", HONEST + b"\0\xff", b"honest"),
    "a body after HEAD": ("HEAD", HONEST, b""),
    "a response after HEAD": ("HEAD", HONEST[:-6] + SMUGGLED, b""),
    "a body after 204": ("GET", b"HTTP/1.1 204 -\r\n\r\n" + SMUGGLED, b""),
    "a body after 304": ("GET", b"HTTP/1.1 304 -\r\nContent-Length: 8\r\n\r\n" + SMUGGLED, b""),
    "a body after 205": ("GET", b"HTTP/1.1 205 -\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, b""),
    "a second response to a PUT": ("PUT", HONEST + SMUGGLED, b"honest"),
}


@pytest.mark.parametrize("name", EXCESS)
async def test_excess_bytes_after_a_response_are_dropped(proxy_server, upstream, name):
    method, text, seen = EXCESS[name]
    upstream.scripts = [in_turn(text), answering(HONEST)]
    first, second = await proxy_server.connect(), await proxy_server.connect()
    first.send(call(method))

    answer = await first.answer(method if seen else "HEAD")
    second.send(call())
    following = await second.answer()

    assert answer.body == seen
    assert following.body == b"honest"
    assert len(upstream.sides) == 2
    # Nothing of it arrives on the client's own connection either.
    first.send(call())
    assert (await first.answer()).body == b"honest"


@pytest.mark.parametrize(
    "late",
    [SMUGGLED, SMUGGLED[:20], b"\r\n", b"\0", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["a response", "half a response", "a line break", "a null byte", "an interim response"],
)
async def test_data_on_an_idle_connection_closes_it(proxy_server, upstream, late):
    go = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(HONEST)
        await go.wait()
        await side.send(late)
        await side.until_gone()

    upstream.scripts = [script, answering(HONEST)]
    await proxy_server.ask(call())
    go.set()
    await upstream.until(lambda: upstream.open == 0)

    answer = await proxy_server.ask(call())

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2


@pytest.mark.parametrize("turns", range(4))
async def test_an_unrequested_response_is_not_used_for_the_next_call(proxy_server, upstream, turns):
    upstream.scripts = [in_turn(HONEST), answering(HONEST)]
    client = await proxy_server.connect()
    await proxy_server.ask(call())
    # It arrives before the next call is sent, or while that is being sent.
    upstream.sides[0].writer.write(SMUGGLED)
    after_reading(lambda: client.send(call()), turns)

    answer = await client.answer()

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2


async def test_a_client_never_gets_the_rest_of_another_clients_response(proxy_server, upstream):
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
    upstream.scripts = [in_turn(begun + b"s" * 1_000_000), answering(HONEST)]
    leaving = await proxy_server.connect(limit=1024)
    leaving.send(call())
    await leaving.exactly(b"HTTP/1.1")
    leaving.abort()
    await proxy_server.until_logged()

    answer = await proxy_server.ask(call())

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2
    await upstream.until(lambda: upstream.open == 1)
