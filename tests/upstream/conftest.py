"""An upstream on a raw socket, pools that talk to it, and an ear for what asyncio complains of."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
from upstream.raw_server import RawServer

from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.upstream.pool import Pool

MakePool = Callable[..., Pool]


@pytest_asyncio.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop's exception handler was told; a test ends with none of it."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    yield told
    gc.collect()  # futures complain when they are collected
    assert told == []


@pytest_asyncio.fixture
async def server(complaints: list[dict[str, Any]]) -> AsyncIterator[RawServer]:
    """An upstream that answers `200 ok`, unless its `scripts` say otherwise."""
    async with RawServer() as server:
        yield server
    server.scripts.clear()  # pytest keeps the server a while; what its scripts hold can go


@pytest_asyncio.fixture
async def make_pool(complaints: list[dict[str, Any]]) -> AsyncIterator[MakePool]:
    """Makes pools: `make_pool(connections=1, idle_s=0.1)`, any field of upstream or timeouts."""
    pools: list[Pool] = []

    def make(**fields: Any) -> Pool:
        bounds = {name: value for name, value in fields.items() if name in Timeouts.__slots__}
        others = {name: value for name, value in fields.items() if name not in bounds}
        pools.append(Pool(Upstream(**others), Timeouts(**bounds)))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


@pytest_asyncio.fixture
async def pool(make_pool: MakePool) -> Pool:
    """A pool with the default settings."""
    return make_pool()
