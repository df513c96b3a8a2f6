"""Signals that a terminal sends to `exec` and its command, in a real pseudo-terminal."""

import asyncio
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from support.command import environment, write_store
from support.tools import tool

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="sigtimedwait is not in macOS"),
]

# Exits with 40 plus the number of times that the signal arrived.
COUNTING = """
import signal, sys
number = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {number})
open(sys.argv[2], "w").close()
count, patience = 0, 15
while signal.sigtimedwait({number}, patience):
    count, patience = count + 1, 0.5
    open(sys.argv[2] + ".1", "w").close()
sys.exit(40 + count)
"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A pseudo-terminal.

    Attributes:
        keys: the descriptor on which the user types.
        screen: the descriptor that programs read and write.
    """

    keys: int
    screen: int

    def start(
        self,
        home: Path,
        arguments: tuple[str, ...],
        streams: tuple[bool, bool, bool],
        program: tuple[str, ...] = (sys.executable, "-m", "ovh_proxy"),
    ) -> subprocess.Popen[bytes]:
        """Starts `ovh-proxy` in the foreground; False redirects a stream to the null device."""
        stdin, stdout, stderr = (self.screen if kept else subprocess.DEVNULL for kept in streams)
        return subprocess.Popen(
            (*program, *arguments),
            cwd=home,
            env=environment(home),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(self.screen, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    keys, screen = os.openpty()
    yield Terminal(keys, screen)
    os.close(keys)
    os.close(screen)


@contextmanager
def ended_for_sure(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def until_exists(file: Path) -> None:
    await asyncio.to_thread(_poll, file)


def _poll(file: Path) -> None:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@asynccontextmanager
async def held(process: subprocess.Popen[bytes], ready: Path) -> AsyncIterator[None]:
    """Holds `exec` until CMD has its first signal: two that wait at the same time count as one."""
    await until_exists(ready)
    process.send_signal(signal.SIGSTOP)
    yield
    await until_exists(ready.with_suffix(".1"))
    process.send_signal(signal.SIGCONT)


def counting(home: Path, sandbox: Sandbox, number: int, ready: Path) -> tuple[str, ...]:
    store = str(write_store(home, sandbox))
    cmd = (sys.executable, "-c", COUNTING, str(int(number)), str(ready))
    return ("exec", "--credentials", store, "--", *cmd)


@pytest.mark.parametrize(
    "streams",
    list(product((True, False), repeat=3)),
    ids=lambda streams: "".join(name for name, kept in zip("ioe", streams, strict=True) if kept),
)
async def test_ctrl_c_reaches_cmd_once(
    home: Path, sandbox: Sandbox, terminal: Terminal, streams: tuple[bool, bool, bool]
) -> None:
    ready = home / "ready"
    process = terminal.start(home, counting(home, sandbox, signal.SIGINT, ready), streams)
    with ended_for_sure(process):
        async with held(process, ready):
            os.write(terminal.keys, b"\x03")

        assert await asyncio.to_thread(process.wait, 20) == 41


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGWINCH"])
async def test_other_signals_of_a_terminal_reach_cmd_once(
    home: Path, sandbox: Sandbox, terminal: Terminal, name: str
) -> None:
    ready, number = home / "ready", getattr(signal, name)
    process = terminal.start(home, counting(home, sandbox, number, ready), (False, True, True))
    with ended_for_sure(process):
        async with held(process, ready):
            if name == "SIGQUIT":
                os.write(terminal.keys, b"\x1c")
            else:
                termios.tcsetwinsize(terminal.keys, (30, 90))

        assert await asyncio.to_thread(process.wait, 20) == 41


# Runs a command in a process group of its own, so in the background; exits with its exit code.
LEADER = """
import subprocess, sys
started = subprocess.Popen(sys.argv[2:], process_group=0)
open(sys.argv[1], "w").write(str(started.pid))
sys.exit(started.wait())
"""


async def test_in_the_background_of_a_terminal_signals_are_forwarded(
    home: Path, sandbox: Sandbox, terminal: Terminal
) -> None:
    ready, pid = home / "ready", home / "pid"
    program = (sys.executable, "-c", LEADER, str(pid), sys.executable, "-m", "ovh_proxy")
    arguments = counting(home, sandbox, signal.SIGINT, ready)
    process = terminal.start(home, arguments, (True, True, True), program)
    with ended_for_sure(process):
        await until_exists(ready)

        os.kill(int(pid.read_text()), signal.SIGINT)

        assert await asyncio.to_thread(process.wait, 20) == 41


async def test_ctrl_c_ends_the_loop_around_exec(
    home: Path, sandbox: Sandbox, terminal: Terminal
) -> None:
    ready, after = home / "ready", home / "after"
    store = str(write_store(home, sandbox))
    exec_ = shlex.join([sys.executable, "-m", "ovh_proxy", "exec", "--credentials", store, "--"])
    script = f"for i in 1 2; do {exec_} sh -c 'touch {ready}; exec sleep 20'; touch {after}; done"
    process = terminal.start(home, ("-c", script), (True, True, True), (tool("bash"),))
    with ended_for_sure(process):
        await until_exists(ready)

        os.write(terminal.keys, b"\x03")

        assert await asyncio.to_thread(process.wait, 20) == -signal.SIGINT
    assert not after.exists()
