"""The real proxy between hostile upstreams, hostile clients and an unreliable network."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from support.hostile import HostileUpstream
from support.names import NamesLoop
from support.proxy_server import ProxyServer, kept_loggers
from support.scripts import Held
from support.serving import serving

__all__ = ["kept_loggers"]  # a fixture

Start = Callable[..., Awaitable[ProxyServer]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of each test resolves the host names that the test defines."""
    return {"names": NamesLoop}


@pytest_asyncio.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Checks that no task and no open file outlives the test, and that asyncio reports nothing."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks, files = asyncio.all_tasks(), _open_files()
    yield
    gc.collect(1)  # futures report errors when they are collected; those of this test are young
    assert complaints == []
    assert asyncio.all_tasks() - tasks <= {asyncio.current_task()}
    assert _open_files() <= files


def _open_files() -> int:
    if sys.platform != "linux":
        return 0
    return len(os.listdir("/proc/self/fd"))


@pytest_asyncio.fixture
async def upstream(nothing_left: None) -> AsyncIterator[HostileUpstream]:
    """An upstream that responds `200 ok`, unless its `scripts` say otherwise."""
    async with HostileUpstream() as upstream:
        yield upstream
    upstream.scripts.clear()


@pytest.fixture
def held(upstream: HostileUpstream) -> Held:
    """Delays the responses until the test sets `go`."""
    upstream.scripts = [script := Held()]
    return script


@pytest_asyncio.fixture
async def start(upstream: HostileUpstream, kept_loggers: None) -> AsyncIterator[Start]:
    """Starts proxies: `await start(timeouts=…)`, any field of the settings."""
    async with AsyncExitStack() as running:

        async def starting(**changes: Any) -> ProxyServer:
            return await running.enter_async_context(serving(upstream, **changes))

        yield starting


@pytest_asyncio.fixture
async def proxy_server(start: Start) -> ProxyServer:
    """A proxy with the default settings."""
    return await start()
