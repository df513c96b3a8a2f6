"""A clock that cannot be fetched, in a server that reloads its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from support.proxy_server import LogText, ProxyServer, profile_of

from ovh_proxy.config.loader import LoadResult
from ovh_proxy.core.settings import Listener, Settings, Store, TcpAddress, Timeouts
from ovh_proxy.logs import Log
from ovh_proxy.server.reload import ReloadTrigger
from ovh_proxy.server.serve import ShutdownRequest, serve

READY = b"GET /-/readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UNKNOWN = "cannot get the time from OVHcloud, retrying"


class Files:
    """A fake `SettingsWatcher` that changes on demand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.changed = False

    def has_changed(self) -> bool:
        return self.changed

    def reload(self) -> LoadResult:
        self.changed = False
        return LoadResult(self.settings, (), {})


@pytest.fixture
def files(upstream, kept_loggers) -> Files:
    """Settings for an upstream without a clock."""
    upstream.tells_time = False
    upstream.answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    store = Store({"personal": profile_of(upstream.port)}, "personal", "tests")
    return Files(Settings(store=store, listen=(Listener(TcpAddress("127.0.0.1", 0)),)))


@asynccontextmanager
async def reading_again(files: Files) -> AsyncIterator[ProxyServer]:
    """Runs a server that polls its files every few milliseconds."""
    log, stop, announcements = LogText(), ShutdownRequest(), []
    reload_trigger = ReloadTrigger(files, files.settings, poll_s=0.005)
    serving = asyncio.ensure_future(
        serve(
            files.settings,
            Log("info", "json", log),
            announcements.append,
            stop,
            reload_trigger=reload_trigger,
        )
    )
    proxy_server = ProxyServer(announcements, log, stop, serving)
    try:
        yield proxy_server
    finally:
        for conversation in proxy_server.conversations:
            conversation.abort()
        await proxy_server.end()


async def until_logged(proxy_server: ProxyServer, message: str, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while sum(one["message"] == message for one in proxy_server.records) < count:
            proxy_server.log.written.clear()
            await proxy_server.log.written.wait()


@pytest.mark.asyncio
async def test_an_unknown_clock_is_logged_once_at_the_start(files):
    async with reading_again(files) as proxy_server:
        await until_logged(proxy_server, UNKNOWN)
        ready = await proxy_server.ask(READY)

    messages = [record["message"] for record in proxy_server.records]
    assert ready.status == 503
    assert messages.count(UNKNOWN) == 1


@pytest.mark.asyncio
async def test_a_reload_fetches_the_clock_at_once_and_logs_once(files):
    async with reading_again(files) as proxy_server:
        await until_logged(proxy_server, UNKNOWN)
        files.settings = replace(files.settings, timeouts=Timeouts(drain_s=7.0))
        files.changed = True
        await until_logged(proxy_server, UNKNOWN, 2)
        ready = await proxy_server.ask(READY)

    messages = [record["message"] for record in proxy_server.records if record["level"] != "info"]
    assert ready.status == 503
    assert messages == [UNKNOWN] * 2
