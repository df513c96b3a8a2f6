"""Clients that are slow, broken or gone after CONNECT cost only a bounded time."""

import asyncio
import os
import socket
import ssl

import pytest
import pytest_asyncio
from support.handshake import hello
from support.intercepted import (
    ESTABLISHED,
    ask_connect,
    connect_bytes,
    connect_inside,
    get,
)

from ovh_proxy.core.settings import Limits, Timeouts

pytestmark = pytest.mark.asyncio

BOUND_S = 5.0
SHORT = Timeouts(header_s=0.2, body_s=0.2, idle_s=0.4)


@pytest_asyncio.fixture
async def proxy_server(intercepting):
    """A server in HTTP-proxy mode."""
    return await intercepting()


async def until_a_connection_is_free(proxy_server):
    """Waits until the only connection is free again."""
    async with asyncio.timeout(BOUND_S):
        while (await proxy_server.ask(get("localhost", "/me"))).status != 200:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_an_inner_connection_counts_once(intercepting, upstream, host, tmp_path):
    proxy_server = await intercepting(limits=Limits(connections=1))

    inside = await connect_inside(proxy_server, tmp_path, host)
    refused = await proxy_server.ask(get("localhost", "/me"))
    inside.send(get(host))
    served = await inside.answer()
    await inside.close()
    await until_a_connection_is_free(proxy_server)

    assert (refused.code, served.status) == ("OVERLOADED", 200)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="silence"),
        pytest.param(hello(b"localhost")[:20], id="a slow hello"),
        pytest.param(b"\x16\x03\1\xff\xff" + b"\xff" * 70_000, id="garbage"),
        pytest.param(hello(b"\xff.localhost"), id="a name that is no ASCII"),
        pytest.param(b"GET /1.0/me HTTP/1.1\r\nHost: localhost\r\n\r\n", id="plain HTTP"),
        pytest.param(b"SSH-2.0-x\r\n", id="another protocol"),
    ],
)
async def test_a_broken_handshake_is_closed_in_time_and_frees_its_connection(
    intercepting, upstream, host, text, capfd
):
    proxy_server = await intercepting(timeouts=SHORT, limits=Limits(connections=1))
    conversation, _ = await ask_connect(proxy_server, host)

    conversation.send(text)
    received = await conversation.rest()
    await until_a_connection_is_free(proxy_server)

    assert b"HTTP" not in received
    assert [request.target for request in upstream.requests] == ["/1.0/me"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_a_client_that_disconnects_during_the_handshake_frees_its_connection(
    intercepting, host, how
):
    proxy_server = await intercepting(limits=Limits(connections=1))
    conversation, _ = await ask_connect(proxy_server, host)
    conversation.send(hello(b"localhost")[:40])

    if how == "abort":
        conversation.abort()
    else:
        await conversation.close()

    await until_a_connection_is_free(proxy_server)


def distrust(port: int, host: str) -> None:
    """Aborts the handshake with an alert, which asyncio's client does not send."""
    with socket.create_connection(("127.0.0.1", port), BOUND_S) as connection:
        connection.sendall(connect_bytes(host))
        assert connection.recv(len(ESTABLISHED)) == ESTABLISHED
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connection, server_hostname="127.0.0.1")


async def test_a_client_that_does_not_trust_the_authority_is_logged(proxy_server, host):
    await asyncio.to_thread(distrust, proxy_server.port, host)

    async with asyncio.timeout(BOUND_S):
        while "does it trust our authority" not in proxy_server.log.getvalue():
            proxy_server.log.written.clear()
            await proxy_server.log.written.wait()
    record = proxy_server.records[-1]
    assert (record["level"], record["host"]) == ("warning", host)
    assert record["reason"] == "TLSV1_ALERT_UNKNOWN_CA"


async def test_an_idle_inner_connection_is_closed(intercepting, host, tmp_path):
    proxy_server = await intercepting(timeouts=SHORT)

    inside = await connect_inside(proxy_server, tmp_path, host)

    assert await inside.rest() == b""


async def test_a_slow_inner_request_head_gets_an_error_and_is_closed(
    intercepting, upstream, host, tmp_path
):
    proxy_server = await intercepting(timeouts=SHORT)
    inside = await connect_inside(proxy_server, tmp_path, host)

    inside.send(b"GET /1.0/me HTTP/1.1\r\nHo")
    response = await inside.answer()

    assert (response.status, response.code) == (408, "REQUEST_TIMEOUT")
    assert upstream.requests == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
async def test_inner_connections_leave_nothing_open(proxy_server, host, tmp_path):
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        inside = await connect_inside(proxy_server, tmp_path, host)
        inside.send(get(host))
        await inside.answer()
        await inside.close()
        conversation, _ = await ask_connect(proxy_server, host)
        conversation.abort()

    async with asyncio.timeout(BOUND_S):
        while len(os.listdir("/proc/self/fd")) > before + 1:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def test_a_shutdown_closes_handshakes_and_inner_connections(intercepting, host, tmp_path):
    proxy_server = await intercepting(timeouts=Timeouts(drain_s=0.5))
    inside = await connect_inside(proxy_server, tmp_path, host)
    handshaking, _ = await ask_connect(proxy_server, host)

    assert await proxy_server.end()

    assert await inside.rest() == b""
    assert await handshaking.rest() == b""
