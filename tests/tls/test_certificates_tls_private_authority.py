"""A private `client_ca`, accepted alike by every version of Python."""

import asyncio
import ssl
from pathlib import Path

import pytest
from support.authorities import Firm, make_firm
from support.certificates import make_pair

from ovh_proxy.core.settings import Listener, TcpAddress, TlsFiles

LOOPBACK = TcpAddress("127.0.0.1", 0)
GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Firm:
    """Private authorities."""
    return make_firm(tmp_path_factory.mktemp("firm"))


def listener(tmp_path: Path, client_ca: Path) -> Listener:
    own = str(make_pair(tmp_path / "own.pem").path)
    return Listener(LOOPBACK, tls=TlsFiles(own, own, str(client_ca)))


async def read_response(port: int, context: ssl.SSLContext) -> bytes:
    """Returns the status line; empty if the client was rejected."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(GET)
            received = await reader.read()
    except (ssl.SSLError, ConnectionError):
        return b""
    writer.transport.abort()
    return received[:15]


def showing(firm: Firm, who: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return getattr(firm, who).used_by(context)


@pytest.mark.asyncio
@pytest.mark.parametrize(("authority", "who"), [("root", "of_root"), ("beneath", "of_beneath")])
async def test_clients_of_a_private_authority_without_key_identifiers_are_accepted(
    start, upstream, tmp_path, firm, authority, who
):
    proxy_server = await start(listen=(listener(tmp_path, getattr(firm, authority).path),))

    response = await read_response(proxy_server.port, showing(firm, who))

    assert response == b"HTTP/1.1 200 OK"
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
async def test_an_intermediate_client_ca_does_not_accept_other_clients_of_the_root(
    start, upstream, tmp_path, firm
):
    proxy_server = await start(listen=(listener(tmp_path, firm.beneath.path),))

    response = await read_response(proxy_server.port, showing(firm, "of_root"))

    assert response == b""
    assert upstream.requests == []
