"""The proxy as `run` serves it, in this loop, in front of a hostile upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from support.hostile import HostileUpstream
from support.proxy_server import BOUND_S, Front, LogText, Message, profile_of
from support.raw_server import within

from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.settings import Listener, Profile, Settings, Store, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import Announcement, ShutdownRequest, serve


def profile_at(base_url: str, name: str = "personal", **changes: Any) -> Profile:
    """A profile with made-up application keys that leads to a base URL."""
    return profile_of(1, name, endpoint=parse_endpoint(base_url), **changes)


def store_of(*profiles: Profile) -> Store:
    """A store of these profiles, the first by default."""
    named = MappingProxyType({profile.name: profile for profile in profiles})
    return Store(named, profiles[0].name, "tests")


@asynccontextmanager
async def serving(
    upstream: HostileUpstream | None = None, /, *, base_url: str = "", **changes: Any
) -> AsyncIterator[Front]:
    """A proxy that serves until the end of the block.

    Args:
        upstream: whose time is known once this returns; None for one that may not be there.
        base_url: of the profile's endpoint, else the upstream's.
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
    front = Front([await within(announced.get()) for _ in range(wanted)], log, stop, serving)
    try:
        if upstream is not None:
            await upstream.until(lambda: upstream.times_told > told and not upstream.open)
        yield front
    finally:
        for conversation in front.conversations:
            conversation.abort()
        stop()
        stop()
        await within(serving, 2 * BOUND_S)
        await asyncio.sleep(0)  # lets the transports close their sockets


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call, seen from all sides.

    Attributes:
        status: of the answer; None where the connection broke off so that the client can tell.
        code: of the proxy's own error, in the answer or, where it broke off, in the log.
        attempts: as logged.
        arrived: calls that reached the upstream.
    """

    status: int | None
    code: str | None = None
    attempts: int = 1
    arrived: int = 1


async def answer_or_cut(front: Front, text: bytes) -> Message | None:
    """The answer to one request on a connection of its own, None where it broke off."""
    try:
        return await front.ask(text)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def outcome_of(front: Front, upstream: HostileUpstream, text: bytes) -> Outcome:
    """Makes a call, and gives what became of it."""
    logged, arrived = len(front.requests), len(upstream.calls)
    answer = await answer_or_cut(front, text)
    record = (await front.until_logged(logged + 1))[-1]
    return Outcome(
        None if answer is None else answer.status,
        record.get("error"),
        record["attempts"],
        len(upstream.calls) - arrived,
    )


def call(method: str = "GET", *lines: str, target: str = "/me", body: bytes = b"") -> bytes:
    """The bytes of a call; methods that want a body have one."""
    body = body or (b"{}" if method in ("POST", "PUT", "PATCH") else b"")
    fields = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1") + body


async def sample(front: Front, name: str, listener: int = 0) -> float:
    """A value of the metrics page; labels belong to the name. Nought where it is not there."""
    page = await front.ask(call(target="/-/metrics"), listener)
    for line in page.body.decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0
