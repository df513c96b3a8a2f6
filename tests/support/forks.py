"""A script that runs a supervisor and workers without a server."""

import asyncio

BOUND_S = 20.0

# {worker} is replaced by what each worker runs, {before} by code before the fork.
SCRIPT = """\
import ctypes, os, signal, socket, sys, time
from ovh_proxy.core.settings import Settings, Timeouts
from ovh_proxy.workers.channel import MessageDecoder, encode_message
from ovh_proxy.logs import UnbufferedLogStream
from ovh_proxy.logs import Log
from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.workers.supervisor import ShutdownResult
from ovh_proxy.workers.supervisor import Supervisor
from ovh_proxy.server.systemd import SystemdNotifier

settings = Settings(workers=2, timeouts=Timeouts(drain_s=0.1))
shares = ConnectionCounts(2)
log = Log("info", "json", UnbufferedLogStream())
say = lambda *words: os.write(1, (" ".join(map(str, words)) + "\\n").encode())
{before}
announce = lambda: say("all accept")
ended = Supervisor(settings, (), shares, log, SystemdNotifier({{}}), announce).run()
if isinstance(ended, ShutdownResult):
    say("ended", ended.is_clean, ended.signal, ended.failed)
    sys.exit()
start = ended
signal.alarm(20)  # ends the workers whatever happens in the test
{worker}
"""

READY = """\
start.channel.sendall(encode_message({"type": "ready"}))
say("worker", start.number)
"""
UNTIL_STOP = """\
decoder = MessageDecoder()
while True:
    for message in decoder.feed(start.channel.recv(1000) or sys.exit()):
        if message["type"] == "stop":
            sys.exit()
"""


class Script:
    """A running script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(BOUND_S):
            return (await self.process.stdout.readline()).decode().strip()

    async def lines(self, count: int) -> set[str]:
        return {await self.line() for _ in range(count)}

    async def end(self) -> tuple[list[str], str]:
        """Waits for the end; returns the remaining lines and the log."""
        async with asyncio.timeout(BOUND_S):
            out, err = await self.process.communicate()
        return out.decode().splitlines(), err.decode()
