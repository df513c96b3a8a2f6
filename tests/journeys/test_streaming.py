"""Responses are streamed: the first byte does not wait for the last, and memory stays bounded."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest
from support.command import running, write_store

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


async def test_the_first_chunk_arrives_before_the_second_is_sent(
    client: aiohttp.ClientSession,
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with client.get("/sandbox/slow?chunks=2&delay=1") as response:
        await response.content.readany()
        first = loop.time() - began
        await response.content.read()
        whole = loop.time() - began

    assert first < 0.9 < whole


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("framing", ["", "?chunked=1"], ids=["length", "chunked"])
async def test_a_large_response_needs_little_memory(
    sandbox: Sandbox, tmp_path: Path, framing: str
) -> None:
    size = 256 * 2**20
    store = write_store(tmp_path, sandbox)
    async with (
        running(tmp_path, "run", "--listen", "127.0.0.1:0", "--credentials", store) as proxy,
        aiohttp.ClientSession(proxy.url) as session,
    ):
        await (await session.get("/me")).read()
        before = _peak_mib(proxy.pid)
        received = 0

        async with session.get(f"/sandbox/bytes/{size}{framing}") as response:
            async for piece in response.content.iter_any():
                received += len(piece)

        assert received == size
        assert _peak_mib(proxy.pid) - before < 32


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 2**20
    raise AssertionError("no VmHWM")
