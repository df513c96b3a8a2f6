"""Commands that reach OVHcloud through the HTTP proxy of the settings."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from support.command import running, write_store
from support.ended import Ask
from support.forwarder import forward
from support.raw_server import RawServer, Side

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

LOGIN = "user:S3CRET"
CREDENTIALS = b"Proxy-Authorization: Basic " + base64.b64encode(LOGIN.encode()) + b"\r\n"


@pytest_asyncio.fixture
async def forwarder() -> AsyncIterator[RawServer]:
    """An HTTP proxy; its heads are the CONNECT requests that it got."""
    async with RawServer() as server:
        server.scripts = [forward]
        yield server


@pytest.fixture
def files(home: Path, sandbox: Sandbox, forwarder: RawServer) -> tuple[str, ...]:
    """Flags for a store, and for settings that refer to a file with the URL of the proxy."""
    url, config = home / "url", home / "ovh-proxy.yaml"
    url.write_text(f"http://{LOGIN}@127.0.0.1:{forwarder.port}\n")
    url.chmod(0o600)
    config.write_text("listen: ['127.0.0.1:0']\nupstream: {proxy: {file: url}}\n")
    return "--credentials", str(write_store(home, sandbox)), "--config", str(config)


commands = pytest.mark.parametrize(
    "command", [("check",), ("sign", "GET", "/me"), ("logout", "--yes")], ids=lambda words: words[0]
)


async def test_run_uses_the_proxy(
    home: Path, sandbox: Sandbox, forwarder: RawServer, files: tuple[str, ...]
) -> None:
    async with (
        running(home, "run", *files, "--log-level", "debug") as proxy,
        aiohttp.ClientSession() as session,
        session.get(f"{proxy.url}/me") as response,
    ):
        status = response.status

    assert status == 200
    assert sandbox.requests[-1].verdict.startswith("signed by")
    connect = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % sandbox.port
    assert forwarder.heads
    assert all(head.startswith(connect) and CREDENTIALS in head for head in forwarder.heads)
    assert "S3CRET" not in (home / "log").read_text()


@commands
async def test_commands_use_the_proxy(
    ask: Ask, sandbox: Sandbox, forwarder: RawServer, files: tuple[str, ...], command: tuple[str]
) -> None:
    ended = await ask(*command, *files)

    assert (ended.code, ended.err) == (0, "")
    assert sandbox.requests
    assert forwarder.heads
    assert all(CREDENTIALS in head for head in forwarder.heads)


async def _refuse(side: Side) -> None:
    await side.head()
    await side.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@commands
async def test_a_proxy_that_rejects_the_login_is_reported_and_not_bypassed(
    ask: Ask, sandbox: Sandbox, forwarder: RawServer, files: tuple[str, ...], command: tuple[str]
) -> None:
    forwarder.scripts = [_refuse]

    ended = await ask(*command, *files)

    output = ended.out + ended.err
    assert ended.code == 1
    assert f"the proxy 127.0.0.1:{forwarder.port} refused CONNECT" in output
    assert "with status 407" in output
    assert "S3CRET" not in output
    assert sandbox.requests == []
