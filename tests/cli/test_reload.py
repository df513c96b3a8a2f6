"""`run` reloads when its files change."""

import asyncio
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest
from support.command import running, write_store

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

FREE = ("--listen", "127.0.0.1:0")
# The 2 s that are promised, and 8 s for a machine that is busy with other tests.
BOUND_S = 2.0 + 8.0
MORE = """\
  later:
    endpoint: https://api.example/1.0
    access_token: {token}
"""


async def _until_later_is_served(url: str) -> None:
    async with asyncio.timeout(BOUND_S), aiohttp.ClientSession(url) as session:
        while True:
            async with session.get("/-/profiles") as response:
                profiles = json.loads(await response.read())["profiles"]
            if any(profile["name"] == "later" for profile in profiles):
                return


async def test_a_changed_store_is_used_without_a_restart(home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", *FREE, "--credentials", store) as proxy:
        write_store(home, sandbox, MORE.format(token="T"))
        await _until_later_is_served(proxy.url)

    assert "configuration reloaded" in (home / "log").read_text()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
async def test_sighup_runs_secret_commands_again(home: Path, sandbox: Sandbox) -> None:
    # The watcher cannot see that the output of a command changed.
    (home / "token").write_text("T1")
    more = MORE.format(token="{command: [cat, token]}")
    store = write_store(home, sandbox, more.replace("https://api.example/1.0", sandbox.base_url))

    async with (
        running(home, "run", *FREE, "--credentials", store) as proxy,
        asyncio.timeout(BOUND_S),
        aiohttp.ClientSession(proxy.url) as session,
    ):
        await session.get("/@later/me")
        (home / "token").write_text("T2")
        os.kill(proxy.pid, signal.SIGHUP)
        while "Bearer T2" not in _authorizations(sandbox):
            await session.get("/@later/me")

    assert "Bearer T1" in _authorizations(sandbox)


def _authorizations(sandbox: Sandbox) -> set[str | None]:
    return {request.header("Authorization") for request in sandbox.requests}
