"""Accepting from a socket that other worker processes accept from as well."""

import asyncio
import os
import socket
import ssl

import pytest
import pytest_asyncio
from support.reception import BOUND_S, Reception

from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.listeners.acceptor import Acceptor

resource = pytest.importorskip("resource", reason="Windows has no limit on file descriptors")

pytestmark = pytest.mark.asyncio


@pytest.fixture
def bound():
    """A listening socket without connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def connect(bound):
    """Opens a number of connections to the socket."""
    made = []

    def connecting(count):
        for _ in range(count):
            made.append(socket.create_connection(bound.getsockname()))
            made[-1].settimeout(BOUND_S)
        return made

    yield connecting
    for one in made:
        one.close()


@pytest_asyncio.fixture
async def accept(bound):
    """Starts to accept as one of several workers."""
    acceptors, receptions = [], []

    async def accepting(counts, number, tls=None):
        reception = Reception(counts, number)
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


async def test_a_connection_is_accepted(accept, connect):
    _, reception = await accept(ConnectionCounts(1), 1)

    (client,) = connect(1)

    await reception.until_made(1)
    assert await asyncio.to_thread(client.recv, 7) == b"welcome"


async def test_a_burst_is_divided_among_the_workers(accept, connect):
    counts = ConnectionCounts(2)
    (_, one), (_, other) = await accept(counts, 1), await accept(counts, 2)

    connect(40)

    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(one.until_made(18), other.until_made(18))


async def test_a_worker_that_is_ahead_accepts_everything_if_the_others_do_not(accept, connect):
    counts = ConnectionCounts(2)
    _, reception = await accept(counts, 1)
    counts.share(2)  # the other worker has started, and accepts nothing

    connect(100)

    await reception.until_made(100)


@pytest.mark.parametrize("ahead", [0, 1], ids=["the first", "the second"])
async def test_a_worker_that_is_ahead_leaves_the_next_connection_to_another(accept, connect, ahead):
    counts = ConnectionCounts(2)
    both = [(await accept(counts, number))[1] for number in (1, 2)]
    one, other = both[ahead], both[1 - ahead]
    one.share.count = 10

    connect(1)

    await other.until_made(1)
    assert one.made == 0


async def test_accepting_resumes_after_a_lack_of_file_descriptors(accept, connect):
    acceptor, reception = await accept(ConnectionCounts(1), 1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    connect(1)
    free = os.dup(0)
    os.close(free)

    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        for _ in range(3):  # the loop sees the connection, and cannot accept it
            await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    began = asyncio.get_running_loop().time()

    await reception.until_made(1)
    assert asyncio.get_running_loop().time() - began > 0.5
    assert acceptor.sockets


async def test_a_closed_acceptor_leaves_connections_to_others(accept, bound, connect):
    acceptor, reception = await accept(ConnectionCounts(1), 1)

    acceptor.close()
    acceptor.close()
    connect(1)

    taken, _ = await asyncio.to_thread(_accept, bound)
    taken.close()
    assert (reception.made, acceptor.sockets) == (0, ())


def _accept(bound):
    waiting = bound.dup()
    with waiting:
        waiting.setblocking(True)
        waiting.settimeout(BOUND_S)
        return waiting.accept()


async def test_a_client_that_does_not_use_tls_is_disconnected(accept, connect):
    _, reception = await accept(
        ConnectionCounts(1), 1, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    )

    (client,) = connect(1)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")

    received = await asyncio.to_thread(_rest, client)
    assert b"welcome" not in received
    assert reception.made == 0


def _rest(client):
    received = b""
    try:
        while piece := client.recv(1000):
            received += piece
    except ConnectionError:
        pass
    return received
