"""Where the names that tunnels are asked for lead, and where they lead in the next moment."""

import asyncio
import errno
import socket

import pytest
import pytest_asyncio
from support.names import UNKNOWN, changing, names, never

from ovh_proxy.core.errors import HostRefused, Overloaded, UpstreamTimeout, UpstreamUnreachable
from ovh_proxy.core.settings import TcpAddress, Timeouts, Upstream
from ovh_proxy.intercept.egress import EgressConnector

pytestmark = pytest.mark.asyncio

NAME = "mirror.example"
ALLOWED = "127.0.0.2"
PATIENCE = Timeouts(connect_s=0.2)


@pytest_asyncio.fixture
async def port():
    """Of a server at the address that stands for another machine's."""
    try:
        server = await asyncio.start_server(lambda _, writer: writer.close(), ALLOWED, 0)
    except OSError:
        pytest.skip(f"this system has no {ALLOWED}")
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest_asyncio.fixture
async def elsewhere():
    """Takes one address of this machine for another's, and all else as it is."""
    elsewhere = EgressConnector(Upstream(), PATIENCE, lambda _, where: where[0] == ALLOWED)
    yield elsewhere
    await elsewhere.close()


async def test_only_those_addresses_of_a_name_are_tried_that_may_be(elsewhere, port):
    names().names[NAME] = changing(("127.0.0.1", ALLOWED, "::1"))

    with await elsewhere.connect(TcpAddress(NAME, port)) as connected:
        assert connected.getpeername() == (ALLOWED, port)


async def test_a_name_that_leads_elsewhere_in_the_next_moment_is_not_asked_again(elsewhere, port):
    names().names[NAME] = changing((ALLOWED,), ("127.0.0.1",))

    with await elsewhere.connect(TcpAddress(NAME, port)) as connected:
        assert connected.getpeername() == (ALLOWED, port)
    assert names().lookups == [NAME]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1"]
)
async def test_a_name_of_this_machine_or_of_metadata_is_refused(port, address):
    names().names[NAME] = changing((address,))
    elsewhere = EgressConnector(Upstream(), PATIENCE)

    with pytest.raises(HostRefused, match="refused: it leads to this machine"):
        await elsewhere.connect(TcpAddress(NAME, port))


async def test_an_address_of_this_machine_is_refused_whatever_network_it_is_of():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    elsewhere = EgressConnector(Upstream(), PATIENCE)

    with pytest.raises(HostRefused, match="it leads to this machine"):
        await elsewhere.connect(TcpAddress(own, 9))


async def test_a_name_that_is_not_known_is_told(elsewhere):
    names().names[NAME] = changing(UNKNOWN)

    with pytest.raises(UpstreamUnreachable, match=r"mirror\.example does not resolve"):
        await elsewhere.connect(TcpAddress(NAME, 443))


async def test_a_name_that_is_not_answered_is_given_up(elsewhere):
    names().names[NAME] = never

    with pytest.raises(UpstreamTimeout, match="in time"):
        await elsewhere.connect(TcpAddress(NAME, 443))


async def test_where_nobody_listens_it_is_told(elsewhere, port):
    names().names[NAME] = changing((ALLOWED,))

    with pytest.raises(UpstreamUnreachable, match="refuses connections"):
        await elsewhere.connect(TcpAddress(NAME, 1))


async def test_a_machine_without_descriptors_is_too_busy(elsewhere):
    names().names[NAME] = changing(OSError(errno.EMFILE, "Too many open files"))

    with pytest.raises(Overloaded):
        await elsewhere.connect(TcpAddress(NAME, 443))
