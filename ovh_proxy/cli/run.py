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
from ovh_proxy.cli.terminal import write_nowhere
from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.settings import DEFAULT_LISTENERS, InheritedAddress, Listener, Settings

if TYPE_CHECKING:
    from ovh_proxy.recording.recording_file import Recording
    from ovh_proxy.workers.processes import WorkerStart
    from ovh_proxy.workers.worker import WorkerArguments


T = TypeVar("T")


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs until the end, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=_fastest()) as runner:
        return runner.run(main)


def _fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows, and wherever there is no wheel
        return None
    return uvloop.new_event_loop


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


_CUT_SHORT: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


@click.command("run")
@store_options
@listen_options
@option(
    "--drain-delay",
    "Seconds after SIGTERM in which new connections are still served.",
    type=click.FloatRange(min=0),
)
@option("--workers", "Processes that serve.", type=click.IntRange(min=1))
@option(
    "--record-rules",
    "Note in FILE, for `ovh-proxy rules`, which kinds of calls went through.",
    metavar="FILE",
)
@option(
    "--schema",
    "Directory with the API's schema (me.json, …) for --record-rules; else it is fetched.",
    metavar="DIR",
)
def command(record_rules: str | None, schema: str | None, **flags: Any) -> int:
    """Serve: unsigned requests in, signed ones out, answers streamed back.

    Prints one line for each listener once it accepts, and a log line a request on stderr.
    SIGTERM and Ctrl-C let the requests in flight end; a second one does not.
    """
    require_c_parser()
    from ovh_proxy.server.process import deny_debuggers

    deny_debuggers()
    watch = SettingsWatcher(Sources(**flags))
    first = watch.load()
    recording = _recording(record_rules, schema)
    if first.workers > 1:
        return _serve_by_many(watch, first, recording)
    return run_event_loop(_serve(watch, first, recording))


def with_handed_over(settings: Settings) -> Settings:
    """The settings with the sockets of a systemd socket unit, where they name no others."""
    from ovh_proxy.server.systemd import take_descriptors

    descriptors = take_descriptors(os.environ, os.getpid())
    if not descriptors or settings.listen != DEFAULT_LISTENERS:
        return settings
    return replace(settings, listen=tuple(Listener(InheritedAddress(n)) for n in descriptors))


def _recording(path: str | None, schema: str | None) -> "Recording | None":
    if path is None:
        return None
    # Imported here: few runs record.
    from ovh_proxy.recording.recording_file import SchemaFiles, open_recording

    return open_recording(path, None if schema is None else SchemaFiles(schema))


async def _serve(watch: SettingsWatcher, first: Settings, recording: "Recording | None") -> int:
    # Imported here, so that a broken configuration is told before the server's imports are paid.
    with loading():
        from ovh_proxy.logs import BufferedLogStream, Log
        from ovh_proxy.server.reload import ReloadTrigger
        from ovh_proxy.server.serve import ShutdownRequest, handle_signals, serve
        from ovh_proxy.server.systemd import SystemdNotifier

    settings = with_handed_over(first)
    stop, reload_trigger = ShutdownRequest(), ReloadTrigger(watch, first)
    handle_signals(stop, reload_trigger)
    pipe = BufferedLogStream()
    log = Log(settings.log.level, settings.log.format, pipe)
    notifier = SystemdNotifier(os.environ)
    try:
        clean = await serve(settings, log, announce, stop, recording, notifier, reload_trigger)
    finally:
        pipe.close()
    return exit_code(clean, stop.signal)


def _serve_by_many(watch: SettingsWatcher, first: Settings, recording: "Recording | None") -> int:

    require_workers()
    with loading():
        from ovh_proxy.limits.concurrency import ConnectionCounts
        from ovh_proxy.observability.observers import require_observers
        from ovh_proxy.server.serve import bind_all
        from ovh_proxy.workers.worker import WorkerArguments

    require_observers(first)
    settings = with_handed_over(first)
    bound = tuple(bind_all(settings))
    for one in bound:
        one.listen()
    given = WorkerArguments(
        first, settings, bound, ConnectionCounts(first.workers), watch, recording
    )
    return serve_by_many(given, announce, exit_code)


def exit_code(clean: bool, number: int | None) -> int:
    """What serving ends with.

    Args:
        clean: whether every request in flight ended by itself.
        number: of the signal that asked for the stop.
    """
    return 0 if clean else _CUT_SHORT.get(number or signal.SIGTERM, 1)


def announce(line: str) -> None:
    """One line on stdout at once, for whoever waits for it."""
    try:
        click.echo(line)
    except OSError:
        write_nowhere()  # a full disk, or a reader that has left, stops no request
