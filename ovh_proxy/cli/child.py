"""A command run as a child: signals passed on, its end told as a shell would."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from ovh_proxy.cli.terminal import complain

# POSIX sh, "Exit Status for Commands".
NOT_EXECUTABLE, NOT_FOUND, BY_SIGNAL = 126, 127, 128
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
# A terminal sends these to all in its foreground: the child has them already.
_OF_THE_TERMINAL = ("SIGINT", "SIGQUIT", "SIGWINCH")


class Child:
    """Whom signals are for; those that come before it is there wait for it."""

    def __init__(self) -> None:
        """Takes the signals that are to be passed on, from now on."""
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[int] = []
        self._listen()

    async def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        """Runs a command on our own standard streams; gives the exit code."""
        try:
            process = await asyncio.create_subprocess_exec(*arguments, env=environ)
        except FileNotFoundError:
            complain(f"exec: {arguments[0]}: not found")
            return NOT_FOUND
        except OSError as failure:
            complain(f"exec: {arguments[0]}: cannot be run: {failure.strerror}")
            return NOT_EXECUTABLE
        except ValueError:
            complain("exec: an argument has a null byte in it")
            return NOT_EXECUTABLE
        self._started(process)
        code = await process.wait()
        return BY_SIGNAL - code if code < 0 else code

    def _listen(self) -> None:
        if sys.platform == "win32":  # pragma: no cover - a console tells all of its processes
            return
        loop = asyncio.get_running_loop()
        of_the_terminal = _ignore if _is_in_foreground() else self
        for name in (*_PASSED_ON, *_OF_THE_TERMINAL):
            number = getattr(signal, name)
            take = self if name in _PASSED_ON else of_the_terminal
            # What `nohup` has turned off stays so, for the child as well.
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, take, number)

    def _started(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        for number in self._early:
            self(number)

    def __call__(self, number: int) -> None:
        if self._process is None:
            self._early.append(number)
        elif self._process.returncode is None:
            self._process.send_signal(number)


def _ignore(number: int) -> None:
    """The child decides what it means."""


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # standard input is no terminal
        return False
