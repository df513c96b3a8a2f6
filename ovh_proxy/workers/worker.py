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
    """What every worker is given at its start.

    Attributes:
        first: the settings as they were read; `settings` may have sockets handed over.
        bound: the listeners of `settings`, the admin listener last.
    """

    first: Settings
    settings: Settings
    bound: Sequence[BoundListener]
    shares: ConnectionCounts
    watch: SettingsWatcher
    recording: Recording | None


async def serve_as_worker(post: WorkerStart, given: WorkerArguments, log: Log) -> bool:
    """Serves until the supervisor says otherwise, or has ended.

    Returns:
        whether every request in flight ended by itself.

    Raises:
        CommandFailed, UsageError: it cannot begin.
    """
    capture_library_logs(log)
    link, stop = SupervisorChannel(), ShutdownRequest()
    peers = PeerMetricsClient(link)
    share = given.shares.share(post.number)
    process_group = ProcessGroup(
        SharedCacheClient(link, post.known), peers, SharedRateLimiter(link), share
    )
    observers = open_observers(given.settings, log)
    issuer = open_issuer(given.settings)
    app = build(given.settings, log, given.recording, process_group, observers, issuer)
    reports = _Reports(link)
    reload_trigger = ReloadTrigger(given.watch, given.first, on_applied=reports.accepted)
    link.on("count", lambda: peers.tell(app.metrics.snapshot))
    _obey(link, stop, reload_trigger)
    await link.connect(post.channel)
    if post.is_behind:
        await _catch_up(app, reload_trigger, given.bound[: len(given.settings.listen)])
    for one in given.bound:
        if one.certificates is not None:
            one.certificates.reload_if_changed(log)
    listeners = await open_all(app, given.settings, given.bound, share)
    telling = asyncio.ensure_future(peers.keep_told(app.metrics.snapshot))
    try:
        return await serve_until_stopped(
            app, listeners, reports.ready, stop, reports, reload_trigger
        )
    finally:
        telling.cancel()
        link.send("counted", snapshot=app.metrics.snapshot())
        link.close()


class _Reports:
    """Tells the supervisor how this worker stands."""

    def __init__(self, link: SupervisorChannel) -> None:
        self._link = link

    def ready(self) -> None:
        self._link.send("ready")

    def reloading(self) -> None:
        """Nothing: the supervisor has asked for it."""

    def stopping(self) -> None:
        """Nothing: as above."""

    def accepted(self, settings: Settings) -> None:
        """Other settings serve: a worker that begins from now on has to have them, too."""
        timeouts = settings.timeouts
        delays = {"drain_delay_s": timeouts.drain_delay_s, "drain_s": timeouts.drain_s}
        self._link.send("accepted", timeouts=delays, log_level=settings.log.level)


def _obey(link: SupervisorChannel, stop: ShutdownRequest, reload_trigger: ReloadTrigger) -> None:
    """Does what the supervisor says, and what a signal to this process alone means."""

    def begin_stop() -> None:
        # A signal to a whole group comes from the supervisor as well; it is no second one.
        if not stop.requested.is_set():
            stop()

    def end_as_orphan() -> None:
        # Whoever starts the proxy again wants the addresses.
        stop.skips_drain_delay = True
        begin_stop()

    def force() -> None:
        begin_stop()
        stop()

    link.on("stop", begin_stop)
    link.on("force", force)
    link.on("lost", end_as_orphan)
    link.on("reload", reload_trigger)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, begin_stop)
    loop.add_signal_handler(signal.SIGHUP, reload_trigger)


async def _catch_up(
    app: App, reload_trigger: ReloadTrigger, bound: Sequence[BoundListener]
) -> None:
    """Serves with what is on disk now: those settings that this process was forked with are old.

    Raises:
        CommandFailed: they have problems; the last good ones were the other workers' own.
    """
    for _ in range(_TRIES):
        loaded = await asyncio.to_thread(reload_trigger.watch.again)
        if loaded is not None:
            Reload(app, reload_trigger.first, bound, reload_trigger.on_applied).apply(loaded)
            if not app.server_state.problems:
                return
            break
    await app.close()
    raise CommandFailed("the settings on disk cannot be used; mend them for it to begin")
