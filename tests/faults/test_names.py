"""Host names that fail, change or resolve slowly; addresses that drop connections."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from support.black_hole import black_hole
from support.leaping_loop import leap
from support.names import UNKNOWN, changing, names, never
from support.raw_server import OK, answering
from support.serving import Outcome, call, outcome_of

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
async def test_an_unknown_host_name_is_an_error_after_all_attempts(start, upstream, method):
    names().names[NAME] = changing((V4,), UNKNOWN)
    proxy_server = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(502, "UPSTREAM_UNREACHABLE", attempts=3, arrived=0)
    assert asyncio.get_running_loop().time() - began < 2
    names().names[NAME] = changing((V4,))
    assert await outcome_of(proxy_server, upstream, call(method)) == Outcome(200)


async def test_a_lookup_that_hangs_times_out_and_is_not_repeated(start, upstream):
    names().names[NAME] = changing((V4,))
    proxy_server = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.2))
    names().names[NAME] = never
    before = len(names().lookups)
    began = asyncio.get_running_loop().time()

    answers = await asyncio.gather(*(proxy_server.ask(call()) for _ in range(30)))

    assert {(answer.status, answer.code) for answer in answers} == {(504, "UPSTREAM_TIMEOUT")}
    assert asyncio.get_running_loop().time() - began < 3
    # Each real lookup blocks a thread until the resolver gives up.
    assert len(names().lookups) - before == 1


async def test_calls_succeed_as_soon_as_a_lookup_completes(start, upstream):
    names().names[NAME] = changing((V4,))
    proxy_server = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.2))
    answer = asyncio.Event()

    async def slow() -> tuple[str, ...]:
        await answer.wait()
        return (V4,)

    names().names[NAME] = slow
    first = await outcome_of(proxy_server, upstream, call())
    answer.set()

    outcome = await outcome_of(proxy_server, upstream, call())

    assert first == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    assert outcome == Outcome(200)


async def test_a_new_connection_uses_the_current_address_of_the_host_name(start, upstream):
    upstream.scripts = [CLOSE]
    names().names[NAME] = changing((V4,), (V4,), (OTHER_V4,), (V4,))
    proxy_server = await start(base_url=url(upstream))

    outcomes = [await outcome_of(proxy_server, upstream, call()) for _ in range(2)]

    # The second call fails to connect first, and resolves the name again.
    assert outcomes == [Outcome(200), Outcome(200, attempts=2)]


async def test_a_busy_connection_is_replaced_after_a_while_to_follow_dns(start, upstream):
    names().names[NAME] = changing((V4,))
    proxy_server = await start(base_url=url(upstream))
    await proxy_server.ask(call())
    before = len(names().lookups)

    for _ in range(11):
        await leap(30)
        await proxy_server.ask(call())

    assert len(names().lookups) - before == 1
    assert len(upstream.sides) == 2


async def test_a_contended_connection_is_replaced_after_a_while_to_follow_dns(
    start, upstream, held
):
    names().names[NAME] = changing((V4,))
    patient = Timeouts(answer_s=1000, connect_s=1000, idle_s=1000)
    one = Upstream(connections=1)
    proxy_server = await start(base_url=url(upstream), upstream=one, timeouts=patient)
    clients = [await proxy_server.connect() for _ in range(2)]
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
            (V6, V4), marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
        ),
        (OTHER_V4, V4),
        (V4, OTHER_V4),
    ],
    ids=["IPv6 first", "the first of two", "the second of two"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_drops_connections_delays_a_call_briefly(
    start, upstream, method, addresses
):
    names().names[NAME] = changing((V4,), addresses)
    proxy_server = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    with black_hole(next(one for one in addresses if one != V4), upstream.port):
        outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(200)
    # RFC 8305 section 5: after 250 milliseconds, the next address is tried in parallel.
    assert asyncio.get_running_loop().time() - began < 1


async def test_an_address_that_refuses_connections_does_not_delay_a_call(start, upstream):
    names().names[NAME] = changing((V4,), (OTHER_V4, V4))
    proxy_server = await start(base_url=url(upstream))
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(200)
    assert asyncio.get_running_loop().time() - began < 0.25


async def test_if_every_address_drops_connections_the_timeout_applies(start, upstream):
    names().names[NAME] = changing((V4,), (OTHER_V4, "127.0.0.3"))
    proxy_server = await start(base_url=url(upstream), timeouts=Timeouts(connect_s=0.4))
    began = asyncio.get_running_loop().time()

    with ExitStack() as holes:
        for address in (OTHER_V4, "127.0.0.3"):
            holes.enter_context(black_hole(address, upstream.port))
        outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    assert 1.2 <= asyncio.get_running_loop().time() - began < 3
