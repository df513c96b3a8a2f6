import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.leaping_loop import leap, run
from support.raw_server import OK, RawServer, Side, after_reading, answering, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import (
    Draining,
    Overloaded,
    OvhProxyError,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse

CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def get(server: RawServer, path: str = "/me", method: str = "GET") -> UpstreamRequest:
    return UpstreamRequest(method, server.url + path)


async def body_of(incoming: UpstreamResponse) -> bytes:
    pieces = []
    while piece := await within(incoming.read()):
        pieces.append(piece)
    return b"".join(pieces)


async def call(pool: Pool, server: RawServer, path: str = "/me") -> bytes:
    return await body_of(await within(pool.send(get(server, path))))


def targets(server: RawServer) -> list[str]:
    """What was asked for on the first connection."""
    return [head.split(b" ")[1].decode() for head in server.sides[0].heads]


class Gate:
    """A script that answers each request once it is let through."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers or (OK,)
        self._waiting = asyncio.Semaphore(0)
        self._then: Callable[[], object] | None = None
        self._turns = 0
        self.arrived = asyncio.Semaphore(0)

    async def __call__(self, side: Side) -> None:
        while True:
            await side.request()
            self.arrived.release()
            await self._waiting.acquire()
            side.writer.write(b"".join(self._answers))
            if self._then is not None:
                after_reading(self._then, self._turns)
                self._then = None

    def behind_the_answer(self, then: Callable[[], object], turns: int = 1) -> None:
        """Calls back right behind the reading of the next answer, or behind what that set off."""
        self._then, self._turns = then, turns

    def let_through(self, count: int = 1) -> None:
        for _ in range(count):
            self._waiting.release()

    async def holds(self, count: int) -> None:
        """Waits until so many more requests have come."""
        for _ in range(count):
            await within(self.arrived.acquire())


# Keeping connections.


@pytest.mark.asyncio
async def test_a_call_goes_out_on_the_connection_of_the_last(server: RawServer, pool: Pool) -> None:
    for _ in range(3):
        await call(pool, server)

    assert len(server.sides) == 1
    assert (pool.made, pool.reused) == (1, 2)


@pytest.mark.asyncio
async def test_calls_at_once_have_a_connection_each(server: RawServer, pool: Pool) -> None:
    bodies = await asyncio.gather(*(call(pool, server) for _ in range(5)))

    assert bodies == [b"ok"] * 5
    assert pool.made == len(server.sides) == 5


@pytest.mark.asyncio
async def test_origins_do_not_share_connections(server: RawServer, pool: Pool) -> None:
    async with RawServer() as other:
        await call(pool, server)
        await call(pool, other)

        assert (len(server.sides), len(other.sides)) == (1, 1)


@pytest.mark.asyncio
async def test_a_connection_opened_ahead_is_used_by_the_first_call(
    server: RawServer, pool: Pool
) -> None:
    await within(pool.warm(server.url + "/1.0"))

    await call(pool, server)

    assert (pool.made, pool.reused) == (1, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_has_closed_is_not_used(
    server: RawServer, pool: Pool, method: str
) -> None:
    await call(pool, server)
    server.sides[0].end_sending()

    incoming = await within(pool.send(get(server, method=method)))

    assert await body_of(incoming) == b"ok"
    assert pool.made == 2


@pytest.mark.asyncio
async def test_the_kept_connection_used_last_is_used_first(server: RawServer, pool: Pool) -> None:
    gates = Gate(), Gate()
    server.scripts = list(gates)
    calls = []
    for gate, path in zip(gates, ("/a", "/b"), strict=True):
        calls.append(asyncio.ensure_future(call(pool, server, path)))
        await gate.holds(1)
    for gate, calling in zip(gates, calls, strict=True):
        gate.let_through()
        await within(calling)
        gate.let_through()

    await call(pool, server, "/c")

    assert server.sides[1].heads[-1].startswith(b"GET /c ")


@pytest.mark.asyncio
async def test_an_idle_connection_is_closed_when_its_time_is_up(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(keep_alive_s=0.01)

    await call(pool, server)

    await server.until(lambda: server.open == 0)


def test_connections_are_watched_as_long_as_there_are_any() -> None:
    async def lives() -> list[int]:
        async with RawServer() as server:
            pool = Pool(Upstream(keep_alive_s=60.0), Timeouts())
            open_then = []
            for _ in range(2):
                await call(pool, server)
                await leap(59)
                open_then.append(server.open)
                await leap(2)
                await server.until(lambda: server.open == 0)
                await leap(10)  # nothing is there to be watched
            await pool.close()
            return open_then

    assert run(lives()) == [1, 1]


@pytest.mark.asyncio
async def test_a_connection_opened_ahead_is_closed_when_its_time_is_up(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(keep_alive_s=0.01)

    await within(pool.warm(server.url))

    await server.until(lambda: len(server.sides) == 1 and server.open == 0)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("word", "made"),
    [
        pytest.param(b"timeout=60", 1, id="long enough"),
        pytest.param(b"timeout=1", 2, id="as good as gone"),
        pytest.param(b"timeout=0", 2, id="not at all"),
        pytest.param(b"max=100", 1, id="no time named"),
    ],
)
async def test_a_connection_is_kept_no_longer_than_the_upstream_says(
    server: RawServer, pool: Pool, word: bytes, made: int
) -> None:
    server.scripts = [
        answering(b"HTTP/1.1 200 OK\r\nKeep-Alive: " + word + b"\r\nContent-Length: 2\r\n\r\nok")
    ]
    await call(pool, server)

    await call(pool, server)

    assert pool.made == made


# The limit, and who waits.


@pytest.mark.asyncio
async def test_there_are_never_more_connections_than_the_limit(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(connections=2)

    bodies = await asyncio.gather(*(call(pool, server) for _ in range(20)))

    assert bodies == [b"ok"] * 20
    assert len(server.sides) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["kept", "closed each time"])
async def test_those_who_wait_are_served_in_their_order(
    server: RawServer, make_pool: MakePool, answer: bytes
) -> None:
    server.scripts = [answering(answer)]
    pool = make_pool(connections=1)
    paths = [f"/{number}" for number in range(8)]

    await asyncio.gather(*(call(pool, server, path) for path in paths))

    assert [head.split(b" ")[1].decode() for head in server.heads] == paths


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["kept", "closed"])
async def test_a_newcomer_does_not_overtake_one_that_waits(
    server: RawServer, make_pool: MakePool, answer: bytes
) -> None:
    pool = make_pool(connections=1)
    calls: list[asyncio.Task[bytes]] = []

    async def first(side: Side) -> None:
        await side.request()
        calls.append(asyncio.ensure_future(call(pool, server, "/waits")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        side.writer.write(answer)
        after_reading(lambda: calls.append(asyncio.ensure_future(call(pool, server, "/newcomer"))))
        while True:
            await side.answer(OK)

    server.scripts = [first, answering(OK)]
    await call(pool, server, "/first")

    await within(asyncio.gather(*calls))
    await call(pool, server, "/last")
    await within(asyncio.gather(*calls))

    order = [head.split(b" ")[1] for head in server.heads]
    assert order == [b"/first", b"/waits", b"/newcomer", b"/last"]


@pytest.mark.asyncio
async def test_who_waits_too_long_for_a_connection_is_told_of_the_load(
    server: RawServer, make_pool: MakePool
) -> None:
    gate = Gate()
    server.scripts = [gate]
    pool = make_pool(connections=1, connect_s=0.05)
    first = asyncio.ensure_future(call(pool, server))
    await gate.holds(1)

    with pytest.raises(Overloaded) as refused:
        await within(pool.send(get(server)))

    assert refused.value.retry_after == 1
    gate.let_through(2)
    assert await within(first) == b"ok"
    assert await call(pool, server) == b"ok"
    assert len(server.heads) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "turns"),
    [
        pytest.param(OK, 0, id="a connection, just before"),
        pytest.param(OK, 1, id="a connection"),
        pytest.param(CLOSING, 1, id="the place of one, just before"),
        pytest.param(CLOSING, 2, id="the place of one"),
    ],
)
async def test_what_is_given_to_one_that_leaves_at_that_moment_goes_to_the_next(
    server: RawServer, make_pool: MakePool, answer: bytes, turns: int
) -> None:
    pool = make_pool(connections=1)
    gate = Gate(answer)
    server.scripts = [gate]
    calls = []
    for path in ("/first", "/leaves", "/stays"):
        calls.append(asyncio.ensure_future(call(pool, server, path)))
        await asyncio.sleep(0)
    await gate.holds(1)
    gate.behind_the_answer(calls[1].cancel, turns)
    gate.let_through(2)

    await within(asyncio.wait(calls))

    assert calls[1].cancelled()
    assert (calls[0].result(), calls[2].result()) == (b"ok", b"ok")
    assert [head.split(b" ")[1] for head in server.heads] == [b"/first", b"/stays"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "turns"),
    [
        pytest.param(OK, 1, id="a connection"),
        pytest.param(CLOSING, 2, id="the place of one"),
    ],
)
async def test_what_is_given_to_one_that_leaves_at_that_moment_is_free_again(
    server: RawServer, make_pool: MakePool, answer: bytes, turns: int
) -> None:
    pool = make_pool(connections=1)
    gate = Gate(answer)
    server.scripts = [gate]
    first = asyncio.ensure_future(call(pool, server, "/first"))
    issuer = asyncio.ensure_future(call(pool, server, "/leaves"))
    await gate.holds(1)
    gate.behind_the_answer(issuer.cancel, turns)
    gate.let_through(2)
    await within(asyncio.wait([first, issuer]))

    body = await call(pool, server)

    assert issuer.cancelled()
    assert body == b"ok"


@pytest.mark.asyncio
async def test_one_that_leaves_as_its_answer_comes_does_not_hurt_who_has_the_connection_next(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(connections=1)
    gate = Gate()
    server.scripts = [gate]
    issuer = asyncio.ensure_future(pool.send(get(server, "/leaves")))
    following = asyncio.ensure_future(call(pool, server, "/next"))
    await gate.holds(1)
    gate.behind_the_answer(issuer.cancel)
    gate.let_through()
    await asyncio.wait([issuer])
    gate.let_through()

    body = await within(following)

    assert issuer.cancelled()
    assert body == b"ok"
    assert targets(server) == ["/leaves", "/next"]


@pytest.mark.asyncio
async def test_a_connection_with_more_behind_its_answer_is_not_handed_to_one_that_waits(
    server: RawServer, make_pool: MakePool
) -> None:
    # As much as one read takes, so that what follows is still unread when the answer is whole.
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n"
    padded = start.replace(b"OK", b"O" * (65_536 - 65_000 - len(start) + 2)) + b"a" * 65_000
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    pool = make_pool(connections=1)
    gate = Gate(padded + smuggled)
    server.scripts = [gate, answering(OK)]
    calls = [asyncio.ensure_future(call(pool, server, path)) for path in ("/a", "/b", "/c")]
    await gate.holds(1)

    gate.let_through()

    assert await within(asyncio.gather(*calls)) == [b"a" * 65_000, b"ok", b"ok"]
    # Who was given the bad one keeps its place.
    assert [head.split(b" ")[1] for head in server.heads] == [b"/a", b"/b", b"/c"]


# Nothing leaks.


BEHAVIOURS = {
    "answers": OK,
    "closes": CLOSING,
    "says more": OK + b"HTTP/1.1 200 OK\r\n",
    "garbage": b"\0\0\0\0",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "cuts": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "hangs": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "is silent": b"",
    "fills": b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"a" * 400_000,
    "does not end": b"HTTP/1.1 200 OK\r\n\r\nsome",
}


class Moody:
    """An upstream of changing moods, until it is calm and holds all that comes."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.calm = Gate()
        self.is_calm = False

    async def __call__(self, side: Side) -> None:
        while True:
            await side.request()
            if self.is_calm:
                self.calm.arrived.release()
                await side.until_gone()
            mood = self._chance.choice(tuple(BEHAVIOURS))
            if self._chance.random() < 0.3:
                await asyncio.sleep(0)
            await side.send(BEHAVIOURS[mood])
            if mood in ("closes", "cuts", "garbage"):
                side.end()
            elif mood == "hangs" and self._chance.random() < 0.5:
                side.reset()


async def fickle(pool: Pool, server: RawServer, chance: random.Random) -> None:
    """A call that may fail, or be given up at any moment."""
    try:
        incoming = await pool.send(get(server, method=chance.choice(("GET", "HEAD", "POST"))))
    except OvhProxyError:
        return
    try:
        for _ in range(chance.randrange(4)):
            await incoming.read()
    except UpstreamFailed:
        return
    finally:
        incoming.abandon()


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(6))
async def test_after_any_mix_of_failures_all_connections_are_to_be_had(
    server: RawServer, make_pool: MakePool, seed: int
) -> None:
    chance = random.Random(seed)
    moody = Moody(chance)
    server.scripts = [moody]
    # The call that finds no connection gives up well before those that hold one.
    pool = make_pool(connections=3, answer_s=0.7, idle_s=0.2, connect_s=0.2)
    calls = [asyncio.ensure_future(fickle(pool, server, chance)) for _ in range(60)]
    while not all(calling.done() for calling in calls):
        unfinished = [calling for calling in calls if not calling.done()]
        if chance.random() < 0.4:
            chance.choice(unfinished).cancel()
        await asyncio.wait(unfinished, timeout=0.002)
    moody.is_calm = True

    held = [asyncio.ensure_future(pool.send(get(server))) for _ in range(3)]
    await moody.calm.holds(3)

    with pytest.raises(Overloaded):
        await within(pool.send(get(server)))
    for calling in held:
        calling.cancel()
    await asyncio.wait(held)


# Failures to connect.


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full, so that the next one hangs."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            filling = sockets.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.asyncio
async def test_a_connection_that_does_not_stand_in_time_is_a_timeout(
    make_pool: MakePool, deaf_port: int
) -> None:
    pool = make_pool(connect_s=0.05)

    with pytest.raises(
        UpstreamTimeout, match=r"no connection to 127\.0\.0\.1:[0-9]+ in time"
    ) as failed:
        await within(pool.send(UpstreamRequest("GET", f"http://127.0.0.1:{deaf_port}/")))

    assert failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_a_port_that_refuses_is_unreachable(pool: Pool, refused_port: int) -> None:
    with pytest.raises(UpstreamUnreachable, match="refuses connections") as failed:
        await within(pool.send(UpstreamRequest("POST", f"http://127.0.0.1:{refused_port}/")))

    assert failed.value.nothing_arrived


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    ["api.ovh.invalid", f"{'a' * 64}.invalid"],
    ids=["unknown", "a label too long for DNS"],
)
async def test_a_name_that_does_not_resolve_is_unreachable(pool: Pool, host: str) -> None:
    with pytest.raises(UpstreamUnreachable, match="does not resolve") as failed:
        await within(pool.send(UpstreamRequest("GET", f"http://{host}/")))

    assert failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_an_address_that_cannot_be_used_is_unreachable(pool: Pool) -> None:
    # RFC 5737 has no route to broadcast over TCP: the system refuses at once.
    with pytest.raises(UpstreamUnreachable, match=r"no connection to 255\.255\.255\.255"):
        await within(pool.send(UpstreamRequest("GET", "http://255.255.255.255/")))


@pytest.mark.asyncio
async def test_opening_a_connection_ahead_fails_as_a_call_does(
    pool: Pool, refused_port: int
) -> None:
    with pytest.raises(UpstreamUnreachable):
        await within(pool.warm(f"http://127.0.0.1:{refused_port}"))


@pytest.mark.asyncio
async def test_failures_to_connect_give_their_places_back(
    make_pool: MakePool, refused_port: int
) -> None:
    pool = make_pool(connections=1)
    outgoing = UpstreamRequest("GET", f"http://127.0.0.1:{refused_port}/")

    failures = await asyncio.gather(
        *(within(pool.send(outgoing)) for _ in range(5)), return_exceptions=True
    )

    assert [type(failure) for failure in failures] == [UpstreamUnreachable] * 5


@pytest.mark.asyncio
async def test_a_call_cancelled_while_it_connects_gives_its_place_back(
    make_pool: MakePool, deaf_port: int
) -> None:
    pool = make_pool(connections=1, connect_s=0.3)
    outgoing = UpstreamRequest("GET", f"http://127.0.0.1:{deaf_port}/")
    first = asyncio.ensure_future(pool.send(outgoing))
    second = asyncio.ensure_future(pool.send(outgoing))
    await asyncio.sleep(0)

    first.cancel()
    await within(asyncio.wait([first, second]))

    # Not `Overloaded`: it had a place, and tried.
    assert isinstance(second.exception(), UpstreamTimeout)


@pytest.mark.asyncio
async def test_an_upstream_that_hangs_up_at_once_fails_the_call(
    server: RawServer, pool: Pool
) -> None:
    async def script(side: Side) -> None:
        side.reset()

    server.scripts = [script]

    with pytest.raises(UpstreamFailed):
        await within(pool.send(get(server)))


# The end.


@pytest.mark.asyncio
async def test_closing_ends_idle_connections(server: RawServer, pool: Pool) -> None:
    await call(pool, server)

    await pool.close()

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_closing_fails_calls_under_way_and_those_that_wait(
    server: RawServer, make_pool: MakePool
) -> None:
    gate = Gate()
    server.scripts = [gate]
    pool = make_pool(connections=1)
    calls = [asyncio.ensure_future(pool.send(get(server))) for _ in range(4)]
    await gate.holds(1)

    await pool.close()
    await within(asyncio.wait(calls))

    assert isinstance(calls[0].exception(), UpstreamFailed)
    assert [type(calling.exception()) for calling in calls[1:]] == [Draining] * 3
    assert len(server.sides) == 1


@pytest.mark.asyncio
async def test_one_that_leaves_as_the_pool_closes_hands_no_closed_connection_on(
    server: RawServer, make_pool: MakePool
) -> None:
    gate = Gate()
    server.scripts = [gate]
    pool = make_pool(connections=1)
    calls = [asyncio.ensure_future(pool.send(get(server))) for _ in range(3)]
    await gate.holds(1)
    closing = pool.close()

    def close_and_leave() -> None:
        closing.send(None)  # as far as it goes in this turn of the loop
        calls[1].cancel()

    gate.behind_the_answer(close_and_leave)
    gate.let_through()
    await within(asyncio.wait(calls))

    assert calls[1].cancelled()
    assert isinstance(calls[2].exception(), Draining)
    closing.close()


@pytest.mark.asyncio
async def test_a_connection_that_stands_only_after_closing_is_closed(
    server: RawServer, pool: Pool
) -> None:
    calling = asyncio.ensure_future(pool.send(get(server)))
    await asyncio.sleep(0)

    await pool.close()
    await within(asyncio.wait([calling]))

    assert isinstance(calling.exception(), UpstreamUnreachable)
    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_closed_pool_opens_nothing(server: RawServer, pool: Pool) -> None:
    await pool.close()

    with pytest.raises(Draining):
        await within(pool.send(get(server)))

    assert server.sides == []
