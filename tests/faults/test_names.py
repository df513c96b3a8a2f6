"""A name that fails, changes or answers slowly; addresses that swallow connections."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from support.black_hole import black_hole
from support.front import Outcome, call, outcome_of
from support.leaping_loop import leap
from support.names import UNKNOWN, changing, names, never
from support.raw_server import OK, answering

from ovh_proxy.core.settings import Timeouts, Upstream

pytestmark = pytest.mark.asyncio

NAME = "api.localhost"
V4, OTHER_V4, V6 = "127.0.0.1", "127.0.0.2", "::1"
CLOSE = answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind((V6, 0))
    except OSError:
        return False
    return True


def url(upstream) -> str:
    return f"http://{NAME}:{upstream.port}/1.0"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_name_that_is_not_known_is_told_within_its_attempts(start, upstream, method):
    names().names[NAME] = changing((V4,), UNKNOWN)
    front = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(front, upstream, call(method))

    assert outcome == Outcome(502, "UPSTREAM_UNREACHABLE", attempts=3, arrived=0)
    assert asyncio.get_running_loop().time() - began < 2
    names().names[NAME] = changing((V4,))
    assert await outcome_of(front, upstream, call(method)) == Outcome(200)


async def test_a_name_that_is_not_answered_is_given_up_and_asked_for_once(start, upstream):
    names().names[NAME] = changing((V4,))
    front = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.2))
    names().names[NAME] = never
    before = len(names().lookups)
    began = asyncio.get_running_loop().time()

    answers = await asyncio.gather(*(front.ask(call()) for _ in range(30)))

    assert {(answer.status, answer.code) for answer in answers} == {(504, "UPSTREAM_TIMEOUT")}
    assert asyncio.get_running_loop().time() - began < 3
    # Each real lookup takes a thread until the resolver gives up, whatever we do.
    assert len(names().lookups) - before == 1


async def test_calls_go_on_as_soon_as_a_name_is_answered(start, upstream):
    names().names[NAME] = changing((V4,))
    front = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.2))
    answer = asyncio.Event()

    async def slow() -> tuple[str, ...]:
        await answer.wait()
        return (V4,)

    names().names[NAME] = slow
    first = await outcome_of(front, upstream, call())
    answer.set()

    outcome = await outcome_of(front, upstream, call())

    assert first == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    assert outcome == Outcome(200)


async def test_a_new_connection_goes_where_the_name_leads_now(start, upstream):
    upstream.scripts = [CLOSE]
    names().names[NAME] = changing((V4,), (V4,), (OTHER_V4,), (V4,))
    front = await start(base_url=url(upstream))

    outcomes = [await outcome_of(front, upstream, call()) for _ in range(2)]

    # The second finds nobody at first, and asks again.
    assert outcomes == [Outcome(200), Outcome(200, attempts=2)]


async def test_a_connection_in_constant_use_follows_its_name_in_time(start, upstream):
    names().names[NAME] = changing((V4,))
    front = await start(base_url=url(upstream))
    await front.ask(call())
    before = len(names().lookups)

    for _ in range(11):
        await leap(30)
        await front.ask(call())

    assert len(names().lookups) - before == 1
    assert len(upstream.sides) == 2


async def test_a_connection_that_others_wait_for_follows_its_name_in_time(start, upstream, held):
    names().names[NAME] = changing((V4,))
    patient = Timeouts(answer_s=1000, connect_s=1000, idle_s=1000)
    one = Upstream(connections=1)
    front = await start(base_url=url(upstream), upstream=one, timeouts=patient)
    clients = [await front.connect() for _ in range(2)]
    for client in clients:
        client.send(call())
    await upstream.until(lambda: len(upstream.calls) == 1)
    await leap(301)

    held.go.set()

    assert [(await client.answer()).status for client in clients] == [200, 200]
    assert len(upstream.sides) == 2


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(
            (V6, V4), marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
        ),
        (OTHER_V4, V4),
        (V4, OTHER_V4),
    ],
    ids=["IPv6 first", "the first of two", "the second of two"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_swallows_connections_costs_a_moment(
    start, upstream, method, addresses
):
    names().names[NAME] = changing((V4,), addresses)
    front = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    with black_hole(next(one for one in addresses if one != V4), upstream.port):
        outcome = await outcome_of(front, upstream, call(method))

    assert outcome == Outcome(200)
    # RFC 8305 section 5: 250 milliseconds until the next address is tried beside it.
    assert asyncio.get_running_loop().time() - began < 1


async def test_an_address_that_refuses_costs_nothing(start, upstream):
    names().names[NAME] = changing((V4,), (OTHER_V4, V4))
    front = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(front, upstream, call())

    assert outcome == Outcome(200)
    assert asyncio.get_running_loop().time() - began < 0.25


async def test_where_every_address_swallows_the_bound_holds(start, upstream):
    names().names[NAME] = changing((V4,), (OTHER_V4, "127.0.0.3"))
    front = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.4))
    began = asyncio.get_running_loop().time()

    with ExitStack() as holes:
        for address in (OTHER_V4, "127.0.0.3"):
            holes.enter_context(black_hole(address, upstream.port))
        outcome = await outcome_of(front, upstream, call())

    assert outcome == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    assert 1.2 <= asyncio.get_running_loop().time() - began < 3
