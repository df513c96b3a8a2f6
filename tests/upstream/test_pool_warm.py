"""Connections that are opened before they are needed."""

import asyncio
from collections.abc import Callable

import pytest
from support.raw_server import BOUND_S, OK, RawServer, Side, answering, within

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.pool import Pool


def get(server: RawServer) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + "/me")


@pytest.mark.asyncio
async def test_one_connection_is_enough_to_be_warm(server: RawServer, pool: Pool) -> None:
    await within(pool.warm(server.url + "/1.0"))

    await within(asyncio.gather(*(pool.warm(server.url) for _ in range(3))))

    assert (pool.made, pool.reused) == (1, 0)


@pytest.mark.asyncio
async def test_concurrent_warming_opens_one_connection(server: RawServer, pool: Pool) -> None:
    await within(asyncio.gather(*(pool.warm(server.url) for _ in range(3))))

    assert pool.made == 1


@pytest.mark.asyncio
async def test_a_pool_is_warm_as_long_as_there_is_a_connection(
    server: RawServer, pool: Pool
) -> None:
    was_warm = pool.is_warm(server.url)
    await within(pool.warm(server.url))
    is_warm = pool.is_warm(server.url)
    await server.until(lambda: len(server.sides) == 1)

    server.sides[0].end()

    async with asyncio.timeout(BOUND_S):
        while pool.is_warm(server.url):  # noqa: ASYNC110 - only the loop reads the end
            await asyncio.sleep(0)
    assert (was_warm, is_warm) == (False, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("closing", [Side.end, Side.reset], ids=["ended", "reset"])
async def test_a_warm_connection_that_closes_on_the_request_counts_as_idle(
    server: RawServer, pool: Pool, closing: Callable[[Side], None]
) -> None:
    async def script(side: Side) -> None:
        await side.head()
        closing(side)

    server.scripts = [script]
    await within(pool.warm(server.url))

    with pytest.raises(UpstreamFailed) as failed:
        await within(pool.send(get(server)))

    assert failed.value.on_kept_connection
    assert not failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_idle_connections_can_be_dropped_and_busy_ones_stay(
    server: RawServer, pool: Pool
) -> None:
    is_due = asyncio.Event()

    async def late(side: Side) -> None:
        await side.request()
        await is_due.wait()
        await side.send(OK)

    server.scripts = [late, answering(OK)]
    busy = asyncio.ensure_future(pool.send(get(server)))
    await server.until(lambda: len(server.sides) == 1)
    await within((await within(pool.send(get(server)))).read())

    pool.drop_idle()

    await server.until(lambda: server.open == 1)
    is_due.set()
    assert await within((await within(busy)).read()) == b"ok"
