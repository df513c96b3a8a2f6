"""Calls are retried only if nothing was sent, or if sending them twice is safe."""

import asyncio

import pytest
from support.names import UNKNOWN, changing, names
from support.raw_server import Side
from support.scripts import closing, in_turn, resetting
from support.serving import Outcome, call, outcome_of, profile_at, sample, store_of

from ovh_proxy.core.settings import Retries

pytestmark = pytest.mark.asyncio

SAFE = ("GET", "HEAD", "OPTIONS")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "PURGE")
RETRIES = 'ovh_proxy_retries_total{profile="personal"}'
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def half_an_answer(side: Side) -> None:
    await side.answer(b"HTTP/1.1 2")
    side.end()


# Nothing was sent.


@pytest.mark.parametrize("method", SAFE + UNSAFE)
async def test_a_refused_connection_is_retried_up_to_the_limit(start, upstream, method):
    proxy_server = await start()
    await upstream.stop()
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(502, "UPSTREAM_UNREACHABLE", attempts=3, arrived=0)
    # Two pauses with jitter: 0.05 to 0.1 seconds, then 0.1 to 0.2.
    assert 0.15 <= asyncio.get_running_loop().time() - began < 2
    assert await sample(proxy_server, RETRIES) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "fault", [UNKNOWN, ("127.0.0.2",)], ids=["the name is unknown", "the connection is refused"]
)
async def test_a_call_that_connects_at_a_later_attempt_arrives_once(start, upstream, method, fault):
    names().names["api.localhost"] = changing(("127.0.0.1",), fault, fault, ("127.0.0.1",))
    proxy_server = await start(base_url=f"http://api.localhost:{upstream.port}/1.0")

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(200, attempts=3)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_that_cannot_be_signed_yet_is_retried(start, upstream, method):
    names().names["api.localhost"] = changing(UNKNOWN, UNKNOWN, ("127.0.0.1",))
    other = profile_at(f"http://api.localhost:{upstream.port}/1.0", "other")
    proxy_server = await start(store=store_of(profile_at(f"{upstream.url}/1.0"), other))

    outcome = await outcome_of(proxy_server, upstream, call(method, target="/@other/me"))

    assert outcome == Outcome(200, attempts=3)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_time_request_on_a_stale_connection_is_retried(start, upstream, method):
    async def closes_on_the_question(side: Side) -> None:
        await side.answer(EMPTY)
        upstream.answers_own = False
        await side.request()
        upstream.answers_own = True
        side.end()

    upstream.scripts = [closes_on_the_question, in_turn(EMPTY)]
    other = profile_at(f"{upstream.url}/v2", "other")  # another clock, the same connections
    proxy_server = await start(store=store_of(profile_at(f"{upstream.url}/1.0"), other))
    await proxy_server.ask(call())

    outcome = await outcome_of(proxy_server, upstream, call(method, target="/@other/me"))

    # The other request that arrived is the one for the time.
    assert outcome == Outcome(200, attempts=2, arrived=2)


# A reused connection turns out to be closed.


@pytest.mark.parametrize("method", SAFE + UNSAFE)
@pytest.mark.parametrize("ending", [Side.end, Side.reset], ids=["an end", "a reset"])
async def test_a_connection_that_closed_while_idle_is_not_used(
    proxy_server, upstream, method, ending
):
    upstream.scripts = [in_turn(EMPTY), in_turn(EMPTY)]
    await proxy_server.ask(call())
    ending(upstream.sides[0])
    await upstream.until(lambda: upstream.open == 0)

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(200)


@pytest.mark.parametrize("method", SAFE + UNSAFE)
@pytest.mark.parametrize("script", [closing, resetting], ids=["an end", "a reset"])
async def test_a_call_whose_reused_connection_closes_is_retried_if_that_is_safe(
    proxy_server, upstream, method, script
):
    upstream.scripts = [in_turn(EMPTY, script), in_turn(EMPTY)]
    await proxy_server.ask(call())

    outcome = await outcome_of(proxy_server, upstream, call(method))

    again = Outcome(200, attempts=2, arrived=2)
    assert outcome == (again if method in SAFE else Outcome(502, "UPSTREAM_BROKEN"))
    assert await sample(proxy_server, RETRIES) == (method in SAFE)
    assert upstream.wrong_signatures() == []


async def keep_connections(proxy_server, upstream, count, *then):
    """Leaves idle connections, whose next requests meet `then`."""
    held = asyncio.Event()

    async def waits(side: Side) -> None:
        await side.request()
        await held.wait()
        await side.send(EMPTY)

    upstream.scripts = [in_turn(waits, *then)] * count + [in_turn(*[EMPTY] * 99)]
    calls = [asyncio.ensure_future(proxy_server.ask(call())) for _ in range(count)]
    await upstream.until(lambda: len(upstream.calls) == count)
    held.set()
    await asyncio.gather(*calls)


@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize("script", [closing, resetting], ids=["an end", "a reset"])
async def test_after_a_failover_no_safe_call_fails(proxy_server, upstream, count, script):
    await keep_connections(proxy_server, upstream, count, script)

    outcomes = [await outcome_of(proxy_server, upstream, call()) for _ in range(3)]

    assert outcomes == [Outcome(200, attempts=2, arrived=2), Outcome(200), Outcome(200)]


async def test_after_a_failover_one_call_that_is_not_safe_fails(proxy_server, upstream):
    await keep_connections(proxy_server, upstream, 10, resetting)

    outcomes = [await outcome_of(proxy_server, upstream, call("POST")) for _ in range(3)]

    assert outcomes == [Outcome(502, "UPSTREAM_BROKEN"), Outcome(200), Outcome(200)]


async def test_with_retries_disabled_a_stale_connection_is_not_replaced(start, upstream):
    proxy_server = await start(retries=Retries(attempts=1))
    await keep_connections(proxy_server, upstream, 1, resetting)

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(502, "UPSTREAM_BROKEN")


# RFC 9110 section 15.5.9: the server closes an idle connection with a 408.


@pytest.mark.parametrize("lines", [b"", b"Connection: close\r\n"], ids=["kept open", "closed"])
@pytest.mark.parametrize("method", SAFE + UNSAFE)
async def test_a_408_on_a_reused_connection_means_that_it_was_stale(
    proxy_server, upstream, method, lines
):
    timed_out = b"HTTP/1.1 408 X\r\n" + lines + b"Content-Length: 0\r\n\r\n"
    await keep_connections(proxy_server, upstream, 4, timed_out, EMPTY)

    outcomes = [await outcome_of(proxy_server, upstream, call(method)) for _ in range(2)]

    first = Outcome(200, attempts=2, arrived=2) if method in SAFE else Outcome(408)
    assert outcomes == [first, Outcome(200)]
    await upstream.until(lambda: upstream.open == 1)


async def test_a_408_on_a_new_connection_is_forwarded(proxy_server, upstream):
    upstream.scripts = [in_turn(b"HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n")]

    assert await outcome_of(proxy_server, upstream, call()) == Outcome(408)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("before", "script"),
    [(0, closing), (0, resetting), (1, half_an_answer)],
    ids=["a new connection ends", "a new connection is reset", "a reused one started to respond"],
)
async def test_a_call_that_may_have_arrived_is_not_retried(
    proxy_server, upstream, method, before, script
):
    upstream.scripts = [in_turn(*[EMPTY] * before, script), in_turn(EMPTY)]
    for _ in range(before):
        await proxy_server.ask(call())

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(502, "UPSTREAM_BROKEN")
