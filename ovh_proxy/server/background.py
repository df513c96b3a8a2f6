"""What goes on beside the requests: the clock is learned, changed files are read again."""

import asyncio
from collections.abc import Callable, Sequence

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.settings import Settings
from ovh_proxy.server.app import App
from ovh_proxy.server.listeners import OpenListener
from ovh_proxy.server.reload import Reload
from ovh_proxy.server.systemd import Tells
from ovh_proxy.store.live import Loaded
from ovh_proxy.store.watch import Watch

_CLOCK_AGAIN_S = 5.0
# A changed file is in use within two seconds of its change.
_LOOK_S = 1.0
_STATES_S = 5.0


async def learn_clock(app: App) -> None:
    """Asks for the clock of the default profile, until it is known."""
    while True:
        profile = app.live.current.store.default_profile
        if profile is None or app.clocks.of(profile.endpoint).is_known:
            return
        try:
            await app.clocks.of(profile.endpoint).timestamp()
        except OvhProxyError as failure:
            app.log.write(
                "warning",
                "the clock is not known yet",
                endpoint=profile.endpoint.name,
                error=failure.code,
            )
            await asyncio.sleep(_CLOCK_AGAIN_S)


async def keep_states(app: App) -> None:
    """Asks what state the consumer keys are in: at start, hourly, and after a refusal."""
    while True:
        profiles = app.live.current.store.profiles.values()
        # One after the other: meanwhile another process may tell of the next.
        while due := app.states.due(profiles):
            await app.query.ask(due[0])
        await asyncio.sleep(_STATES_S)


async def keep_certificates(app: App, opened: list[OpenListener]) -> None:
    """Loads the certificates of TLS listeners again whenever their files change."""
    watched = [listener for listener in opened if listener.certificates is not None]
    while watched or app.interception is not None:
        await asyncio.sleep(_LOOK_S)
        if app.interception is not None:
            app.interception.reload_if_changed(app.log)
        for listener in watched:
            await listener.renew_if_changed(app.log)


class Renewal:
    """Asks for the settings to be read again, as SIGHUP does, and says where they are read."""

    def __init__(
        self,
        watch: Watch,
        first: Settings,
        look_s: float = _LOOK_S,
        accepted: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Args:
            first: the settings as they were read at the start, before sockets were handed over.
            look_s: seconds between two looks at the files.
            accepted: gets other settings once they serve.
        """
        self.watch = watch
        self.first = first
        self.accepted = accepted
        self._look_s = look_s
        self._asked = asyncio.Event()

    def __call__(self) -> None:
        self._asked.set()

    async def is_asked(self) -> bool:
        """Waits for the next look; whether somebody asked rather than that the time came."""
        try:
            async with asyncio.timeout(self._look_s):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True


async def keep_settings(
    app: App, opened: Sequence[OpenListener], renewal: Renewal, tells: Tells
) -> None:
    """Reads the settings again when somebody asks, and whenever a file of theirs changes.

    The clock is learned at the start, and anew with other settings.
    """
    reload = Reload(app, renewal.first, opened, renewal.accepted)
    learning = asyncio.ensure_future(learn_clock(app))
    is_owed = False
    try:
        while True:
            if await renewal.is_asked():
                app.witnesses.reopen()
                is_owed = True
            if not is_owed and not await asyncio.to_thread(renewal.watch.has_changed):
                continue
            if is_owed:
                tells.reloading()
            loaded = await _read_again(app, renewal)
            if loaded is None:
                continue
            reload.take(loaded)
            if is_owed:
                tells.ready()
            is_owed = False
            learning.cancel()
            learning = asyncio.ensure_future(learn_clock(app))
    finally:
        learning.cancel()


async def _read_again(app: App, renewal: Renewal) -> Loaded | None:
    try:
        # In a thread: files and commands may be slow, and requests go on meanwhile.
        return await asyncio.to_thread(renewal.watch.again)
    except Exception as failure:  # noqa: BLE001 - a defect of ours must not end all reloading
        defect = type(failure).__name__
        app.log.write("error", "the settings could not be read again", defect=defect)
        return None
