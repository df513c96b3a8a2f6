"""`ovh-proxy run --workers N`: several processes that serve the same listeners."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ovh_proxy.cli.imports import loading
from ovh_proxy.cli.loop import run_event_loop
from ovh_proxy.core.errors import CommandFailed, UsageError

if TYPE_CHECKING:
    from ovh_proxy.workers.processes import WorkerStart
    from ovh_proxy.workers.worker import WorkerArguments

# Of a worker whose requests in flight were cut; the supervisor makes its own of it.
_WORKER_CUT_SHORT = 143


def require_workers(platform: str = sys.platform) -> None:
    """Raises where a process cannot be divided.

    Raises:
        UsageError: it says what to do.
    """
    # Windows has no fork; what macOS resolves names and keeps keys with does not survive one.
    if platform in ("win32", "darwin"):
        raise UsageError("several workers are for Linux; leave `workers` at 1 on this system")


def serve_by_many(
    given: "WorkerArguments",
    announce: Callable[[str], None],
    exit_code: Callable[[bool, int | None], int],
) -> int:
    """Runs supervisor and workers; returns in each of them at its end, with its exit code.

    Raises:
        CommandFailed: no worker could begin.
    """
    with loading():
        import prometheus_client  # noqa: F401 - for all workers to share

        from ovh_proxy.logs import Log, UnbufferedLogStream
        from ovh_proxy.server.serve import lines
        from ovh_proxy.server.systemd import SystemdNotifier
        from ovh_proxy.workers.processes import WorkerStart
        from ovh_proxy.workers.supervisor import Supervisor

    def begin() -> None:
        for line in lines(given.settings, given.bound):
            announce(line)

    settings = given.settings
    log = Log(settings.log.level, settings.log.format, UnbufferedLogStream())
    notifier = SystemdNotifier(os.environ)
    ended = Supervisor(settings, given.bound, given.shares, log, notifier, begin).run()
    if isinstance(ended, WorkerStart):
        return run_event_loop(_work(ended, given))
    if ended.failed:
        raise CommandFailed("no worker could begin; the log says why")
    return exit_code(ended.is_clean, ended.signal)


async def _work(post: "WorkerStart", given: "WorkerArguments") -> int:
    from ovh_proxy.core.errors import OvhProxyError
    from ovh_proxy.logs import BufferedLogStream, Log
    from ovh_proxy.workers.worker import serve_as_worker

    pipe = BufferedLogStream()
    log = Log(given.settings.log.level, given.settings.log.format, pipe)
    try:
        return 0 if await serve_as_worker(post, given, log) else _WORKER_CUT_SHORT
    except OvhProxyError as failure:
        log.write("error", f"a worker cannot begin: {failure}", worker=post.number)
        return failure.exit_code
    finally:
        pipe.close()
