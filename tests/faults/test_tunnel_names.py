"""The addresses of host names in tunnels, also if they change between lookups."""

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
TIMEOUTS = Timeouts(connect_s=0.2)


@pytest_asyncio.fixture
async def port():
    """The port of a server at an address that represents another machine."""
    try:
        server = await asyncio.start_server(lambda _, writer: writer.close(), ALLOWED, 0)
    except OSError:
        pytest.skip(f"this system has no {ALLOWED}")
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest_asyncio.fixture
async def connector():
    """A connector that treats one address of this machine as another machine's."""
    connector = EgressConnector(Upstream(), TIMEOUTS, lambda _, where: where[0] == ALLOWED)
    yield connector
    await connector.close()


async def test_only_allowed_addresses_of_a_host_name_are_tried(connector, port):
    names().names[NAME] = changing(("127.0.0.1", ALLOWED, "::1"))

    with await connector.connect(TcpAddress(NAME, port)) as connected:
        assert connected.getpeername() == (ALLOWED, port)


async def test_a_host_name_is_resolved_once_so_that_it_cannot_change(connector, port):
    names().names[NAME] = changing((ALLOWED,), ("127.0.0.1",))

    with await connector.connect(TcpAddress(NAME, port)) as connected:
        assert connected.getpeername() == (ALLOWED, port)
    assert names().lookups == [NAME]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1"]
)
async def test_a_host_name_of_this_machine_or_of_metadata_is_rejected(port, address):
    names().names[NAME] = changing((address,))
    connector = EgressConnector(Upstream(), TIMEOUTS)

    with pytest.raises(HostRefused, match="refused: it leads to this machine"):
        await connector.connect(TcpAddress(NAME, port))


async def test_every_address_of_this_machine_is_rejected():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    connector = EgressConnector(Upstream(), TIMEOUTS)

    with pytest.raises(HostRefused, match="it leads to this machine"):
        await connector.connect(TcpAddress(own, 9))


async def test_an_unknown_host_name_is_reported(connector):
    names().names[NAME] = changing(UNKNOWN)

    with pytest.raises(UpstreamUnreachable, match=r"mirror\.example:443 does not resolve"):
        await connector.connect(TcpAddress(NAME, 443))


async def test_a_lookup_that_hangs_times_out(connector):
    names().names[NAME] = never

    with pytest.raises(UpstreamTimeout, match="in time"):
        await connector.connect(TcpAddress(NAME, 443))


async def test_a_refused_connection_is_reported(connector, port):
    names().names[NAME] = changing((ALLOWED,))

    with pytest.raises(UpstreamUnreachable, match="refuses connections"):
        await connector.connect(TcpAddress(NAME, 1))


async def test_a_machine_without_file_descriptors_is_overloaded(connector):
    names().names[NAME] = changing(OSError(errno.EMFILE, "Too many open files"))

    with pytest.raises(Overloaded):
        await connector.connect(TcpAddress(NAME, 443))
