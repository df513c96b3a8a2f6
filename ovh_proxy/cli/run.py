"""`ovh-proxy run`: serves, in one process or several."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ovh_proxy.cli.imports import loading, require_c_parser
from ovh_proxy.cli.options import listen_options, option, store_options
from ovh_proxy.cli.terminal import discard_stdout
from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.settings import DEFAULT_LISTENERS, InheritedAddress, Listener, Settings

if TYPE_CHECKING:
    from ovh_proxy.recording.recording_file import Recording
    from ovh_proxy.server.serve import Announcement
    from ovh_proxy.workers.processes import WorkerStart
    from ovh_proxy.workers.worker import WorkerArguments


T = TypeVar("T")


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows, and platforms without a wheel
        return None
    return uvloop.new_event_loop


# Exit code of a worker that cut requests short; the supervisor derives its own from it.
_WORKER_CUT_SHORT = 143
# Exit codes of the command when requests were cut short, by the signal that stopped it.
_CUT_SHORT: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


@click.command("run")
@store_options
@listen_options
@option(
    "--drain-delay",
    "Seconds to keep accepting connections after SIGTERM.",
    type=click.FloatRange(min=0),
)
@option("--workers", "Number of worker processes.", type=click.IntRange(min=1))
@option(
    "--record-rules",
    "Record the kinds of calls in FILE, for `ovh-proxy rules`.",
    metavar="FILE",
)
@option(
    "--schema",
    "Directory with the API schema (me.json, …) for --record-rules; fetched by default.",
    metavar="DIR",
)
def command(record_rules: str | None, schema: str | None, **flags: Any) -> int:
    """Run the proxy: sign requests, forward them and stream the responses back.

    Prints one line per listener to stdout when it accepts connections, and logs one line per
    request to stderr. SIGTERM or Ctrl-C lets requests in flight finish; a second signal stops at
    once.
    """
    require_c_parser()
    from ovh_proxy.server.process import deny_debuggers

    deny_debuggers()
    watch = SettingsWatcher(Sources(**flags))
    first = watch.load()
    recording = _open_recording(record_rules, schema)
    if first.workers > 1:
        return _serve_with_workers(watch, first, recording)
    return run_event_loop(_serve(watch, first, recording))


def _open_recording(path: str | None, schema: str | None) -> "Recording | None":
    if path is None:
        return None
    # Imported here: few runs record.
    from ovh_proxy.recording.recording_file import SchemaFiles, open_recording

    return open_recording(path, None if schema is None else SchemaFiles(schema))


async def _serve(watch: SettingsWatcher, first: Settings, recording: "Recording | None") -> int:
    # Imported here, so that a broken configuration fails before the server is imported.
    with loading():
        from ovh_proxy.logs import BufferedLogStream, Log
        from ovh_proxy.server.reload import ReloadTrigger
        from ovh_proxy.server.serve import ShutdownRequest, handle_signals, serve
        from ovh_proxy.server.systemd import SystemdNotifier

    settings = with_systemd_sockets(first)
    stop, reload_trigger = ShutdownRequest(), ReloadTrigger(watch, first)
    handle_signals(stop, reload_trigger)
    stream = BufferedLogStream()
    log = Log(settings.log.level, settings.log.format, stream)
    for warning in first.store.warnings:
        log.write("warning", warning)
    notifier = SystemdNotifier(os.environ)
    try:
        clean = await serve(settings, log, announce, stop, recording, notifier, reload_trigger)
    finally:
        stream.close()
    return exit_code(clean, stop.signal)


def with_systemd_sockets(settings: Settings) -> Settings:
    """The settings with the sockets of a systemd socket unit, unless they set `listen`."""
    from ovh_proxy.server.systemd import take_descriptors

    descriptors = take_descriptors(os.environ, os.getpid())
    if not descriptors or settings.listen != DEFAULT_LISTENERS:
        return settings
    return replace(settings, listen=tuple(Listener(InheritedAddress(n)) for n in descriptors))


def _serve_with_workers(
    watch: SettingsWatcher, first: Settings, recording: "Recording | None"
) -> int:
    require_fork()
    with loading():
        from ovh_proxy.limits.concurrency import ConnectionCounts
        from ovh_proxy.observability.observers import require_observers
        from ovh_proxy.server.serve import bind_all
        from ovh_proxy.workers.worker import WorkerArguments

    require_observers(first)
    settings = with_systemd_sockets(first)
    bound = tuple(bind_all(settings))
    for listener in bound:
        listener.listen()
    return supervise(
        WorkerArguments(first, settings, bound, ConnectionCounts(first.workers), watch, recording)
    )


def require_fork(platform: str = sys.platform) -> None:
    """Raises on platforms where worker processes cannot be forked.

    Raises:
        UsageError: it says what to do.
    """
    # Windows has no fork; macOS name resolution and keychains do not survive one.
    if platform in ("win32", "darwin"):
        raise UsageError(
            f"several workers need Linux, this is {platform}; leave `workers` at 1 on this system"
        )


def supervise(arguments: "WorkerArguments") -> int:
    """Runs the supervisor and its workers; returns the exit code in each of these processes.

    Raises:
        CommandFailed: no worker could start.
    """
    with loading():
        import prometheus_client  # noqa: F401 - imported before the fork, so that workers share it

        from ovh_proxy.logs import Log, UnbufferedLogStream
        from ovh_proxy.server.serve import announcements
        from ovh_proxy.server.systemd import SystemdNotifier
        from ovh_proxy.workers.processes import WorkerStart
        from ovh_proxy.workers.supervisor import Supervisor

    settings, bound = arguments.settings, arguments.bound

    def announce_all() -> None:
        for announcement in announcements(settings, bound):
            announce(announcement)

    log = Log(settings.log.level, settings.log.format, UnbufferedLogStream())
    for warning in settings.store.warnings:
        log.write("warning", warning)
    notifier = SystemdNotifier(os.environ)
    ended = Supervisor(settings, bound, arguments.shares, log, notifier, announce_all).run()
    if isinstance(ended, WorkerStart):
        return run_event_loop(_work(ended, arguments))
    if ended.failed:
        raise CommandFailed("no worker could start; see the log for the reason")
    return exit_code(ended.is_clean, ended.signal)


async def _work(start: "WorkerStart", arguments: "WorkerArguments") -> int:
    from ovh_proxy.core.errors import OvhProxyError
    from ovh_proxy.logs import BufferedLogStream, Log
    from ovh_proxy.workers.worker import serve_as_worker

    stream = BufferedLogStream()
    log = Log(arguments.settings.log.level, arguments.settings.log.format, stream)
    try:
        return 0 if await serve_as_worker(start, arguments, log) else _WORKER_CUT_SHORT
    except OvhProxyError as failure:
        log.write("error", f"a worker cannot start: {failure}", worker=start.number)
        return failure.exit_code
    finally:
        stream.close()


def exit_code(clean: bool, number: int | None) -> int:
    """The exit code of a command that served.

    Args:
        clean: whether every request in flight finished.
        number: the signal that stopped it.
    """
    return 0 if clean else _CUT_SHORT.get(number or signal.SIGTERM, 1)


def announce(announcement: "Announcement") -> None:
    """Prints an announcement on stdout at once, for programs that wait for it."""
    try:
        click.echo(announcement_line(announcement))
    except OSError:
        discard_stdout()  # a full disk or a closed pipe must not stop requests


def announcement_line(announcement: "Announcement") -> str:
    """An announcement in one line: the URL, and the profiles that are served there."""
    store = announcement.store
    if store is None:
        return f"ovh-proxy: admin listener on {announcement.url}"
    default = store.default_profile
    if default is not None:
        served = f"profile {default.name}, {default.endpoint.name}"
    else:
        served = f"profiles {', '.join(store.profiles)}; none is the default"
    if store.is_fallback:
        served += f"; from {store.source}"
    return f"ovh-proxy: listening on {announcement.url} ({served})"
