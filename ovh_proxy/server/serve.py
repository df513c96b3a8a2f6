"""Opens the listeners, says where, drains on stop."""

import asyncio
import logging
import signal
from collections.abc import Callable

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.settings import Listener, Settings
from ovh_proxy.server.app import App, build
from ovh_proxy.server.connection import ClientServer
from ovh_proxy.server.listeners import OpenListener, open_listener
from ovh_proxy.server.logs import Log
from ovh_proxy.store.recording_file import Recording

_CLOCK_AGAIN_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Asks for a stop: the first time for a clean one, the second time for one at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()
        self.signal: int | None = None

    def __call__(self, number: int | None = None) -> None:
        if self.asked.is_set():
            self.forced.set()
        else:
            self.signal = number
            self.asked.set()


async def serve(
    settings: Settings,
    log: Log,
    announce: Callable[[str], None],
    stop: Stop,
    recording: Recording | None = None,
) -> bool:
    """Serves until it is told to stop.

    Args:
        announce: gets one line for each listener, once it accepts.
        recording: where the calls that go through are noted, if anywhere.

    Returns:
        whether every request in flight ended by itself.

    Raises:
        ListenFailed: a listener cannot be bound.
    """
    _keep_foreign_logs(log)
    app = build(settings, log, recording)
    servers, opened = await _open_all(app, settings)
    learning = asyncio.ensure_future(_learn_clock(app))
    try:
        for line in _lines(settings, opened):
            announce(line)
        await stop.asked.wait()
        return await _drain(app, settings, servers, opened, stop)
    finally:
        learning.cancel()
        for listener in opened:
            listener.close()
        await asyncio.gather(*(server.shutdown(0.1) for server in servers))
        await app.close()


def handle_signals(stop: Stop) -> None:
    """Lets SIGTERM and Ctrl-C stop the process cleanly."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(stop, got))


async def _open_all(app: App, settings: Settings) -> tuple[list[ClientServer], list[OpenListener]]:
    servers: list[ClientServer] = []
    opened: list[OpenListener] = []
    wanted = [(listener, app.front) for listener in settings.listen]
    if settings.admin_listen is not None:
        wanted.append((Listener(settings.admin_listen), app.admin))
    try:
        for listener, front in wanted:
            server = ClientServer(front, listener, settings.limits, settings.timeouts)
            opened.append(await open_listener(listener.address, listener.mode, server))
            servers.append(server)
    except OvhProxyError:
        for listener_open in opened:
            listener_open.close()
        await app.close()
        raise
    return servers, opened


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


async def _learn_clock(app: App) -> None:
    """Asks for the clock of the default profile at start, until it is known."""
    profile = app.live.current.store.default_profile
    if profile is None:
        return
    clock = app.clocks.of(profile.endpoint)
    while not clock.is_known:
        try:
            await clock.timestamp()
        except OvhProxyError as failure:
            app.log.write(
                "warning",
                "the clock is not known yet",
                endpoint=profile.endpoint.name,
                error=failure.code,
            )
            await asyncio.sleep(_CLOCK_AGAIN_S)


async def _drain(
    app: App,
    settings: Settings,
    servers: list[ClientServer],
    opened: list[OpenListener],
    stop: Stop,
) -> bool:
    app.life.is_stopping = True
    app.log.write("info", "stopping", in_flight=app.life.in_flight)
    await _wait(stop.forced, settings.timeouts.drain_delay_s)
    for listener in opened:
        listener.close()
    app.life.is_drained = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.timeouts.drain_s
    while app.life.in_flight and not stop.forced.is_set() and loop.time() < deadline:
        await _wait(stop.forced, 0.02)
    clean = not app.life.in_flight
    app.log.write("info", "stopped", cut_short=app.life.in_flight)
    return clean


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class _ForeignRecords(logging.Handler):
    """Tells that a library complained, and where; its text may hold what a client sent."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        defect = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write(
            "warning", "a library complained", logger=record.name, line=record.lineno, defect=defect
        )


def _keep_foreign_logs(log: Log) -> None:
    logging.getLogger("aiohttp").disabled = True
    for name in ("aiohttp.server", "aiohttp.access", "aiohttp.internal", "aiohttp.web"):
        logging.getLogger(name).disabled = True
    asyncio_logger = logging.getLogger("asyncio")
    asyncio_logger.handlers[:] = [_ForeignRecords(log)]
    asyncio_logger.propagate = False
