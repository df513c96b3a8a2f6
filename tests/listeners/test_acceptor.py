"""Accepting from a socket that other processes accept from as well."""

import asyncio
import os
import socket
import ssl

import pytest
import pytest_asyncio
from support.reception import BOUND_S, Reception

from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.listeners.acceptor import Acceptor

resource = pytest.importorskip("resource", reason="Windows has no limit of descriptors")

pytestmark = pytest.mark.asyncio


@pytest.fixture
def bound():
    """A socket that listens, and has no connection yet."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def callers(bound):
    """Connects to the socket, so many times."""
    made = []

    def call(count):
        for _ in range(count):
            made.append(socket.create_connection(bound.getsockname()))
            made[-1].settimeout(BOUND_S)
        return made

    yield call
    for one in made:
        one.close()


@pytest_asyncio.fixture
async def accept(bound):
    """Begins to accept as one of several workers."""
    acceptors, receptions = [], []

    async def accepting(shares, number, tls=None):
        reception = Reception(shares, number)
        times = (None, None) if tls is None else (BOUND_S, BOUND_S)
        acceptor = Acceptor(bound.dup(), reception.share, reception.protocol, tls, *times)
        await acceptor.start_serving()
        acceptors.append(acceptor)
        receptions.append(reception)
        return acceptor, reception

    yield accepting
    for acceptor in acceptors:
        acceptor.close()
    for reception in receptions:
        for transport in reception.transports:
            transport.abort()
    await asyncio.sleep(0)


async def test_who_calls_is_taken_in(accept, callers):
    _, reception = await accept(ConnectionCounts(1), 1)

    (caller,) = callers(1)

    await reception.until_made(1)
    assert await asyncio.to_thread(caller.recv, 7) == b"welcome"


async def test_a_burst_is_divided(accept, callers):
    shares = ConnectionCounts(2)
    (_, one), (_, other) = await accept(shares, 1), await accept(shares, 2)

    callers(40)

    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(one.until_made(18), other.until_made(18))


async def test_a_worker_that_is_ahead_takes_all_when_nobody_else_does(accept, callers):
    shares = ConnectionCounts(2)
    _, reception = await accept(shares, 1)
    shares.share(2)  # it has begun, and takes nobody

    callers(100)

    await reception.until_made(100)


@pytest.mark.parametrize("ahead", [0, 1], ids=["the first", "the second"])
async def test_a_worker_that_is_ahead_leaves_the_next_one_to_another(accept, callers, ahead):
    shares = ConnectionCounts(2)
    both = [(await accept(shares, number))[1] for number in (1, 2)]
    one, other = both[ahead], both[1 - ahead]
    one.share.count = 10

    callers(1)

    await other.until_made(1)
    assert one.made == 0


async def test_without_descriptors_it_tries_again_later(accept, callers):
    acceptor, reception = await accept(ConnectionCounts(1), 1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    callers(1)
    free = os.dup(0)
    os.close(free)

    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        for _ in range(3):  # the loop sees the caller, and cannot take it
            await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    began = asyncio.get_running_loop().time()

    await reception.until_made(1)
    assert asyncio.get_running_loop().time() - began > 0.5
    assert acceptor.sockets


async def test_a_closed_one_leaves_callers_to_others(accept, bound, callers):
    acceptor, reception = await accept(ConnectionCounts(1), 1)

    acceptor.close()
    acceptor.close()
    callers(1)

    taken, _ = await asyncio.to_thread(_accept, bound)
    taken.close()
    assert (reception.made, acceptor.sockets) == (0, ())


def _accept(bound):
    waiting = bound.dup()
    with waiting:
        waiting.setblocking(True)
        waiting.settimeout(BOUND_S)
        return waiting.accept()


async def test_a_caller_that_speaks_no_tls_costs_nothing(accept, callers):
    _, reception = await accept(
        ConnectionCounts(1), 1, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    )

    (caller,) = callers(1)
    caller.sendall(b"GET / HTTP/1.1\r\n\r\n")

    said = await asyncio.to_thread(_rest, caller)
    assert b"welcome" not in said
    assert reception.made == 0


def _rest(caller):
    said = b""
    try:
        while piece := caller.recv(1000):
            said += piece
    except ConnectionError:
        pass
    return said
