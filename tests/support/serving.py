"""The proxy as `run` serves it, in this event loop, with a hostile upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from support.hostile import HostileUpstream
from support.proxy_server import BOUND_S, LogText, Message, ProxyServer, profile_of
from support.raw_server import within

from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.settings import Listener, Profile, Settings, Store, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import Announcement, ShutdownRequest, serve


def profile_at(base_url: str, name: str = "personal", **changes: Any) -> Profile:
    """Returns a profile with made-up application keys for a base URL."""
    return profile_of(1, name, endpoint=parse_endpoint(base_url), **changes)


def store_of(*profiles: Profile) -> Store:
    """A store of these profiles, the first by default."""
    named = MappingProxyType({profile.name: profile for profile in profiles})
    return Store(named, profiles[0].name, "tests")


@asynccontextmanager
async def serving(
    upstream: HostileUpstream | None = None, /, *, base_url: str = "", **changes: Any
) -> AsyncIterator[ProxyServer]:
    """Runs a proxy until the end of the block.

    Args:
        upstream: waits until its clock is known; None if it may be missing.
        base_url: of the profile's endpoint; by default the upstream's.
        changes: any field of the settings.
    """
    if upstream is not None:
        base_url = base_url or f"{upstream.url}/1.0"
    settings = Settings(
        store=store_of(profile_at(base_url)), listen=(Listener(TcpAddress("127.0.0.1", 0)),)
    )
    settings = replace(settings, **changes)
    log, stop, told = LogText(), ShutdownRequest(), 0 if upstream is None else upstream.times_told
    announced: asyncio.Queue[Announcement] = asyncio.Queue()
    serving = asyncio.ensure_future(
        serve(settings, Log("debug", "json", log), announced.put_nowait, stop)
    )
    wanted = len(settings.listen) + (settings.admin_listen is not None)
    proxy_server = ProxyServer(
        [await within(announced.get()) for _ in range(wanted)], log, stop, serving
    )
    try:
        if upstream is not None:
            await upstream.until(lambda: upstream.times_told > told and not upstream.open)
        yield proxy_server
    finally:
        for conversation in proxy_server.conversations:
            conversation.abort()
        stop()
        stop()
        await within(serving, 2 * BOUND_S)
        await asyncio.sleep(0)  # lets the transports close their sockets


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one call, as seen by client, log and upstream.

    Attributes:
        status: of the response; None if it was visibly cut off.
        code: of the proxy's own error, from the response, or from the log if it was cut off.
        attempts: as logged.
        arrived: calls that reached the upstream.
    """

    status: int | None
    code: str | None = None
    attempts: int = 1
    arrived: int = 1


async def answer_or_cut(proxy_server: ProxyServer, text: bytes) -> Message | None:
    """Returns the response to one request on a new connection; None if it was cut off."""
    try:
        return await proxy_server.ask(text)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def outcome_of(proxy_server: ProxyServer, upstream: HostileUpstream, text: bytes) -> Outcome:
    """Makes a call, and returns its outcome."""
    logged, arrived = len(proxy_server.requests), len(upstream.calls)
    answer = await answer_or_cut(proxy_server, text)
    record = (await proxy_server.until_logged(logged + 1))[-1]
    return Outcome(
        None if answer is None else answer.status,
        record.get("error"),
        record["attempts"],
        len(upstream.calls) - arrived,
    )


def call(method: str = "GET", *lines: str, target: str = "/me", body: bytes = b"") -> bytes:
    """Returns the bytes of a call, with a body if the method needs one."""
    body = body or (b"{}" if method in ("POST", "PUT", "PATCH") else b"")
    fields = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1") + body


async def sample(proxy_server: ProxyServer, name: str, listener: int = 0) -> float:
    """Returns a value of the metrics page, by name with labels; 0 if it is missing."""
    page = await proxy_server.ask(call(target="/-/metrics"), listener)
    for line in page.body.decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0
