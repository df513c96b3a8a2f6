"""A tunnel between two connections, without a server."""

import asyncio
import socket

import pytest

from ovh_proxy.intercept.tunnel import Tunnel

BOUND_S = 5.0


def pair() -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for end in (one, other):
        end.setblocking(False)
    return one, other


async def transport_of(end: socket.socket) -> asyncio.Transport:
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=end)
    transport.pause_reading()
    return transport


async def receive_first_bytes(*, ends: bool) -> bytes:
    loop = asyncio.get_running_loop()
    (far, far_peer), (near, near_peer) = pair(), pair()
    far_peer.send(b"220 welcome\r\n")
    if ends:
        far_peer.close()
    tunnel = Tunnel(idle_s=BOUND_S)
    transport = await transport_of(near)

    await tunnel.open(far)
    for _ in range(20):  # the loop may read before the relay starts
        await asyncio.sleep(0)
    relaying = asyncio.ensure_future(tunnel.relay(transport))
    async with asyncio.timeout(BOUND_S):
        received = await loop.sock_recv(near_peer, 100)
    near_peer.close()
    far_peer.close()

    async with asyncio.timeout(BOUND_S):
        await relaying
    tunnel.close()
    await asyncio.sleep(0)
    return received


@pytest.mark.parametrize("ends", [False, True], ids=["and goes on", "and ends"])
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_bytes_that_the_remote_end_sends_first_are_not_lost(name, ends):
    # `run` serves on uvloop where there is one; the two differ in when they begin to read.
    loops = pytest.importorskip(name)

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        received = runner.run(receive_first_bytes(ends=ends))

    assert received == b"220 welcome\r\n"


@pytest.mark.asyncio
async def test_closing_a_tunnel_closes_both_connections():
    (far, far_peer), (near, near_peer) = pair(), pair()
    tunnel = Tunnel(idle_s=60.0)
    await tunnel.open(far)
    relaying = asyncio.ensure_future(tunnel.relay(await transport_of(near)))
    await asyncio.sleep(0)

    relaying.cancel()
    tunnel.close()
    await asyncio.wait([relaying], timeout=BOUND_S)
    await asyncio.sleep(0)

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(BOUND_S):
        received = [await loop.sock_recv(end, 1) for end in (near_peer, far_peer)]
    near_peer.close()
    far_peer.close()
    assert received == [b"", b""]
