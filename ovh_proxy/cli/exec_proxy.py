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
    """The names of `tls: auto`, the OAuth2 token hosts, and the hosts of the store.

    People log in at the token hosts, so only this authority may issue certificates for them: its
    key is never written to a file, and only one command trusts it.
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
    """The hosts that the proxy intercepts."""
    for endpoint in ENDPOINTS.values():
        yield _host_of(endpoint.base_url)
        if endpoint.token_url is not None:
            yield _host_of(endpoint.token_url)
    for profile in store.profiles.values():
        yield _host_of(profile.endpoint.base_url)


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def new_authority(store: Store) -> CertificateAuthority:
    """An authority whose key is never written to a file."""
    return make_authority(private_constraints(store), time.time())


@contextmanager
def private_directory(within: Path | None = None) -> Iterator[Path]:
    """A directory that other users cannot read; it is deleted at the end of the block.

    Args:
        within: None for the system's temporary directory.

    Raises:
        CommandFailed: it cannot be created.
    """
    try:
        temporary = TemporaryDirectory(prefix="ovh-proxy-", dir=within, ignore_cleanup_errors=True)
    except OSError as failure:
        raise CommandFailed(
            "cannot create a temporary directory for the certificates; "
            "set TMPDIR to a writable directory"
        ) from failure
    with temporary as directory:
        yield Path(directory)


# POSIX sh, "Exit Status for Commands".
NOT_EXECUTABLE, NOT_FOUND, BY_SIGNAL = 126, 127, 128
_FORWARDED_SIGNALS = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
# A terminal sends these to the whole foreground process group, which includes the child.
_TERMINAL_SIGNALS = ("SIGINT", "SIGQUIT", "SIGWINCH")


class Child:
    """The command, to which our signals are forwarded; early ones are queued until it runs."""

    def __init__(self) -> None:
        """Installs the signal handlers."""
        self._process: asyncio.subprocess.Process | None = None
        self._queued_signals: list[int] = []
        self._add_signal_handlers()

    async def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        """Runs a command with our standard streams.

        Returns:
            the exit code; if a signal killed the command, minus its number.
        """
        try:
            # Inherited descriptors are passed on: a shell's `<(…)`, a lock, make's job server. Ours
            # are close-on-exec, as Python opens all of them.
            process = await asyncio.create_subprocess_exec(*arguments, env=environ, close_fds=False)
        except FileNotFoundError:
            complain(f"exec: {arguments[0]}: not found")
            return NOT_FOUND
        except OSError as failure:
            complain(f"exec: {arguments[0]}: cannot execute: {failure.strerror}")
            return NOT_EXECUTABLE
        except ValueError:
            complain("exec: an argument contains a null byte")
            return NOT_EXECUTABLE
        self._started(process)
        return await process.wait()

    def _add_signal_handlers(self) -> None:
        if sys.platform == "win32":  # pragma: no cover - a console signals all of its processes
            return
        loop = asyncio.get_running_loop()
        for name in (*_FORWARDED_SIGNALS, *_TERMINAL_SIGNALS):
            number = getattr(signal, name)
            handler = self if name in _FORWARDED_SIGNALS else self._from_terminal
            # A signal that `nohup` disabled stays disabled, for the child as well.
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, handler, number)

    def _started(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        for number in self._queued_signals:
            self(number)

    def __call__(self, number: int) -> None:
        if self._process is None:
            self._queued_signals.append(number)
        elif self._process.returncode is None:
            self._process.send_signal(number)

    def _from_terminal(self, number: int) -> None:
        # A running child in the foreground has the signal already. One that comes before the child
        # runs is queued.
        if self._process is None or not _is_in_foreground():
            self(number)


def _is_in_foreground() -> bool:
    """Whether the controlling terminal signals this process group.

    Any of the standard streams may be redirected, and a shell may have moved the group to the
    background or back.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is none
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it hung up
        return False
    finally:
        os.close(terminal)


def exit_as(code: int) -> int:
    """Ends this process by the signal that killed the command; returns its exit code otherwise.

    A shell ends its loop or script only if Ctrl-C killed the program that it waits for.

    Args:
        code: what `Child.run` returned.

    Returns:
        for a signal that does not end this process, as in the first process of a container, 128
        plus its number.
    """
    if code >= 0:
        return code
    number = -code
    if number not in (signal.SIGKILL, signal.SIGSTOP):  # their action is always the default
        _prevent_core_dump()  # the one of the command is enough
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return BY_SIGNAL + number


def _prevent_core_dump() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


@dataclass(frozen=True, slots=True)
class ExecTask:
    """The command to run.

    Attributes:
        environ: without the variables that point to the proxy.
        access: without the URL, which is known once the proxy listens.
        is_logged: whether the proxy logs to standard error.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    access: ProxyAccess
    is_logged: bool


async def run_with_proxy(settings: Settings, task: ExecTask) -> int:
    """Runs a command and its proxy until the command exits; returns as `Child.run`.

    Raises:
        ListenFailed, UsageError: the proxy cannot start.
    """
    # Standard error belongs to the command, unless the user asks for the log.
    log = Log(settings.log.level, settings.log.format, None if task.is_logged else _DiscardedText())
    stop, authority = ShutdownRequest(), new_authority(settings.store)
    announcement, serving = await start_serving(settings, log, stop, authority)
    try:
        # From here on signals go to the command; the proxy stops when the command exits.
        child = Child()
        access = replace(task.access, url=announcement.url)
        with _child_environment(access, task.environ, authority) as environ:
            return await child.run(task.arguments, environ)
    finally:
        stop()
        stop()  # at once: no client is left
        await serving


@contextmanager
def _child_environment(
    access: ProxyAccess, environ: Mapping[str, str], authority: CertificateAuthority
) -> Iterator[dict[str, str]]:
    """The environment of the command; its certificate files exist until the end of the block."""
    with private_directory() as directory:
        trust = write_trust(directory, authority.root_pem, environ, MARK.encode())
        yield {**environ, **variables(access, environ, authority.constraints.names), **trust}


class _DiscardedText(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)
