"""Runs third-party clients with `ovh-proxy exec`; the sandbox stands in for OVHcloud's hosts."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.clients import ClientResult, RunClient
from support.command import environment
from support.node import Node, installed
from support.stand_in import StandIn, stand_in
from support.tools import PATH

from ovh_proxy.sandbox import grants

__all__ = ["stand_in"]

END_S = 40.0
# Keys of a user who used the client without the proxy before; the client must not get them.
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
# Saves the environment of the client, then runs the client.
SAVE_ENVIRONMENT = ("sh", "-c", 'env >"$0"; exec "$@"')


@pytest.fixture
def run_client(tmp_path: Path, stand_in: StandIn) -> RunClient:
    """Runs a client in a home directory without a store."""

    async def run(*command: str | Path, flags: Iterable[str] = (), **env: str) -> ClientResult:
        saved = tmp_path / "environ"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ovh_proxy", "exec", *stand_in.flags, *flags, "--"),
            *(*SAVE_ENVIRONMENT, str(saved), *map(str, command)),
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
        environ = saved.read_text() if saved.exists() else ""
        return ClientResult(process.returncode, out.decode(), err.decode(), environ)

    return run


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js, and node-ovh under its old and its new name."""
    return installed()
