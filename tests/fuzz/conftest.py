"""Runs the real server between a hostile client and a hostile upstream."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.hostile import HostileUpstream
from support.proxy_server import APPLICATION_SECRET, CONSUMER_KEY, ProxyServer, kept_loggers
from support.serving import profile_at, serving, store_of

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.settings import Listener, TcpAddress, Timeouts, UnixAddress, Upstream

__all__ = ["kept_loggers"]  # a fixture

RULES = ("GET /me", "GET /me/*", "* /order/*")
BOUND_S = 10.0
_NEVER_LOGGED = (APPLICATION_SECRET, CONSUMER_KEY, "Traceback", "defect", '"level": "error"')


@dataclass
class Harness:
    """The server and the upstream for all examples of a test.

    Attributes:
        loop_errors: the errors that the event loop reported.
    """

    runner: asyncio.Runner
    upstream: HostileUpstream
    proxy_server: ProxyServer
    loop_errors: list[dict[str, Any]] = field(default_factory=list)

    def run(self, example: Callable[[], Awaitable[None]]) -> None:
        """Runs one example, and checks what must hold for every input."""
        self.reset()
        self.runner.run(self._bounded(example))
        self.check()

    async def _bounded(self, example: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.timeout(BOUND_S):
            await example()

    def reset(self) -> None:
        """Discards the results of earlier examples."""
        self.proxy_server.log.seek(0)
        self.proxy_server.log.truncate()
        self.proxy_server.conversations.clear()
        self.upstream.sides[:] = [side for side in self.upstream.sides if not side.is_gone.is_set()]
        for side in self.upstream.sides:
            side.heads.clear()
            side.bodies.clear()

    def check(self) -> None:
        """Fails on malformed, unsigned or disallowed calls, and on secrets or errors in the log."""
        calls = self.upstream.calls
        assert [offence for call in calls for offence in call.offences()] == []
        assert self.upstream.wrong_signatures() == []
        assert [call.first_line for call in calls if not is_allowed(call.method, call.target)] == []
        log = self.proxy_server.log.getvalue()
        assert [word for word in _NEVER_LOGGED if word in log] == []
        assert self.loop_errors == []


def is_allowed(method: str, target: str) -> bool:
    """An independent implementation of `RULES`."""
    path = target.partition("?")[0].removeprefix("/1.0")
    if path.startswith("/order/"):
        return True
    return method in ("GET", "HEAD") and (path == "/me" or path.startswith("/me/"))


async def _start(
    held: AsyncExitStack, socket: str, timeouts: Timeouts
) -> tuple[HostileUpstream, ProxyServer]:
    upstream = await held.enter_async_context(HostileUpstream())
    rules = tuple(rule for text in RULES for rule in parse_access_rule(text))
    proxy_server = await held.enter_async_context(
        serving(
            upstream,
            store=store_of(profile_at(f"{upstream.url}/1.0", access_rules=rules)),
            listen=(Listener(TcpAddress("127.0.0.1", 0)), Listener(UnixAddress(socket))),
            timeouts=timeouts,
            upstream=Upstream(connections=4),
        )
    )
    return upstream, proxy_server


@pytest.fixture
def timeouts() -> Timeouts:
    """Short timeouts, so that incomplete messages end quickly."""
    return Timeouts(connect_s=5, answer_s=0.3, idle_s=0.2, header_s=0.1, body_s=0.1)


@pytest.fixture
def harness(
    kept_loggers: None, timeouts: Timeouts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    """A proxy with a few rules. At the end, no task and no file may be left."""
    files = _open_files()
    with asyncio.Runner() as runner:
        held = AsyncExitStack()
        socket = str(tmp_path_factory.mktemp("s") / "s")
        harness = Harness(runner, *runner.run(_start(held, socket, timeouts)))
        runner.get_loop().set_exception_handler(
            lambda _, context: harness.loop_errors.append(context)
        )
        yield harness
        runner.run(held.aclose())
        gc.collect(1)  # futures report errors when they are collected
        assert harness.loop_errors == []
        assert asyncio.all_tasks(runner.get_loop()) == set()
    assert _open_files() <= files


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
