"""A proxy for one command, which ends with it."""

import asyncio
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ovh_proxy.cli.child import Child
from ovh_proxy.cli.client_environment import ProxyAccess, variables
from ovh_proxy.cli.client_trust import write_trust
from ovh_proxy.cli.private_authority import new_authority, private_directory
from ovh_proxy.core.settings import Settings
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import ShutdownRequest, serve
from ovh_proxy.tls.authority import MARK, CertificateAuthority


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
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    served = asyncio.ensure_future(
        serve(settings, log, listening.set_result, stop, authority=authority)
    )
    await asyncio.wait((served, listening), return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        await served  # raises why it does not listen
    url = listening.result().split()[3]  # ovh-proxy: listening on URL (…)
    try:
        # From here on a signal ends the command, and what is left of us goes with it.
        child = Child()
        with _told(replace(task.access, url=url), task.environ, authority) as environ:
            return await child.run(task.arguments, environ)
    finally:
        stop()
        stop()  # nobody is left to wait for an answer
        await served


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
