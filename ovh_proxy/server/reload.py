"""Reads the settings again on SIGHUP or a changed file, and applies them or keeps the last good ones."""  # noqa: E501 - the caption in one line

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.loader import LoadResult
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import Settings, UnixAddress
from ovh_proxy.listeners.listener import BoundListener, OpenListener
from ovh_proxy.server.app import App
from ovh_proxy.server.background import LOOK_S, learn_clock
from ovh_proxy.server.systemd import ServiceManager

# What sockets, connections and the log's form are made with at the start.
_FIXED: dict[str, tuple[str, ...]] = {
    "": ("listen", "admin_listen", "workers", "upstream", "intercept"),
    "limits": ("line_bytes", "header_bytes", "headers", "connections"),
    "timeouts": ("connect_s", "answer_s", "idle_s", "header_s"),
    "log": ("format", "audit"),
    "tracing": ("enabled", "propagate"),
}


class Reload:
    """Takes what was read again, once it has been found good."""

    def __init__(
        self,
        app: App,
        first: Settings,
        opened: Sequence[OpenListener | BoundListener],
        accepted: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Args:
            first: the settings as they were read at the start, before sockets were handed over.
            opened: the listeners that the guard stands before.
            accepted: gets other settings once they serve.
        """
        self._app = app
        self._first = first
        self._opened = opened
        self._accepted = accepted
        self._told_problems: frozenset[Problem] = frozenset()
        self._told_fixed: frozenset[str] = frozenset()

    def take(self, loaded: LoadResult) -> None:
        """Serves the settings from now on; with problems, tells each of them once."""
        if loaded.settings is None:
            self._refuse(loaded.problems)
            return
        settings = _with_fixed(loaded.settings, self._app.live.current)
        problems = tuple(self._problems(settings))
        if problems:
            self._refuse(problems)
            return
        self._tell_fixed(loaded.settings)
        self._accept(settings)

    def _refuse(self, problems: tuple[Problem, ...]) -> None:
        app = self._app
        for problem in problems:
            if problem not in self._told_problems:
                app.log.write(
                    "error",
                    f"the last good settings stay: {problem.message}",
                    source=problem.source,
                    line=problem.line or None,
                    path=problem.path or None,
                )
        self._told_problems = frozenset(problems)
        app.server_state.problems = tuple(map(str, problems))
        app.reloads.record(is_good=False)

    def _accept(self, settings: Settings) -> None:
        app = self._app
        was_refused, self._told_problems = bool(self._told_problems), frozenset()
        app.server_state.problems = ()
        app.reloads.record(is_good=True)
        if settings == app.live.current:
            if was_refused:
                app.log.write("info", "the settings are good again")
            return
        app.live.replace(settings)
        app.log.set_level(settings.log.level)
        profiles = settings.store.profiles.values()
        app.client.retain(profiles)
        app.limiter.retain(settings)
        app.log.write("info", "other settings serve", profiles=len(profiles))
        self._accepted(settings)

    def _tell_fixed(self, loaded: Settings) -> None:
        changed = frozenset(_changed(self._first, loaded))
        for name in sorted(changed - self._told_fixed):
            self._app.log.write("warning", "a changed setting needs a restart", setting=name)
        self._told_fixed = changed

    def _problems(self, settings: Settings) -> Iterator[Problem]:
        """What would be safe on the listeners of the file, and is not on those that are open."""
        if settings.clients:
            return
        source = settings.source or settings.store.source
        if not settings.allow_open and any(one.is_exposed for one in self._opened):
            told = "a listener that is open is reached by other machines; keep clients, or restart"
            yield Problem(source, 0, "clients", told)
        if settings.hosts and any(
            listener.tls is None and not isinstance(listener.address, UnixAddress)
            for listener in settings.listen
        ):
            told = "needs `clients` with tokens, or TLS on every listener; restart for other ones"
            yield Problem(source, 0, "hosts", told)


def _parts(settings: Settings) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for part, names in _FIXED.items():
        yield part, getattr(settings, part) if part else settings, names


def _with_fixed(loaded: Settings, running: Settings) -> Settings:
    """The settings with what cannot change in a process that runs."""
    for part, ours, names in _parts(running):
        kept = {name: getattr(ours, name) for name in names}
        changes = {part: replace(getattr(loaded, part), **kept)} if part else kept
        loaded = replace(loaded, **changes)
    return loaded


def _changed(first: Settings, loaded: Settings) -> Iterator[str]:
    for (part, before, names), (_, now, _) in zip(_parts(first), _parts(loaded), strict=True):
        for name in names:
            if getattr(before, name) != getattr(now, name):
                yield f"{part}.{name}" if part else name


class ReloadTrigger:
    """Asks for the settings to be read again, as SIGHUP does, and says where they are read."""

    def __init__(
        self,
        watch: SettingsWatcher,
        first: Settings,
        look_s: float = LOOK_S,
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
    app: App,
    opened: Sequence[OpenListener],
    reload_trigger: ReloadTrigger,
    service_manager: ServiceManager,
) -> None:
    """Reads the settings again when somebody asks, and whenever a file of theirs changes.

    The clock is learned at the start, and anew with other settings.
    """
    reload = Reload(app, reload_trigger.first, opened, reload_trigger.accepted)
    learning = asyncio.ensure_future(learn_clock(app))
    is_owed = False
    try:
        while True:
            if await reload_trigger.is_asked():
                app.observers.reopen()
                is_owed = True
            if not is_owed and not await asyncio.to_thread(reload_trigger.watch.has_changed):
                continue
            if is_owed:
                service_manager.reloading()
            loaded = await _read_again(app, reload_trigger)
            if loaded is None:
                continue
            reload.take(loaded)
            if is_owed:
                service_manager.ready()
            is_owed = False
            learning.cancel()
            learning = asyncio.ensure_future(learn_clock(app))
    finally:
        learning.cancel()


async def _read_again(app: App, reload_trigger: ReloadTrigger) -> LoadResult | None:
    try:
        # In a thread: files and commands may be slow, and requests go on meanwhile.
        return await asyncio.to_thread(reload_trigger.watch.reload)
    except Exception as failure:  # noqa: BLE001 - a defect of ours must not end all reloading
        defect = type(failure).__name__
        app.log.write("error", "the settings could not be read again", defect=defect)
        return None
