"""`tls: auto` over sockets, with ordinary and hostile clients."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.handshake import hello
from support.intercepted import client_of

from ovh_proxy.core.settings import Listener, TcpAddress, Timeouts
from ovh_proxy.tls.stored_authority import open_authority

LOOPBACK = TcpAddress("127.0.0.1", 0)
GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BOUND_S = 5.0


@pytest_asyncio.fixture
async def port(start, tls) -> int:
    """The port of a server with `tls: auto`."""
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=tls),))
    return proxy_server.port


@contextlib.asynccontextmanager
async def connected(
    port: int, context: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    try:
        async with asyncio.timeout(BOUND_S):
            yield reader, writer
    finally:
        writer.transport.abort()


async def fetch(port: int, context: ssl.SSLContext, name: str = "localhost") -> bytes:
    async with connected(port, context, name) as (reader, writer):
        writer.write(GET)
        return await reader.read()


async def until_the_end(port: int, text: bytes) -> bytes:
    async with connected(port) as (reader, writer):
        writer.write(text)
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.asyncio
async def test_a_request_is_served_over_http_1_1_and_modern_tls(port, files, upstream):
    context = client_of(files)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with connected(port, context, "box.localhost") as (reader, writer):
        writer.write(GET)
        received = await reader.read()
        spoken = writer.get_extra_info("ssl_object")

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert spoken.selected_alpn_protocol() == "http/1.1"
    assert spoken.version() == "TLSv1.3"
    assert upstream.requests[0].target == "/1.0/me"


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_old_tls_versions_are_rejected(port, files, upstream):
    context = client_of(files)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await fetch(port, context)

    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(hello(b"\xff.localhost"), id="a name that is no ASCII"),
        pytest.param(hello(b"a\0b.localhost"), id="a null byte in the name"),
        pytest.param(hello(b"a" * 300), id="a name that is too long"),
        pytest.param(hello(b"localhost")[:-9], id="cut short"),
        pytest.param(b"\x16\x03\1\xff\xff" + b"\xff" * 70_000, id="garbage"),
        pytest.param(GET, id="plain HTTP"),
        pytest.param(b"SSH-2.0-x\r\n", id="another protocol"),
    ],
)
async def test_a_broken_handshake_is_closed_without_response_or_log(
    start, tls, files, upstream, text, capfd
):
    listen = (Listener(LOOPBACK, tls=tls),)
    proxy_server = await start(listen=listen, timeouts=Timeouts(header_s=0.2))

    received = await until_the_end(proxy_server.port, text)

    assert b"HTTP" not in received
    assert upstream.requests == []
    assert proxy_server.log.getvalue() == ""
    assert capfd.readouterr() == ("", "")
    assert (await fetch(proxy_server.port, client_of(files))).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.asyncio
async def test_a_slow_handshake_delays_no_other_client_and_is_closed(start, tls, files, upstream):
    listen = (Listener(LOOPBACK, tls=tls),)
    proxy_server = await start(listen=listen, timeouts=Timeouts(header_s=0.5))
    async with connected(proxy_server.port) as (slow, writer):
        writer.write(hello(b"localhost")[:20])

        response = await fetch(proxy_server.port, client_of(files))
        received = await slow.read()

    assert response.startswith(b"HTTP/1.1 200 OK")
    assert received == b""


@pytest.mark.asyncio
async def test_a_renewed_authority_is_used_without_a_restart(start, tls, files):
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=tls),))
    former = client_of(files)
    async with connected(proxy_server.port, former, "localhost") as (reader, writer):
        open_authority(files, time.time(), renews=True)
        async with asyncio.timeout(BOUND_S):
            while "certificate authority reloaded" not in proxy_server.log.getvalue():
                proxy_server.log.written.clear()
                await proxy_server.log.written.wait()
        after = await fetch(proxy_server.port, client_of(files))
        writer.write(GET)
        response = await reader.read()

    assert after.startswith(b"HTTP/1.1 200 OK")
    assert response.startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(ssl.SSLCertVerificationError):
        await fetch(proxy_server.port, former)


@pytest.mark.asyncio
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
async def test_failed_handshakes_leave_nothing_open(port, files):
    await fetch(port, client_of(files))
    before = len(os.listdir("/proc/self/fd"))

    for text in (hello(b"\xff"), hello(b"www.example.com"), b"\x16\x03\1", GET) * 5:
        async with connected(port) as (_, writer):
            writer.write(text)
    await fetch(port, client_of(files))

    async with asyncio.timeout(BOUND_S):
        while len(os.listdir("/proc/self/fd")) > before + 1:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
