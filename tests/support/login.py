"""A login as a separate process, and its user at the validation page."""

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
    """A login that waits for its owner.

    Attributes:
        url: of the validation page.
        said: its standard error so far.
    """

    process: asyncio.subprocess.Process
    url: str = ""
    said: str = ""

    async def read_url(self) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            while not self.url:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.said
                self.said += line
                match = re.fullmatch(r"  (https?://\S+)\n", line)
                self.url = match[1] if match else ""

    async def read_until(self, text: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            while text not in self.said:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.said
                self.said += line

    async def end(self) -> Ended:
        async with asyncio.timeout(LIMIT_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(), self.said + err.decode())


@asynccontextmanager
async def logging_in(
    home: Path, *arguments: str | Path, stdin: bytes = b"", **env: str
) -> AsyncIterator[LoggingIn]:
    """Runs `ovh-proxy login ARGUMENTS` and waits until it names the validation page."""
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
    """Opens the page and submits its form, as a browser would.

    Returns:
        where that led, and the page there.
    """
    async with aiohttp.ClientSession() as browser:
        async with browser.get(url) as answer:
            page = await answer.text()
        (token,) = re.findall(r'name="credentialToken" value="(\w+)"', page)
        action = re.findall(r'<form method="post" action="([^"]+)"', page)[0]
        form = {"credentialToken": token, "validity": validity, "decision": decision}
        async with browser.post(answer.url.join(aiohttp.client.URL(action)), data=form) as answer:
            return str(answer.url), await answer.text()
