"""A real Prometheus with the scrape configuration of a test."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from support.tools import tool

LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus.

    Attributes:
        session: an HTTP client with its base URL.
    """

    session: aiohttp.ClientSession

    async def ask(self, path: str, **query: str) -> Any:
        """Returns the data of an API response."""
        async with self.session.get(f"/api/v1/{path}", params=query) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        return told["data"]

    async def values(self, query: str) -> list[float]:
        """Returns the current results of a query, without NaN."""
        told = await self.ask("query", query=query)
        found = [float(one["value"][1]) for one in told["result"]]
        return [value for value in found if not math.isnan(value)]


@asynccontextmanager
async def running_prometheus(home: Path, config: dict[str, Any]) -> AsyncIterator[Prometheus]:
    """Runs one until the end of the block; its log goes to HOME/prometheus.log."""
    program, log = tool("prometheus"), home / "prometheus.log"
    (home / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML, too
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={home / 'prometheus.json'}",
            f"--storage.tsdb.path={home / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
            stdout=written,
            stderr=written,
        )
    try:
        async with aiohttp.ClientSession(await _url_in(log)) as session:
            yield Prometheus(session)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(LIMIT_S):
            await process.wait()


async def _url_in(log: Path) -> str:
    """Returns the logged URL once it is ready."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            said = log.read_text()
            if "Server is ready" in said:
                (address,) = re.findall(r'msg="Listening on" address=(\S+)', said)
                return f"http://{address}"
            await asyncio.sleep(0.02)
