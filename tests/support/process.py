"""The real command with a hostile upstream."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import Running, running
from support.hostile import HostileUpstream
from support.proxy_server import APPLICATION_SECRET, BOUND_S, CONSUMER_KEY, Message, read_message
from support.raw_server import within


@dataclass(slots=True)
class Command(Running):
    """A proxy in a separate process.

    Attributes:
        home: its home directory.
    """

    home: Path = Path()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Opens a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, text: bytes) -> Message | None:
        """Returns the response to one request on a new connection; None if it was cut off."""
        reader, writer = await self.connect()
        try:
            writer.write(text)
            return await within(read_message(reader), BOUND_S)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            writer.close()

    @property
    def records(self) -> list[dict[str, Any]]:
        """All log records."""
        lines = (self.home / "log").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    async def until_logged(self, message: str) -> dict[str, Any]:
        """Waits for a record with this message, and returns the first one."""
        async with asyncio.timeout(BOUND_S):
            while True:
                found = [one for one in self.records if one["message"] == message]
                if found:
                    return found[0]
                await asyncio.sleep(0.01)


def write_files(home: Path, upstream: HostileUpstream, settings: str) -> tuple[str, ...]:
    """Writes a store for the upstream and a settings file; returns the flags for both."""
    store, config = home / "credentials.yaml", home / "ovh-proxy.yaml"
    store.touch(mode=0o600)
    store.write_text(
        f"profiles:\n  personal:\n    endpoint: {upstream.url}/1.0\n"
        f"    application_key: MadeUpAppKey0000\n    application_secret: {APPLICATION_SECRET}\n"
        f"    consumer_key: {CONSUMER_KEY}\n"
    )
    config.write_text(settings)
    return ("--credentials", str(store), "--config", str(config))


@asynccontextmanager
async def command(
    home: Path,
    upstream: HostileUpstream,
    *,
    settings: str = "",
    env: dict[str, str] | None = None,
    under: Sequence[str] = (),
    stderr: int | None = None,
) -> AsyncIterator[Command]:
    """Runs `ovh-proxy run` on a free port until the end of the block.

    Args:
        settings: the text of the settings file.
        under, stderr: as of `running`.
    """
    files = write_files(home, upstream, f"listen: ['127.0.0.1:0']\n{settings}")
    options = ("run", *files, "--log-format", "json")
    async with running(home, *options, env=env, under=under, stderr=stderr) as started:
        await upstream.until(lambda: upstream.states_told > 0)
        yield Command(started.process, started.line, home)
