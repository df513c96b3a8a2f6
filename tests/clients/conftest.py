"""Clients that others wrote, run by `ovh-proxy exec` before hosts that are all the sandbox."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.clients import Seen, Through
from support.command import environment
from support.node import Node, installed
from support.stand_in import StandIn, stand_in
from support.tools import PATH

from ovh_proxy.sandbox import grants

__all__ = ["stand_in"]

END_S = 40.0
# As somebody has them who used the client without the proxy before: they must not come through.
BEFORE = {
    "OVH_ENDPOINT": "ovh-ca",
    "OVH_APPLICATION_KEY": grants.APPLICATION_KEY,
    "OVH_APPLICATION_SECRET": grants.APPLICATION_SECRET,
    "OVH_CONSUMER_KEY": grants.CONSUMER_KEY,
    "OVH_AS": grants.APPLICATION_SECRET,
    "OVH_ACCESS_TOKEN": grants.ACCESS_TOKEN,
    "OVH_CLIENT_SECRET": grants.CLIENT_SECRET,
    "LEXICON_OVH_AUTH_CONSUMER_KEY": grants.CONSUMER_KEY,
}
# Notes what the client finds in its environment, then becomes the client.
NOTED = ("sh", "-c", 'env >"$0"; exec "$@"')


@pytest.fixture
def through(tmp_path: Path, stand_in: StandIn) -> Through:
    """Runs a client in a home of its own, with a store that it cannot name."""

    async def run(*command: str | Path, flags: Iterable[str] = (), **env: str) -> Seen:
        noted = tmp_path / "environ"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ovh_proxy", "exec", *stand_in.flags, *flags, "--"),
            *(*NOTED, str(noted), *map(str, command)),
            cwd=tmp_path,
            env=environment(tmp_path, PATH=PATH, **BEFORE, **env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), END_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        environ = noted.read_text() if noted.exists() else ""
        return Seen(process.returncode, out.decode(), err.decode(), environ)

    return run


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, and node-ovh by its old name and its new one."""
    return installed()
