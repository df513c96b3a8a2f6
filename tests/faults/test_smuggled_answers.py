"""An answer that nobody asked for never reaches another client: its connection is thrown away."""

import asyncio

import pytest
from support.front import call
from support.raw_server import Side, after_reading, answering
from support.scripts import in_turn

pytestmark = pytest.mark.asyncio

HONEST = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhonest\r\n0\r\n\r\n"
# What comes behind a whole answer, and what a client is to see of the answer itself.
EXCESS: dict[str, tuple[str, bytes, bytes]] = {
    "a second answer": ("GET", HONEST + SMUGGLED, b"honest"),
    "an answer behind chunks": ("GET", CHUNKED + SMUGGLED, b"honest"),
    "an answer in a body too long": ("GET", HONEST + b"!" * 3 + SMUGGLED, b"honest"),
    "an interim answer": ("GET", HONEST + b"HTTP/1.1 103 -\r\n\r\n", b"honest"),
    "half an answer": ("GET", HONEST + SMUGGLED[:-4], b"honest"),
    "garbage": ("GET", HONEST + b"\0\xff", b"honest"),
    "a body behind HEAD": ("HEAD", HONEST, b""),
    "an answer behind HEAD": ("HEAD", HONEST[:-6] + SMUGGLED, b""),
    "a body behind 204": ("GET", b"HTTP/1.1 204 -\r\n\r\n" + SMUGGLED, b""),
    "a body behind 304": ("GET", b"HTTP/1.1 304 -\r\nContent-Length: 8\r\n\r\n" + SMUGGLED, b""),
    "a body behind 205": ("GET", b"HTTP/1.1 205 -\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, b""),
    "a second answer to a PUT": ("PUT", HONEST + SMUGGLED, b"honest"),
}


@pytest.mark.parametrize("name", EXCESS)
async def test_what_comes_with_an_answer_is_dropped(front, upstream, name):
    method, text, seen = EXCESS[name]
    upstream.scripts = [in_turn(text), answering(HONEST)]
    first, second = await front.connect(), await front.connect()
    first.send(call(method))

    answer = await first.answer(method if seen else "HEAD")
    second.send(call())
    following = await second.answer()

    assert answer.body == seen
    assert following.body == b"honest"
    assert len(upstream.sides) == 2
    # Nothing of it comes on the client's own connection either.
    first.send(call())
    assert (await first.answer()).body == b"honest"


@pytest.mark.parametrize(
    "late",
    [SMUGGLED, SMUGGLED[:20], b"\r\n", b"\0", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["an answer", "half an answer", "a line break", "a nought", "an interim answer"],
)
async def test_what_comes_on_an_idle_connection_ends_it(front, upstream, late):
    tell = asyncio.Event()

    async def script(side: Side) -> None:
        await side.answer(HONEST)
        await tell.wait()
        await side.send(late)
        await side.until_gone()

    upstream.scripts = [script, answering(HONEST)]
    await front.ask(call())
    tell.set()
    await upstream.until(lambda: upstream.open == 0)

    answer = await front.ask(call())

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2


@pytest.mark.parametrize("turns", range(4))
async def test_an_answer_that_races_the_next_call_is_not_taken_for_its_own(front, upstream, turns):
    upstream.scripts = [in_turn(HONEST), answering(HONEST)]
    client = await front.connect()
    await front.ask(call())
    # It is there before the next call is, or comes as that one is on its way.
    upstream.sides[0].writer.write(SMUGGLED)
    after_reading(lambda: client.send(call()), turns)

    answer = await client.answer()

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2


async def test_a_client_is_never_given_the_rest_of_anothers_answer(front, upstream):
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
    upstream.scripts = [in_turn(begun + b"s" * 1_000_000), answering(HONEST)]
    leaving = await front.connect(limit=1024)
    leaving.send(call())
    await leaving.exactly(b"HTTP/1.1")
    leaving.abort()
    await front.until_logged()

    answer = await front.ask(call())

    assert answer.body == b"honest"
    assert len(upstream.sides) == 2
    await upstream.until(lambda: upstream.open == 1)
