"""Calls that an HTTP proxy does not forward."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from support.forwarder import MADE, forward
from support.raw_server import RawServer, Script, Side, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import (
    UpstreamBroken,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ovh_proxy.core.settings import HttpProxy, TcpAddress
from ovh_proxy.ovhcloud.messages import UpstreamRequest


@pytest.fixture
def dead_proxy() -> Iterator[HttpProxy]:
    """A proxy that is not running."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield HttpProxy(TcpAddress("127.0.0.1", bound.getsockname()[1]))


def get(server: RawServer) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + "/me?")


@pytest.mark.asyncio
async def test_an_error_names_an_unreachable_proxy(
    server: RawServer, make_pool: MakePool, dead_proxy: HttpProxy
) -> None:
    pool = make_pool(proxy=dead_proxy)

    with pytest.raises(
        UpstreamUnreachable, match=f"the proxy {dead_proxy.address} refuses"
    ) as failed:
        await within(pool.send(get(server)))

    assert failed.value.nothing_arrived
    assert server.sides == []


@pytest.mark.asyncio
async def test_an_error_names_a_proxy_whose_name_does_not_resolve(
    server: RawServer, make_pool: MakePool
) -> None:
    pool = make_pool(proxy=HttpProxy(TcpAddress("proxy.invalid", 3128)))

    with pytest.raises(UpstreamUnreachable, match=r"proxy\.invalid:3128 does not resolve"):
        await within(pool.send(get(server)))

    assert server.sides == []


async def hang_up(side: Side) -> None:
    await side.head()
    side.end()


async def reset(side: Side) -> None:
    await side.head()
    side.reset()


def answers(text: bytes) -> Script:
    async def script(side: Side) -> None:
        await side.head()
        await side.send(text)
        await side.until_gone()

    return script


async def without_end(side: Side) -> None:
    await side.head()
    await side.send(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 100_000)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("script", "failure", "said"),
    [
        (answers(b"HTTP/1.1 407 No\r\n\r\n"), UpstreamUnreachable, "with status 407"),
        (answers(b"HTTP/1.1 502 No\r\n\r\n"), UpstreamUnreachable, "with status 502"),
        (hang_up, UpstreamUnreachable, "closed the connection"),
        (reset, UpstreamUnreachable, "no connection to the proxy"),
        (answers(b"SSH-2.0-x\r\n"), UpstreamBroken, "is not HTTP/1.1"),
        (answers(MADE + b"HTTP/1.1 200 OK\r\n\r\n"), UpstreamBroken, "unexpected bytes"),
        (without_end, UpstreamBroken, "exceeds 16384 bytes"),
        (answers(b""), UpstreamTimeout, "through the proxy 127.0.0.1:[0-9]+ in time"),
        (answers(b"HTTP/1.1 200 OK\r\n"), UpstreamTimeout, "in time"),
    ],
    ids=["407", "502", "closed", "reset", "SSH", "more", "endless", "silent", "half a response"],
)
async def test_a_proxy_that_does_not_connect_fails_the_call(
    server: RawServer,
    forwarder: RawServer,
    make_pool: MakePool,
    proxy: HttpProxy,
    script: Script,
    failure: type[UpstreamFailed],
    said: str,
) -> None:
    forwarder.scripts = [script]
    pool = make_pool(proxy=proxy, connect_s=0.3 if failure is UpstreamTimeout else 5.0)

    with pytest.raises(failure, match=said) as failed:
        await within(pool.send(get(server)))

    assert str(proxy.address) in str(failed.value)
    assert "S3CRET" not in str(failed.value)
    assert failed.value.nothing_arrived
    assert server.sides == []
    await forwarder.until(lambda: forwarder.open == 0)


@pytest.mark.asyncio
async def test_the_next_call_tries_a_refusing_proxy_again(
    server: RawServer, forwarder: RawServer, make_pool: MakePool, proxy: HttpProxy
) -> None:
    forwarder.scripts = [hang_up, forward]
    pool = make_pool(proxy=proxy, connections=1)
    with pytest.raises(UpstreamUnreachable):
        await within(pool.send(get(server)))

    incoming = await within(pool.send(get(server)))

    assert await within(incoming.read()) == b"ok"


@pytest.mark.asyncio
async def test_a_call_cancelled_while_the_proxy_connects_leaves_no_connection(
    server: RawServer, forwarder: RawServer, make_pool: MakePool, proxy: HttpProxy
) -> None:
    forwarder.scripts = [answers(b"")]
    calling = asyncio.ensure_future(make_pool(proxy=proxy).send(get(server)))
    await forwarder.until(lambda: bool(forwarder.sides))

    calling.cancel()

    await forwarder.until(lambda: forwarder.open == 0)
    assert server.sides == []


@pytest.mark.asyncio
async def test_a_call_with_a_slow_connection_still_times_out(
    server: RawServer, forwarder: RawServer, make_pool: MakePool, proxy: HttpProxy
) -> None:
    async def silent(side: Side) -> None:
        await side.until_gone()

    async def hesitating(side: Side) -> None:
        await asyncio.sleep(0.4)  # longer than the pool's sweep interval
        await forward(side)

    server.scripts, forwarder.scripts = [silent], [hesitating]

    with pytest.raises(UpstreamTimeout):
        await within(make_pool(proxy=proxy, answer_s=0.1).send(get(server)))
