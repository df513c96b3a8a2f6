"""The private proxy of `exec`: its own authority, its child process, signals passed on."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from ovh_proxy.cli.client_environment import ProxyAccess, variables
from ovh_proxy.cli.client_trust import write_trust
from ovh_proxy.cli.terminal import complain
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.name_constraints import (
    DEFAULT_CONSTRAINTS,
    NameConstraints,
    is_host_name,
    parse_ip,
)
from ovh_proxy.core.settings import Settings, Store
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import ShutdownRequest, start_serving
from ovh_proxy.tls.authority import MARK, CertificateAuthority, make_authority


def private_constraints(store: Store) -> NameConstraints:
    """What `tls: auto` is bound to, the OAuth2 token hosts, and the hosts of the store.

    People log in at the token hosts: only an authority whose key is in no file, and which one
    command alone trusts, may vouch for them.
    """
    hosts = tuple(dict.fromkeys(_hosts(store)))
    names = (host for host in hosts if parse_ip(host) is None and is_host_name(host))
    addresses = (host for host in hosts if parse_ip(host) is not None)
    return replace(
        DEFAULT_CONSTRAINTS,
        names=tuple(dict.fromkeys((*DEFAULT_CONSTRAINTS.names, *names))),
        networks=(*DEFAULT_CONSTRAINTS.networks, *map(ip_network, addresses)),
    )


def _hosts(store: Store) -> Iterator[str]:
    """The hosts of all that is intercepted."""
    for endpoint in ENDPOINTS.values():
        yield _host_of(endpoint.base_url)
        if endpoint.token_url is not None:
            yield _host_of(endpoint.token_url)
    for profile in store.profiles.values():
        yield _host_of(profile.endpoint.base_url)


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def new_authority(store: Store) -> CertificateAuthority:
    """An authority whose key is in no file."""
    return make_authority(private_constraints(store), time.time())


@contextmanager
def private_directory(within: Path | None = None) -> Iterator[Path]:
    """A directory that nobody else looks into; it goes with all that is in it.

    Args:
        within: None is the system's place for what is temporary.

    Raises:
        CommandFailed: it cannot be made.
    """
    try:
        made = TemporaryDirectory(prefix="ovh-proxy-", dir=within, ignore_cleanup_errors=True)
    except OSError as failure:
        raise CommandFailed(
            "there is no directory for the certificates that the command is to trust; "
            "set TMPDIR to one that can be written to"
        ) from failure
    with made as directory:
        yield Path(directory)


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


@dataclass(frozen=True, slots=True)
class ExecTask:
    """What is run.

    Attributes:
        environ: what it is told besides the way to its proxy.
        access: less the URL, which is not known before the proxy listens.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    access: ProxyAccess
    is_logged: bool


async def run_with_proxy(settings: Settings, task: ExecTask) -> int:
    """Runs a command as long as it takes; gives its exit code.

    Raises:
        ListenFailed, UsageError: there is no proxy for it.
    """
    # Standard error is the command's own, unless the log was asked for.
    log = Log(settings.log.level, settings.log.format, None if task.is_logged else _Nowhere())
    stop, authority = ShutdownRequest(), new_authority(settings.store)
    announcement, serving = await start_serving(settings, log, stop, authority)
    try:
        # From here on a signal ends the command, and what is left of us goes with it.
        child = Child()
        with _told(replace(task.access, url=announcement.url), task.environ, authority) as environ:
            return await child.run(task.arguments, environ)
    finally:
        stop()
        stop()  # nobody is left to wait for an answer
        await serving


@contextmanager
def _told(
    access: ProxyAccess, environ: Mapping[str, str], authority: CertificateAuthority
) -> Iterator[dict[str, str]]:
    """The environment of the command; the files that it names are there for as long."""
    with private_directory() as directory:
        trust = write_trust(directory, authority.root_pem, environ, MARK.encode())
        yield {**environ, **variables(access, environ, authority.constraints.names), **trust}


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)
