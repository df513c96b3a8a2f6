"""systemd: socket activation, and sd_notify."""

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Protocol

# sd_listen_fds(3): inherited descriptors start at 3.
_FIRST_DESCRIPTOR = 3


def take_descriptors(environ: MutableMapping[str, str], pid: int) -> tuple[int, ...]:
    """Returns the sockets of a socket unit; removes its variables from the environment.

    Source: sd_listen_fds(3).
    """
    listen_pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if listen_pid != str(pid) or not count.isdecimal():
        return ()
    return tuple(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))


class ServiceManager(Protocol):
    """Receives the state of this process."""

    def ready(self) -> None:
        """All listeners accept."""

    def reloading(self) -> None:
        """A reload has begun; `ready` follows."""

    def stopping(self) -> None:
        """A shutdown has begun."""


class SystemdNotifier:
    """Notifies systemd of the state; does nothing without NOTIFY_SOCKET.

    Attributes:
        watchdog_s: seconds between two calls of `alive`; None if `WatchdogSec=` is not set.

    Source: sd_notify(3), sd_watchdog_enabled(3).
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_period(environ)

    def ready(self) -> None:
        """All listeners accept."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload has begun; `ready` follows."""
        microseconds = time.monotonic_ns() // 1000  # CLOCK_MONOTONIC on Linux
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """A shutdown has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop runs; due every `watchdog_s` seconds."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.setblocking(False)
                sender.sendto(state.encode("ascii"), name)
            except OSError:
                # Serve even if the service manager does not listen.
                return


def _watchdog_period(environ: MutableMapping[str, str]) -> float | None:
    pid = environ.pop("WATCHDOG_PID", "")
    timeout = environ.pop("WATCHDOG_USEC", "")
    if pid not in ("", str(os.getpid())) or not timeout.isdecimal() or int(timeout) == 0:
        return None
    return int(timeout) / 2e6  # half of the timeout, as systemd recommends
