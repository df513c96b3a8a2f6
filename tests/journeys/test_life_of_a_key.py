import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest
from support.command import environment, running
from support.login import decide, logging_in

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


async def _me(home: Path) -> tuple[int, dict[str, str]]:
    async with (
        running(home, "run", "--listen", "127.0.0.1:0") as proxy,
        aiohttp.ClientSession(proxy.url) as client,
        client.get("/me") as response,
    ):
        return response.status, await response.json()


async def _log_out(home: Path) -> int | None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "logout", "--yes"),
        cwd=home,
        env=environment(home),
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), 30)


async def test_a_key_is_requested_used_and_revoked(tmp_path: Path, sandbox: Sandbox) -> None:
    secret = tmp_path / "secret"
    secret.write_text(grants.APPLICATION_SECRET)
    new = ("--endpoint", sandbox.base_url, "--application-key", grants.APPLICATION_KEY)
    flags = ("--application-secret-file", secret, "--read-only", "/me", "--no-browser")

    async with logging_in(tmp_path, *new, *flags) as login:
        await decide(login.url)
        logged_in = await login.end()
    served = await _me(tmp_path)
    logged_out = await _log_out(tmp_path)
    refused = await _me(tmp_path)

    assert logged_in.code == 0, logged_in.err
    assert (served[0], "nichandle" in served[1]) == (200, True)
    assert logged_out == 0
    assert (refused[0], refused[1]["errorCode"]) == (503, "NO_CREDENTIAL")
    assert "run: ovh-proxy login --profile personal" in refused[1]["message"]
