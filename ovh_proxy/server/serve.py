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
from ovh_proxy.server.app import App, build, open_leaves
from ovh_proxy.server.background import (
    keep_certificates,
    keep_connections_warm,
    keep_states,
    learn_clock,
)
from ovh_proxy.server.reload import ReloadTrigger, keep_settings
from ovh_proxy.server.systemd import ServiceManager, SystemdNotifier

if TYPE_CHECKING:
    from ovh_proxy.recording.recording_file import Recording
    from ovh_proxy.tls.authority import CertificateAuthority


@dataclass(frozen=True, slots=True)
class OpenListeners:
    """The listeners that accept.

    Attributes:
        front: all of them but the admin listener.
    """

    servers: list[ClientServer]
    opened: list[OpenListener]
    front: list[OpenListener]


def bind_all(settings: Settings) -> list[BoundListener]:
    """The addresses of all listeners, the admin listener's last.

    Raises:
        ListenFailed: one of them cannot be bound, or must not.
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
    """Accepts on all listeners.

    Args:
        share: where other processes accept as well.

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
            main = (app.front, app.connection_limit, connect_handler)
            front, connection_limit, connects = main if number < count else (app.admin, None, None)
            server = ClientServer(front, one.listener, limits, timeouts, connection_limit, connects)
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
    # An inherited socket, or a name, tells only now where it listens.
    if bound.is_exposed and not settings.clients and not settings.allow_open:
        raise ListenFailed(
            f"{bound.listener.address} is reached by other machines: set up `clients` with tokens, "
            "or say --allow-open"
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


_LOOK_S = 0.02


class ShutdownRequest:
    """Asks for a stop: the first time for a clean one, the second time for one at once.

    Attributes:
        is_late: the listeners are closed without the drain delay.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()
        self.signal: int | None = None
        self.is_late = False

    def __call__(self, number: int | None = None) -> None:
        if self.asked.is_set():
            self.forced.set()
        else:
            self.signal = number
            self.asked.set()


async def drain(
    server_state: ServerState,
    log: Log,
    timeouts: Timeouts,
    opened: list[OpenListener],
    stop: ShutdownRequest,
) -> bool:
    """Goes on accepting for the drain delay, then lets the requests in flight end.

    Returns:
        whether all of them ended by themselves.
    """
    server_state.is_stopping = True
    log.write("info", "stopping", in_flight=server_state.in_flight)
    await _wait(stop.forced, 0 if stop.is_late else timeouts.drain_delay_s)
    for listener in opened:
        listener.close()
    server_state.is_drained = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeouts.drain_s
    while server_state.in_flight and not stop.forced.is_set() and loop.time() < deadline:
        await _wait(stop.forced, _LOOK_S)
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
    """Serves until it is told to stop.

    Args:
        announce: called once for each listener, when it accepts connections.
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
        for announcement in announcements(settings, bound):
            announce(announcement)
        service_manager.ready()

    return await attend(app, listeners, begin, stop, service_manager, reload_trigger)


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
