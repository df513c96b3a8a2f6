"""Whole requests over sockets: client, proxy, sandbox, all in one loop."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from types import MappingProxyType

import aiohttp
import pytest
import pytest_asyncio
from support.running import RunningProxy, StartProxy

from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Listener, Profile, Settings, Store, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.server.serve import Announcement, ShutdownRequest, serve


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """OVHcloud's API on a free port."""
    async with Sandbox() as running:
        yield running


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    """Settings with a profile of each kind for the sandbox; `personal` is the default."""
    endpoint = parse_endpoint(sandbox.base_url)
    keys = ApplicationCredential(
        Secret(grants.APPLICATION_KEY),
        Secret(grants.APPLICATION_SECRET),
        Secret(grants.CONSUMER_KEY),
    )
    robot = ServiceAccount(grants.CLIENT_ID, Secret(grants.CLIENT_SECRET), sandbox.token_url)
    profiles = (
        Profile("personal", endpoint, keys),
        Profile("robot", endpoint, robot),
        Profile("card", endpoint, AccessToken(Secret(grants.ACCESS_TOKEN))),
        Profile("runabove", endpoint, keys),
        Profile("fresh", endpoint, replace(keys, consumer_key=None)),
    )
    return Settings(
        store=Store(MappingProxyType({p.name: p for p in profiles}), "personal", "test"),
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
    )


@pytest_asyncio.fixture
async def start_proxy() -> AsyncIterator[StartProxy]:
    """Starts proxies, and stops them at the end of the test."""
    running: list[RunningProxy] = []

    async def start(settings: Settings) -> RunningProxy:
        log, stop = io.StringIO(), ShutdownRequest()
        listening: asyncio.Future[Announcement] = asyncio.get_running_loop().create_future()

        def announce(announcement: Announcement) -> None:
            if not listening.done():
                listening.set_result(announcement)

        served = asyncio.ensure_future(serve(settings, Log("debug", "json", log), announce, stop))
        await asyncio.wait({served, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            await served
        running.append(RunningProxy(listening.result().url, log, stop, served))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()
        proxy.stop()
        await proxy.served


@pytest_asyncio.fixture
async def proxy(settings: Settings, start_proxy: StartProxy) -> RunningProxy:
    """A proxy with the default test settings."""
    return await start_proxy(settings)


@pytest_asyncio.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[aiohttp.ClientSession]:
    """An ordinary HTTP client of the proxy."""
    async with aiohttp.ClientSession(proxy.url, auto_decompress=False) as session:
        yield session
