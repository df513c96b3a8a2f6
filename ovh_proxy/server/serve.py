"""Binds and opens the listeners, announces them, drains on stop."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovh_proxy.core.errors import ListenFailed, OvhProxyError
from ovh_proxy.core.settings import Listener, Settings, Store, Timeouts
from ovh_proxy.http1.connection import ClientServer
from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.listeners.listener import BoundListener, OpenListener, bind_listener, open_bound
from ovh_proxy.logs import Log, capture_library_logs
from ovh_proxy.observability.observers import open_observers
from ovh_proxy.proxy.admin_routes import ServerState
from ovh_proxy.server.app import App, build, open_issuer
from ovh_proxy.server.background import (
    feed_watchdog,
    keep_connections_warm,
    learn_clock,
    poll_credential_states,
    watch_certificates,
)
from ovh_proxy.server.reload import ReloadTrigger, watch_settings
from ovh_proxy.server.systemd import ServiceManager, SystemdNotifier

if TYPE_CHECKING:
    from ovh_proxy.recording.recording_file import Recording
    from ovh_proxy.tls.authority import CertificateAuthority


@dataclass(frozen=True, slots=True)
class OpenListeners:
    """The listeners that accept.

    Attributes:
        main: all but the admin listener.
    """

    servers: list[ClientServer]
    opened: list[OpenListener]
    main: list[OpenListener]


def bind_all(settings: Settings) -> list[BoundListener]:
    """Binds the addresses of all listeners; the admin listener comes last.

    Raises:
        ListenFailed: one cannot be bound, or other machines could reach it without a token.
    """
    bound: list[BoundListener] = []
    try:
        for listener in settings.listen:
            bound.append(bind_listener(listener))
            _refuse_exposed(bound[-1], settings)
        if settings.admin_listen is not None:
            bound.append(bind_listener(Listener(settings.admin_listen)))
    except OvhProxyError:
        for one in bound:
            one.close()
            one.remove_name()
        raise
    return bound


async def open_all(
    app: App,
    settings: Settings,
    bound: Sequence[BoundListener],
    share: ConnectionCount | None = None,
) -> OpenListeners:
    """Starts accepting on all listeners.

    Args:
        share: this worker's connection count; None in a single process.

    Raises:
        ListenFailed: the system refuses.
    """
    servers: list[ClientServer] = []
    opened: list[OpenListener] = []
    limits, timeouts = settings.limits, settings.timeouts
    count = len(settings.listen)
    connect_handler = None if app.interception is None else app.interception.connect_handler
    try:
        for number, one in enumerate(bound):
            main = (app.service, app.connection_limit, connect_handler)
            service, connection_limit, connects = (
                main if number < count else (app.admin_service, None, None)
            )
            server = ClientServer(
                service, one.listener, limits, timeouts, connection_limit, connects
            )
            opened.append(await open_bound(one, server, timeouts.header_s, share))
            servers.append(server)
    except OvhProxyError:
        for listener in opened:
            listener.close()
        for one in bound[len(opened) :]:
            one.close()
        await app.close()
        raise
    return OpenListeners(servers, opened, opened[:count])


def _refuse_exposed(bound: BoundListener, settings: Settings) -> None:
    # The address of an inherited socket or of a host name is known only now.
    if bound.is_exposed and not settings.clients and not settings.allow_open:
        raise ListenFailed(
            f"other machines can reach {bound.listener.address}: set up `clients` with tokens, "
            "or pass --allow-open"
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """A listener that accepts connections.

    Attributes:
        url: where clients reach it, with the port that the system chose.
        store: the profiles that it serves; None for the admin listener.
    """

    url: str
    store: Store | None = None


def announcements(settings: Settings, bound: Sequence[BoundListener]) -> list[Announcement]:
    """One announcement for each listener, the admin listener's last."""
    count = len(settings.listen)
    return [
        Announcement(one.url, settings.store if number < count else None)
        for number, one in enumerate(bound)
    ]


_POLL_S = 0.02


class ShutdownRequest:
    """Requests a shutdown when called: the first call drains, the second stops immediately.

    Attributes:
        skips_drain_delay: close the listeners without the drain delay.
    """

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.forced = asyncio.Event()
        self.signal: int | None = None
        self.skips_drain_delay = False

    def __call__(self, number: int | None = None) -> None:
        if self.requested.is_set():
            self.forced.set()
        else:
            self.signal = number
            self.requested.set()


async def drain(
    server_state: ServerState,
    log: Log,
    timeouts: Timeouts,
    opened: list[OpenListener],
    stop: ShutdownRequest,
) -> bool:
    """Keeps accepting for the drain delay, then waits for requests in flight.

    Returns:
        whether all of them completed.
    """
    server_state.is_stopping = True
    log.write("info", "stopping", in_flight=server_state.in_flight)
    await _wait(stop.forced, 0 if stop.skips_drain_delay else timeouts.drain_delay_s)
    for listener in opened:
        listener.close()
    server_state.is_drained = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeouts.drain_s
    while server_state.in_flight and not stop.forced.is_set() and loop.time() < deadline:
        await _wait(stop.forced, _POLL_S)
    cut_short = server_state.in_flight
    log.write("info", "stopped", cut_short=cut_short)
    return not cut_short


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(  # noqa: PLR0913 - all but the first four are for some of its callers
    settings: Settings,
    log: Log,
    announce: Callable[[Announcement], None],
    stop: ShutdownRequest,
    recording: "Recording | None" = None,
    notifier: SystemdNotifier | None = None,
    reload_trigger: ReloadTrigger | None = None,
    *,
    authority: "CertificateAuthority | None" = None,
) -> bool:
    """Serves until a shutdown is requested.

    Args:
        announce: called once for each listener, when it accepts connections.
        recording: records the calls that went through.
        notifier: notifies the service manager.
        reload_trigger: None to never reload the settings.
        authority: signs certificates in the HTTP-proxy mode; None for the stored one.

    Returns:
        whether every request in flight completed.

    Raises:
        CommandFailed: the stored authority cannot be used.
        UsageError: the audit file cannot be opened, or OpenTelemetry is not installed.
        ListenFailed: a listener cannot be bound.
    """
    capture_library_logs(log)
    observers = open_observers(settings, log)
    issuer = open_issuer(settings, authority)
    bound = bind_all(settings)
    app = build(settings, log, recording, observers=observers, issuer=issuer)
    listeners = await open_all(app, settings, bound)
    service_manager = notifier or SystemdNotifier({})

    def on_started() -> None:
        for announcement in announcements(settings, bound):
            announce(announcement)
        service_manager.ready()

    feeding = asyncio.create_task(feed_watchdog(service_manager))
    try:
        return await serve_until_stopped(
            app, listeners, on_started, stop, service_manager, reload_trigger
        )
    finally:
        feeding.cancel()


async def start_serving(
    settings: Settings,
    log: Log,
    stop: ShutdownRequest,
    authority: "CertificateAuthority | None" = None,
) -> tuple[Announcement, asyncio.Task[bool]]:
    """Runs `serve` with one listener as a task; returns once it accepts connections.

    Raises:
        CommandFailed, UsageError, ListenFailed: as `serve`.
    """
    accepts: asyncio.Future[Announcement] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(settings, log, accepts.set_result, stop, authority=authority)
    )
    await asyncio.wait((serving, accepts), return_when=asyncio.FIRST_COMPLETED)
    if not accepts.done():
        await serving  # raises
    return accepts.result(), serving


async def serve_until_stopped(
    app: App,
    listeners: OpenListeners,
    on_started: Callable[[], None],
    stop: ShutdownRequest,
    service_manager: ServiceManager,
    reload_trigger: ReloadTrigger | None,
) -> bool:
    """Serves on open listeners until a shutdown is requested.

    Args:
        on_started: called once all background tasks have started.

    Returns:
        whether every request in flight completed.
    """
    tasks = [asyncio.ensure_future(watch_certificates(app, listeners.opened))]
    if reload_trigger is None:
        tasks.append(asyncio.ensure_future(learn_clock(app)))
    else:
        tasks.append(
            asyncio.ensure_future(
                watch_settings(app, listeners.main, reload_trigger, service_manager)
            )
        )
        # Without reloads (as in `demo`), the proxy sends only what its client asks for.
        tasks.append(asyncio.ensure_future(poll_credential_states(app)))
        tasks.append(asyncio.ensure_future(keep_connections_warm(app)))
    try:
        on_started()
        await stop.requested.wait()
        service_manager.stopping()
        return await drain(
            app.server_state, app.log, app.live.current.timeouts, listeners.opened, stop
        )
    finally:
        for task in tasks:
            task.cancel()
        for listener in listeners.opened:
            listener.close()
        await asyncio.gather(*(server.shutdown(0.1) for server in listeners.servers))
        await app.close()


def handle_signals(stop: ShutdownRequest, reload_trigger: ReloadTrigger | None = None) -> None:
    """Makes SIGTERM and Ctrl-C shut down cleanly, and SIGHUP reload the settings."""
    loop = asyncio.get_running_loop()
    if reload_trigger is not None and hasattr(signal, "SIGHUP"):  # not on Windows
        loop.add_signal_handler(signal.SIGHUP, reload_trigger)
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(stop, got))
