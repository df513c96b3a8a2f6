"""Calls through an HTTP proxy."""

import ssl
from pathlib import Path

import pytest
from support.raw_server import RawServer, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import UpstreamTls
from ovh_proxy.core.settings import HttpProxy
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.response import UpstreamResponse


def get(server: RawServer) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + "/me?")


async def body_of(incoming: UpstreamResponse) -> bytes:
    return b"".join(await within(incoming.read_up_to(1_000)))


@pytest.mark.asyncio
async def test_a_call_through_the_proxy_is_unchanged(
    server: RawServer, forwarder: RawServer, make_pool: MakePool, proxy: HttpProxy
) -> None:
    pool = make_pool(proxy=proxy)

    bodies = [await body_of(await within(pool.send(get(server)))) for _ in range(3)]

    assert bodies == [b"ok"] * 3
    where = b"127.0.0.1:%d" % server.port
    head = b"GET /me? HTTP/1.1\r\nHost: " + where + b"\r\n\r\n"
    assert server.heads == [head] * 3
    login = b"Proxy-Authorization: Basic dXNlcjpTM0NSRVQ=\r\n"
    assert forwarder.heads == [
        b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + where + b"\r\n" + login + b"\r\n"
    ]


@pytest.mark.asyncio
async def test_tls_is_end_to_end_through_the_proxy(
    certificate: tuple[Path, ssl.SSLContext],
    forwarder: RawServer,
    make_pool: MakePool,
    proxy: HttpProxy,
) -> None:
    pool = make_pool(proxy=proxy, ca_file=str(certificate[0]))

    async with RawServer(certificate[1]) as server:
        incoming = await within(pool.send(get(server)))

        assert await body_of(incoming) == b"ok"
        assert len(server.heads) == len(forwarder.heads) == 1


@pytest.mark.asyncio
async def test_an_untrusted_certificate_is_rejected_behind_a_proxy(
    certificate: tuple[Path, ssl.SSLContext], make_pool: MakePool, proxy: HttpProxy
) -> None:
    pool = make_pool(proxy=proxy)
    text = rf"certificate of 127\.0\.0\.1:\d+ through the proxy {proxy.address} is not trusted"

    async with RawServer(certificate[1]) as server:
        with pytest.raises(UpstreamTls, match=text):
            await within(pool.send(get(server)))

        assert server.heads == []
