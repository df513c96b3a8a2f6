"""An app whose connections are kept warm, and upstreams that tell the time."""

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
class Kept:
    """An app whose connections are kept warm.

    Attributes:
        slept: seconds that the machine has been asleep.
        looks: how often it was looked whether a connection is missing, twice a look.
    """

    app: App
    log: io.StringIO
    slept: float = 0.0
    looks: int = 0

    def steady(self) -> float:
        self.looks += 1
        return asyncio.get_running_loop().time() + self.slept

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not is_so():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)

    async def has_begun(self) -> None:
        """Waits until every clock is known, and a few looks have found nothing more to do."""
        profiles = self.app.live.current.store.profiles.values()
        clocks = [self.app.client.clocks.of(profile.endpoint) for profile in profiles]
        await self.until(lambda: all(clock.is_known for clock in clocks))
        await self.look_on()

    async def look_on(self) -> None:
        """Waits until it has been looked a few times more."""
        seen = self.looks
        await self.until(lambda: self.looks > seen + 8)


def settings_of(*ports: int) -> Settings:
    profiles = {f"p{port}": profile_of(port, f"p{port}") for port in ports}
    return Settings(store=Store(MappingProxyType(profiles), None, "tests"))


@asynccontextmanager
async def kept(*ports: int) -> AsyncIterator[Kept]:
    log = io.StringIO()
    keeping = Kept(build(settings_of(*ports), Log("debug", "json", log)), log)
    task = asyncio.ensure_future(keep_connections_warm(keeping.app, 0.001, keeping.steady))
    try:
        yield keeping
    finally:
        task.cancel()
        await asyncio.wait([task])
        await keeping.app.close()


def telling_time() -> RawServer:
    server = RawServer()
    server.scripts = [answering(TIME)]
    return server
