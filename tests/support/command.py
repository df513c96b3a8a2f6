"""The real command as a process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

START_S = 20.0
STOP_S = 20.0


@dataclass(slots=True)
class Running:
    """A listening command.

    Attributes:
        line: the first line of its standard output.
        url: the URL in that line.
    """

    process: asyncio.subprocess.Process
    line: str

    @property
    def url(self) -> str:
        return next(word for word in self.line.split() if "://" in word or "unix:" in word)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops it, and returns its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(STOP_S):
            return await self.process.wait()


def environment(home: Path, **more: str) -> dict[str, str]:
    """Returns this process's environment with a separate home and without OVHcloud keys."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OVH_")}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **more}


@asynccontextmanager
async def running(
    home: Path,
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
    stderr: int | None = None,
) -> AsyncIterator[Running]:
    """Runs `ovh-proxy ARGUMENTS` until the end of the block; its log goes to HOME/log.

    Args:
        under: a wrapper command, such as `strace`.
        stderr: a descriptor for the log, instead of the file.
    """
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *under,
            sys.executable,
            "-m",
            "ovh_proxy",
            *map(str, arguments),
            cwd=home,
            env=environment(home, **(env or {})),
            stdout=asyncio.subprocess.PIPE,
            stderr=log if stderr is None else stderr,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = (await process.stdout.readline()).decode().strip()
            assert line, (home / "log").read_text()
            command = Running(process, line)
            yield command
            await command.stop()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def write_store(home: Path, sandbox: Sandbox, extra: str = "") -> Path:
    """Writes a credential store with a profile of each kind for the sandbox."""
    store = home / "credentials.yaml"
    store.write_text(
        f"""\
default: personal
profiles:
  personal: &keys
    endpoint: {sandbox.base_url}
    application_key: {grants.APPLICATION_KEY}
    application_secret: {grants.APPLICATION_SECRET}
    consumer_key: {grants.CONSUMER_KEY}
  runabove: *keys
  robot:
    endpoint: {sandbox.base_url}
    client_id: {grants.CLIENT_ID}
    client_secret: {grants.CLIENT_SECRET}
    token_url: {sandbox.token_url}
  card:
    endpoint: {sandbox.base_url}
    access_token: {grants.ACCESS_TOKEN}
{extra}"""
    )
    store.chmod(0o600)
    return store
