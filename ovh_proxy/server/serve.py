"""Opens the listeners, says where, drains on stop."""

import asyncio
import signal
from collections.abc import Callable

from ovh_proxy.core.errors import ListenFailed, OvhProxyError
from ovh_proxy.core.settings import Listener, Settings
from ovh_proxy.server.app import App, build
from ovh_proxy.server.background import (
    Renewal,
    keep_certificates,
    keep_settings,
    keep_states,
    learn_clock,
)
from ovh_proxy.server.connection import ClientServer
from ovh_proxy.server.drain import Stop, drain
from ovh_proxy.server.foreign_logs import keep_foreign_logs
from ovh_proxy.server.gate import Seats
from ovh_proxy.server.listeners import OpenListener, open_listener
from ovh_proxy.server.logs import Log
from ovh_proxy.server.systemd import Notifier
from ovh_proxy.store.recording_file import Recording

__all__ = ["Stop", "handle_signals", "serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(
    settings: Settings,
    log: Log,
    announce: Callable[[str], None],
    stop: Stop,
    recording: Recording | None = None,
    notifier: Notifier | None = None,
    renewal: Renewal | None = None,
) -> bool:
    """Serves until it is told to stop.

    Args:
        announce: gets one line for each listener, once it accepts.
        recording: where the calls that go through are noted, if anywhere.
        notifier: tells the service manager, if there is one.
        renewal: where the settings are read again, if anywhere.

    Returns:
        whether every request in flight ended by itself.

    Raises:
        ListenFailed: a listener cannot be bound.
    """
    keep_foreign_logs(log)
    app = build(settings, log, recording)
    servers, opened = await _open_all(app, settings)
    notifier = notifier or Notifier({})
    beside = [
        asyncio.ensure_future(learn_clock(app)),
        asyncio.ensure_future(keep_certificates(app, opened)),
    ]
    if renewal is not None:
        front = opened[: len(settings.listen)]
        beside.append(asyncio.ensure_future(keep_settings(app, front, renewal, notifier)))
        # What serves for a moment, as `demo` does, sends what its client asks for and no more.
        beside.append(asyncio.ensure_future(keep_states(app)))
    try:
        for line in _lines(settings, opened):
            announce(line)
        notifier.ready()
        await stop.asked.wait()
        notifier.stopping()
        return await drain(app.life, log, app.live.current.timeouts, opened, stop)
    finally:
        for task in beside:
            task.cancel()
        for listener in opened:
            listener.close()
        await asyncio.gather(*(server.shutdown(0.1) for server in servers))
        await app.close()


def handle_signals(stop: Stop, renewal: Renewal | None = None) -> None:
    """Lets SIGTERM and Ctrl-C stop the process cleanly, and SIGHUP read the settings again."""
    loop = asyncio.get_running_loop()
    if renewal is not None and hasattr(signal, "SIGHUP"):  # else Windows, which looks at the files
        loop.add_signal_handler(signal.SIGHUP, renewal)
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(stop, got))


async def _open_all(app: App, settings: Settings) -> tuple[list[ClientServer], list[OpenListener]]:
    servers: list[ClientServer] = []
    opened: list[OpenListener] = []
    limits, timeouts, seats = settings.limits, settings.timeouts, Seats(settings.limits.connections)
    try:
        for listener in settings.listen:
            server = ClientServer(app.front, listener, limits, timeouts, seats)
            opened.append(await open_listener(listener, server, timeouts.header_s))
            servers.append(server)
            _refuse_exposed(listener, opened[-1], settings)
        if settings.admin_listen is not None:
            listener = Listener(settings.admin_listen)
            server = ClientServer(app.admin, listener, limits, timeouts)
            opened.append(await open_listener(listener, server))
            servers.append(server)
    except OvhProxyError:
        for listener_open in opened:
            listener_open.close()
        await app.close()
        raise
    return servers, opened


def _refuse_exposed(listener: Listener, opened: OpenListener, settings: Settings) -> None:
    # An inherited socket, or a name, tells only now where it listens.
    if opened.is_exposed and not settings.clients and not settings.allow_open:
        raise ListenFailed(
            f"{listener.address} is reached by other machines: set up `clients` with tokens, "
            "or say --allow-open"
        )


def _lines(settings: Settings, opened: list[OpenListener]) -> list[str]:
    store = settings.store
    default = store.default_profile
    if default is not None:
        whom = f"profile {default.name}, {default.endpoint.name}"
    else:
        whom = f"profiles {', '.join(store.profiles)}; none is the default"
    if store.is_fallback:
        whom += f"; from {store.source}"
    lines = [f"ovh-proxy: listening on {listener.url} ({whom})" for listener in opened]
    if settings.admin_listen is not None:
        lines[-1] = f"ovh-proxy: admin listener on {opened[-1].url}"
    return lines
