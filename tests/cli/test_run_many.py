"""`run` with several workers, where they cannot start."""

import asyncio
import sys
from pathlib import Path

import pytest
from support.command import environment

from ovh_proxy.cli.run import require_fork
from ovh_proxy.core.errors import UsageError


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_several_workers_are_rejected_where_a_process_cannot_fork(platform: str) -> None:
    with pytest.raises(UsageError, match=f"this is {platform}; leave `workers` at 1"):
        require_fork(platform)


def test_several_workers_are_for_linux() -> None:
    require_fork("linux")


# A connected socket cannot listen; the workers are the first to find out.
SCRIPT = """\
import socket, sys
from ovh_proxy.cli.run import supervise
from ovh_proxy.cli.terminal import complain
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import InheritedAddress, Listener, Settings
from ovh_proxy.listeners.listener import BoundListener
from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.workers.worker import WorkerArguments

connected, _ = socket.socketpair()
settings = Settings(listen=(Listener(InheritedAddress(connected.fileno())),), workers=2)
bound = BoundListener(settings.listen[0], (connected,), None)
try:
    arguments = WorkerArguments(settings, settings, (bound,), ConnectionCounts(2), None, None)
    sys.exit(supervise(arguments))
except CommandFailed as failure:
    complain(str(failure))
"""


@pytest.mark.asyncio
@pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")
async def test_workers_that_cannot_start_say_why_in_the_log_and_end_the_command(
    home: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    out, err = await asyncio.wait_for(process.communicate(), 20)

    *log, last = err.decode().splitlines()
    assert out == b""
    assert last == "ovh-proxy: no worker could start; see the log for the reason"
    assert log
    assert all("a worker cannot start: cannot listen on fd:" in line for line in log)
