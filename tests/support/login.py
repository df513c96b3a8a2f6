"""Runs `ovh-proxy login` as a process and fills in the validation page."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from support.command import environment
from support.ended import Ended

LIMIT_S = 30.0


@dataclass(slots=True)
class LoggingIn:
    """A running login.

    Attributes:
        url: the validation page.
        shown: the standard error output so far.
    """

    process: asyncio.subprocess.Process
    url: str = ""
    shown: str = ""

    async def read_url(self) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            while not self.url:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.shown
                self.shown += line
                match = re.fullmatch(r"  (https?://\S+)\n", line)
                self.url = match[1] if match else ""

    async def read_until(self, text: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            while text not in self.shown:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.shown
                self.shown += line

    async def end(self) -> Ended:
        async with asyncio.timeout(LIMIT_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(), self.shown + err.decode())


@asynccontextmanager
async def logging_in(
    home: Path, *arguments: str | Path, stdin: bytes = b"", **env: str
) -> AsyncIterator[LoggingIn]:
    """Runs `ovh-proxy login ARGUMENTS` and waits until it prints the URL of the validation page."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "login", *map(str, arguments)),
        cwd=home,
        env=environment(home, XDG_STATE_HOME=str(home / "state"), **env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    login = LoggingIn(process)
    try:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        await login.read_url()
        yield login
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def decide(url: str, decision: str = "validate", validity: str = "86400") -> tuple[str, str]:
    """Opens the page, fills in its form and submits it, as a browser would.

    Returns:
        the URL of the page after the redirect, and its text.
    """
    async with aiohttp.ClientSession() as browser:
        async with browser.get(url) as response:
            page = await response.text()
        (token,) = re.findall(r'name="credentialToken" value="(\w+)"', page)
        action = re.findall(r'<form method="post" action="([^"]+)"', page)[0]
        form = {"credentialToken": token, "validity": validity, "decision": decision}
        async with browser.post(
            response.url.join(aiohttp.client.URL(action)), data=form
        ) as response:
            return str(response.url), await response.text()
