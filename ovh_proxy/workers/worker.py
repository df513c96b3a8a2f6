"""One worker process: serves until the supervisor says otherwise."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import Settings
from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.listeners.listener import BoundListener
from ovh_proxy.logs import Log, capture_library_logs
from ovh_proxy.observability.observers import open_observers
from ovh_proxy.recording.recording_file import Recording
from ovh_proxy.server.app import App, ProcessGroup, build, open_issuer
from ovh_proxy.server.reload import Reload, ReloadTrigger
from ovh_proxy.server.serve import ShutdownRequest, open_all, serve_until_stopped
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.processes import WorkerStart
from ovh_proxy.workers.supervisor_client import (
    PeerMetricsClient,
    SharedCacheClient,
    SharedRateLimiter,
)

_TRIES = 5


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """What the supervisor passes to every worker.

    Attributes:
        first: the settings as read; in `settings`, inherited sockets may replace listeners.
        bound: the listeners of `settings`, the admin listener last.
    """

    first: Settings
    settings: Settings
    bound: Sequence[BoundListener]
    shares: ConnectionCounts
    watch: SettingsWatcher
    recording: Recording | None


async def serve_as_worker(start: WorkerStart, arguments: WorkerArguments, log: Log) -> bool:
    """Serves until the supervisor requests a shutdown, or has ended.

    Returns:
        whether every request in flight completed.

    Raises:
        CommandFailed, UsageError: it cannot start.
    """
    capture_library_logs(log)
    settings, bound = arguments.settings, arguments.bound
    channel, stop = SupervisorChannel(), ShutdownRequest()
    peers = PeerMetricsClient(channel)
    share = arguments.shares.share(start.number)
    process_group = ProcessGroup(
        SharedCacheClient(channel, start.cached), peers, SharedRateLimiter(channel), share
    )
    observers, issuer = open_observers(settings, log), open_issuer(settings)
    app = build(settings, log, arguments.recording, process_group, observers, issuer)
    notifier = _SupervisorNotifier(channel)
    reload_trigger = ReloadTrigger(
        arguments.watch, arguments.first, on_applied=notifier.settings_applied
    )
    channel.on("report_metrics", lambda: peers.report(app.metrics.snapshot))
    _handle_stop_and_reload(channel, stop, reload_trigger)
    await channel.connect(start.channel)
    if start.is_stale:
        await _apply_current_settings(app, reload_trigger, bound[: len(settings.listen)])
    for one in bound:
        if one.certificates is not None:
            one.certificates.reload_if_changed(log)
    listeners = await open_all(app, settings, bound, share)
    reporting = asyncio.ensure_future(peers.report_changes(app.metrics.snapshot))
    try:
        return await serve_until_stopped(
            app, listeners, notifier.ready, stop, notifier, reload_trigger
        )
    finally:
        reporting.cancel()
        channel.send("metrics", snapshot=app.metrics.snapshot())
        channel.close()


class _SupervisorNotifier:
    """Reports the state of this worker to the supervisor."""

    def __init__(self, channel: SupervisorChannel) -> None:
        self._channel = channel

    def ready(self) -> None:
        self._channel.send("ready")

    def reloading(self) -> None:
        """Does nothing: the supervisor has requested it."""

    def stopping(self) -> None:
        """Does nothing: the supervisor has requested it."""

    def settings_applied(self, settings: Settings) -> None:
        """Reports changed settings, which workers that start from now on must load, too."""
        timeouts = settings.timeouts
        delays = {"drain_delay_s": timeouts.drain_delay_s, "drain_s": timeouts.drain_s}
        self._channel.send("settings_applied", timeouts=delays, log_level=settings.log.level)


def _handle_stop_and_reload(
    channel: SupervisorChannel, stop: ShutdownRequest, reload_trigger: ReloadTrigger
) -> None:
    """Handles the supervisor's messages, and signals sent to this process only."""

    def begin_stop() -> None:
        # A signal to the process group arrives from the supervisor, too; it is not a second one.
        if not stop.requested.is_set():
            stop()

    def stop_as_orphan() -> None:
        # A restarted proxy needs the addresses.
        stop.skips_drain_delay = True
        begin_stop()

    def force() -> None:
        begin_stop()
        stop()

    channel.on("stop", begin_stop)
    channel.on("force", force)
    channel.on("lost", stop_as_orphan)
    channel.on("reload", reload_trigger)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, begin_stop)
    loop.add_signal_handler(signal.SIGHUP, reload_trigger)


async def _apply_current_settings(
    app: App, reload_trigger: ReloadTrigger, bound: Sequence[BoundListener]
) -> None:
    """Applies the settings on disk, because those that this process was forked with are outdated.

    Raises:
        CommandFailed: they have problems; the previous ones exist in the other workers only.
    """
    for _ in range(_TRIES):
        loaded = await asyncio.to_thread(reload_trigger.watch.reload)
        if loaded is not None:
            Reload(app, reload_trigger.first, bound, reload_trigger.on_applied).apply(loaded)
            if not app.server_state.problems:
                return
            break
    await app.close()
    raise CommandFailed(
        "the configuration on disk is invalid; fix the logged problems and the worker will start"
    )
