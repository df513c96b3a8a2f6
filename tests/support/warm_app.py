"""An app whose connections are kept warm, and upstreams that answer clock requests."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from support.proxy_server import profile_of
from support.raw_server import BOUND_S, RawServer, answering

from ovh_proxy.core.settings import Settings, Store
from ovh_proxy.logs import Log
from ovh_proxy.server.app import App, build
from ovh_proxy.server.background import keep_connections_warm

TIME = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1700000000"


@dataclass
class WarmApp:
    """An app whose connections are kept warm.

    Attributes:
        suspended_s: seconds that the machine was suspended.
        clock_reads: reads of the clock, two per poll.
    """

    app: App
    log: io.StringIO
    suspended_s: float = 0.0
    clock_reads: int = 0

    def steady(self) -> float:
        self.clock_reads += 1
        return asyncio.get_running_loop().time() + self.suspended_s

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not is_so():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.001)

    async def until_ready(self) -> None:
        """Waits until every clock is known, and a few polls had nothing to do."""
        profiles = self.app.live.current.store.profiles.values()
        clocks = [self.app.client.clocks.of(profile.endpoint) for profile in profiles]
        await self.until(lambda: all(clock.is_known for clock in clocks))
        await self.next_polls()

    async def next_polls(self) -> None:
        """Waits for a few more polls."""
        seen = self.clock_reads
        await self.until(lambda: self.clock_reads > seen + 8)


def settings_of(*ports: int) -> Settings:
    profiles = {f"p{port}": profile_of(port, f"p{port}") for port in ports}
    return Settings(store=Store(MappingProxyType(profiles), None, "tests"))


@asynccontextmanager
async def warm_app(*ports: int) -> AsyncIterator[WarmApp]:
    log = io.StringIO()
    running = WarmApp(build(settings_of(*ports), Log("debug", "json", log)), log)
    task = asyncio.ensure_future(keep_connections_warm(running.app, 0.001, running.steady))
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.wait([task])
        await running.app.close()


def clock_server() -> RawServer:
    server = RawServer()
    server.scripts = [answering(TIME)]
    return server
