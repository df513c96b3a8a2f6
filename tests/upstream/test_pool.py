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
    """The targets of the requests on the first connection."""
    return [head.split(b" ")[1].decode() for head in server.sides[0].heads]


class Gate:
    """A script that answers each request when the test allows it."""

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
        """Calls back right after the next response is read, or after its callbacks."""
        self._then, self._turns = then, turns

    def let_through(self, count: int = 1) -> None:
        for _ in range(count):
            self._waiting.release()

    async def holds(self, count: int) -> None:
        """Waits for this many more requests."""
        for _ in range(count):
            await within(self.arrived.acquire())


# Idle connections.


@pytest.mark.asyncio
async def test_a_call_reuses_the_connection_of_the_previous_one(
    server: RawServer, pool: Pool
) -> None:
    for _ in range(3):
        await call(pool, server)

    assert len(server.sides) == 1
    assert (pool.made, pool.reused) == (1, 2)


@pytest.mark.asyncio
async def test_concurrent_calls_have_a_connection_each(server: RawServer, pool: Pool) -> None:
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
async def test_a_warm_connection_is_used_by_the_first_call(server: RawServer, pool: Pool) -> None:
    await within(pool.warm(server.url + "/1.0"))

    await call(pool, server)

    assert (pool.made, pool.reused) == (1, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_closed_idle_connection_is_not_used(
    server: RawServer, pool: Pool, method: str
) -> None:
    await call(pool, server)
    server.sides[0].end_sending()

    incoming = await within(pool.send(get(server, method=method)))

    assert await body_of(incoming) == b"ok"
    assert pool.made == 2


@pytest.mark.asyncio
async def test_a_408_to_a_token_request_on_a_kept_connection_is_a_stale_connection(
    server: RawServer, pool: Pool
) -> None:
    async def times_out(side: Side) -> None:
        await side.answer(OK)
        await side.answer(b"HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n")
        await side.until_gone()

    server.scripts = [times_out]
    await call(pool, server)

    with pytest.raises(UpstreamFailed) as caught:
        await within(pool.send(get(server, method="POST")))

    assert caught.value.on_kept_connection
    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_the_most_recently_used_connection_is_used_first(
    server: RawServer, pool: Pool
) -> None:
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
async def test_an_idle_connection_is_closed_after_the_keep_alive_time(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(keep_alive_s=0.01)

    await call(pool, server)

    await server.until(lambda: server.open == 0)


def test_connections_are_swept_as_long_as_there_are_any() -> None:
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
                await leap(10)  # no connection to sweep
            await pool.close()
            return open_then

    assert run(lives()) == [1, 1]


@pytest.mark.asyncio
async def test_a_warm_connection_is_closed_after_the_keep_alive_time(
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
        pytest.param(b"timeout=1", 2, id="almost expired"),
        pytest.param(b"timeout=0", 2, id="zero"),
        pytest.param(b"max=100", 1, id="no timeout"),
    ],
)
async def test_a_connection_is_idle_no_longer_than_the_upstream_allows(
    server: RawServer, pool: Pool, word: bytes, made: int
) -> None:
    server.scripts = [
        answering(b"HTTP/1.1 200 OK\r\nKeep-Alive: " + word + b"\r\nContent-Length: 2\r\n\r\nok")
    ]
    await call(pool, server)

    await call(pool, server)

    assert pool.made == made


# The limit, and waiting calls.


@pytest.mark.asyncio
async def test_there_are_never_more_connections_than_the_limit(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(connections=2)

    bodies = await asyncio.gather(*(call(pool, server) for _ in range(20)))

    assert bodies == [b"ok"] * 20
    assert len(server.sides) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("response", [OK, CLOSING], ids=["kept", "closed each time"])
async def test_waiting_calls_are_served_in_order(
    server: RawServer, make_pool: MakePool, response: bytes
) -> None:
    server.scripts = [answering(response)]
    pool = make_pool(connections=1)
    paths = [f"/{number}" for number in range(8)]

    await asyncio.gather(*(call(pool, server, path) for path in paths))

    assert [head.split(b" ")[1].decode() for head in server.heads] == paths


@pytest.mark.asyncio
@pytest.mark.parametrize("response", [OK, CLOSING], ids=["kept", "closed"])
async def test_a_new_call_does_not_overtake_a_waiting_one(
    server: RawServer, make_pool: MakePool, response: bytes
) -> None:
    pool = make_pool(connections=1)
    calls: list[asyncio.Task[bytes]] = []

    async def first(side: Side) -> None:
        await side.request()
        calls.append(asyncio.ensure_future(call(pool, server, "/waits")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        side.writer.write(response)
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
async def test_a_call_that_waits_too_long_for_a_connection_is_overloaded(
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
    ("response", "turns"),
    [
        pytest.param(OK, 0, id="a connection, just before"),
        pytest.param(OK, 1, id="a connection"),
        pytest.param(CLOSING, 1, id="a free slot, just before"),
        pytest.param(CLOSING, 2, id="a free slot"),
    ],
)
async def test_a_connection_given_to_a_cancelled_call_goes_to_the_next(
    server: RawServer, make_pool: MakePool, response: bytes, turns: int
) -> None:
    pool = make_pool(connections=1)
    gate = Gate(response)
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
    ("response", "turns"),
    [
        pytest.param(OK, 1, id="a connection"),
        pytest.param(CLOSING, 2, id="a free slot"),
    ],
)
async def test_a_connection_given_to_a_cancelled_call_is_free_again(
    server: RawServer, make_pool: MakePool, response: bytes, turns: int
) -> None:
    pool = make_pool(connections=1)
    gate = Gate(response)
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
async def test_a_call_cancelled_as_its_response_arrives_does_not_affect_the_next(
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
async def test_a_connection_with_extra_bytes_is_not_given_to_a_waiting_call(
    server: RawServer, make_pool: MakePool
) -> None:
    # Exactly one read, so that the extra bytes are still unread when the response is complete.
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
    # The call that was given the bad connection keeps its turn.
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


class FlakyUpstream:
    """An upstream that fails at random, until `calm`; then it holds all requests."""

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


async def unreliable_call(pool: Pool, server: RawServer, chance: random.Random) -> None:
    """A call that may fail or be cancelled at any time."""
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
async def test_all_connections_are_available_after_any_mix_of_failures(
    server: RawServer, make_pool: MakePool, seed: int
) -> None:
    chance = random.Random(seed)
    moody = FlakyUpstream(chance)
    server.scripts = [moody]
    # The call without a connection times out well before those that hold one.
    pool = make_pool(connections=3, answer_s=0.7, idle_s=0.2, connect_s=0.2)
    calls = [asyncio.ensure_future(unreliable_call(pool, server, chance)) for _ in range(60)]
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
def full_port() -> Iterator[int]:
    """A port with a full backlog, so that the next connection hangs."""
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
    """A port that is bound but not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.asyncio
async def test_a_slow_connection_attempt_times_out(make_pool: MakePool, full_port: int) -> None:
    pool = make_pool(connect_s=0.05)

    with pytest.raises(
        UpstreamTimeout, match=r"no connection to 127\.0\.0\.1:[0-9]+ in time"
    ) as failed:
        await within(pool.send(UpstreamRequest("GET", f"http://127.0.0.1:{full_port}/")))

    assert failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_a_refused_connection_is_unreachable(pool: Pool, refused_port: int) -> None:
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
    # RFC 5737 has no route to broadcast over TCP: the system fails immediately.
    with pytest.raises(UpstreamUnreachable, match=r"no connection to 255\.255\.255\.255"):
        await within(pool.send(UpstreamRequest("GET", "http://255.255.255.255/")))


@pytest.mark.asyncio
async def test_warming_fails_like_a_call(pool: Pool, refused_port: int) -> None:
    with pytest.raises(UpstreamUnreachable):
        await within(pool.warm(f"http://127.0.0.1:{refused_port}"))


@pytest.mark.asyncio
async def test_failed_connection_attempts_free_their_slots(
    make_pool: MakePool, refused_port: int
) -> None:
    pool = make_pool(connections=1)
    outgoing = UpstreamRequest("GET", f"http://127.0.0.1:{refused_port}/")

    failures = await asyncio.gather(
        *(within(pool.send(outgoing)) for _ in range(5)), return_exceptions=True
    )

    assert [type(failure) for failure in failures] == [UpstreamUnreachable] * 5


@pytest.mark.asyncio
async def test_a_call_cancelled_while_it_connects_frees_its_slot(
    make_pool: MakePool, full_port: int
) -> None:
    pool = make_pool(connections=1, connect_s=0.3)
    outgoing = UpstreamRequest("GET", f"http://127.0.0.1:{full_port}/")
    first = asyncio.ensure_future(pool.send(outgoing))
    second = asyncio.ensure_future(pool.send(outgoing))
    await asyncio.sleep(0)

    first.cancel()
    await within(asyncio.wait([first, second]))

    # Not `Overloaded`: it had a slot and tried to connect.
    assert isinstance(second.exception(), UpstreamTimeout)


@pytest.mark.asyncio
async def test_an_upstream_that_closes_at_once_fails_the_call(
    server: RawServer, pool: Pool
) -> None:
    async def script(side: Side) -> None:
        side.reset()

    server.scripts = [script]

    with pytest.raises(UpstreamFailed):
        await within(pool.send(get(server)))


# Closing.


@pytest.mark.asyncio
async def test_closing_ends_idle_connections(server: RawServer, pool: Pool) -> None:
    await call(pool, server)

    await pool.close()

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_closing_fails_running_and_waiting_calls(
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
async def test_a_call_cancelled_as_the_pool_closes_passes_on_no_closed_connection(
    server: RawServer, make_pool: MakePool
) -> None:
    gate = Gate()
    server.scripts = [gate]
    pool = make_pool(connections=1)
    calls = [asyncio.ensure_future(pool.send(get(server))) for _ in range(3)]
    await gate.holds(1)
    closing = pool.close()

    def close_and_leave() -> None:
        closing.send(None)  # runs until its first await
        calls[1].cancel()

    gate.behind_the_answer(close_and_leave)
    gate.let_through()
    await within(asyncio.wait(calls))

    assert calls[1].cancelled()
    assert isinstance(calls[2].exception(), Draining)
    closing.close()


@pytest.mark.asyncio
async def test_a_connection_that_opens_after_closing_is_closed(
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
