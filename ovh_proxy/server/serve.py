"""Opens the listeners, says where, drains on stop."""

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from ovh_proxy.core.settings import Settings
from ovh_proxy.logs import Log, capture_library_logs
from ovh_proxy.observability.observers import open_observers
from ovh_proxy.server.app import App, build
from ovh_proxy.server.background import keep_certificates, keep_states, learn_clock
from ovh_proxy.server.doors import OpenListeners, bind_all, lines, open_all
from ovh_proxy.server.drain import ShutdownRequest, drain
from ovh_proxy.server.interception import open_leaves
from ovh_proxy.server.reload import ReloadTrigger, keep_settings
from ovh_proxy.server.systemd import ServiceManager, SystemdNotifier
from ovh_proxy.server.warmth import keep_connections_warm

if TYPE_CHECKING:
    from ovh_proxy.recording.recording_file import Recording
    from ovh_proxy.tls.authority import CertificateAuthority


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(  # noqa: PLR0913 - all but the first four are for some of its callers
    settings: Settings,
    log: Log,
    announce: Callable[[str], None],
    stop: ShutdownRequest,
    recording: "Recording | None" = None,
    notifier: SystemdNotifier | None = None,
    reload_trigger: ReloadTrigger | None = None,
    *,
    authority: "CertificateAuthority | None" = None,
) -> bool:
    """Serves until it is told to stop.

    Args:
        announce: gets one line for each listener, once it accepts.
        recording: where the calls that go through are noted, if anywhere.
        notifier: tells the service manager, if there is one.
        reload_trigger: where the settings are read again, if anywhere.
        authority: signs for whom clients ask us as their proxy; None for the one that is kept.

    Returns:
        whether every request in flight ended by itself.

    Raises:
        CommandFailed: the authority that is kept cannot be used.
        UsageError: the audit file cannot be opened, or nothing is there to trace with.
        ListenFailed: a listener cannot be bound.
    """
    capture_library_logs(log)
    observers = open_observers(settings, log)
    issuer = open_leaves(settings, authority)
    bound = bind_all(settings)
    app = build(settings, log, recording, observers=observers, issuer=issuer)
    listeners = await open_all(app, settings, bound)
    service_manager = notifier or SystemdNotifier({})

    def begin() -> None:
        for line in lines(settings, bound):
            announce(line)
        service_manager.ready()

    return await attend(app, listeners, begin, stop, service_manager, reload_trigger)


async def attend(
    app: App,
    listeners: OpenListeners,
    begin: Callable[[], None],
    stop: ShutdownRequest,
    service_manager: ServiceManager,
    reload_trigger: ReloadTrigger | None,
) -> bool:
    """Serves on open doors until it is told to stop.

    Args:
        begin: is called once all that goes on beside the requests has begun.

    Returns:
        whether every request in flight ended by itself.
    """
    beside = [asyncio.ensure_future(keep_certificates(app, listeners.opened))]
    if reload_trigger is None:
        beside.append(asyncio.ensure_future(learn_clock(app)))
    else:
        beside.append(
            asyncio.ensure_future(
                keep_settings(app, listeners.front, reload_trigger, service_manager)
            )
        )
        # What serves for a moment, as `demo` does, sends what its client asks for and no more.
        beside.append(asyncio.ensure_future(keep_states(app)))
        beside.append(asyncio.ensure_future(keep_connections_warm(app)))
    try:
        begin()
        await stop.asked.wait()
        service_manager.stopping()
        return await drain(
            app.server_state, app.log, app.live.current.timeouts, listeners.opened, stop
        )
    finally:
        for task in beside:
            task.cancel()
        for listener in listeners.opened:
            listener.close()
        await asyncio.gather(*(server.shutdown(0.1) for server in listeners.servers))
        await app.close()


def handle_signals(stop: ShutdownRequest, reload_trigger: ReloadTrigger | None = None) -> None:
    """Lets SIGTERM and Ctrl-C stop the process cleanly, and SIGHUP read the settings again."""
    loop = asyncio.get_running_loop()
    if reload_trigger is not None and hasattr(
        signal, "SIGHUP"
    ):  # else Windows, which looks at the files
        loop.add_signal_handler(signal.SIGHUP, reload_trigger)
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(stop, got))
