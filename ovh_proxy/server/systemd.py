"""systemd: socket activation, and sd_notify."""

import socket
import time
from collections.abc import MutableMapping
from typing import Protocol

# sd_listen_fds(3): descriptors are handed over from 3 on.
_FIRST_DESCRIPTOR = 3


def take_descriptors(environ: MutableMapping[str, str], pid: int) -> tuple[int, ...]:
    """The listening sockets of a socket unit; its variables are taken out of the environment.

    Source: sd_listen_fds(3).
    """
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(pid) or not count.isdecimal():
        return ()
    return tuple(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))


class ServiceManager(Protocol):
    """A way to whoever wants to know how the process stands."""

    def ready(self) -> None:
        """All listeners accept."""

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows."""

    def stopping(self) -> None:
        """A stop is under way."""


class SystemdNotifier:
    """Tells the service manager how the process stands; silent where there is none.

    Source: sd_notify(3).
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        """All listeners accept."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows."""
        microseconds = time.monotonic_ns() // 1000  # CLOCK_MONOTONIC on Linux
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """A stop is under way."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.setblocking(False)
                sender.sendto(state.encode("ascii"), name)
            except OSError:
                # A manager that does not listen is no reason not to serve.
                return
