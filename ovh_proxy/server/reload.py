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
from ovh_proxy.server.background import FILE_POLL_S, learn_clock
from ovh_proxy.server.systemd import ServiceManager

# Settings that take effect at start only: sockets, connections, the format of the log.
_FIXED: dict[str, tuple[str, ...]] = {
    "": ("listen", "admin_listen", "workers", "upstream", "intercept"),
    "limits": ("line_bytes", "header_bytes", "headers", "connections"),
    "timeouts": ("connect_s", "answer_s", "idle_s", "header_s"),
    "log": ("format", "audit"),
    "tracing": ("enabled", "propagate"),
}


class Reload:
    """Applies reloaded settings if they are valid."""

    def __init__(
        self,
        app: App,
        first: Settings,
        opened: Sequence[OpenListener | BoundListener],
        on_applied: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Args:
            first: the settings as read at start, before inherited sockets replaced listeners.
            opened: the open listeners, without the admin listener.
            on_applied: called with changed settings after they took effect.
        """
        self._app = app
        self._first = first
        self._opened = opened
        self._on_applied = on_applied
        self._reported_problems: frozenset[Problem] = frozenset()
        self._reported_fixed: frozenset[str] = frozenset()

    def apply(self, loaded: LoadResult) -> None:
        """Switches to the settings, or logs each of their problems once."""
        if loaded.settings is None:
            self._reject(loaded.problems)
            return
        settings = _with_fixed(loaded.settings, self._app.live.current)
        problems = tuple(self._problems(settings))
        if problems:
            self._reject(problems)
            return
        self._report_fixed(loaded.settings)
        self._accept(settings)

    def _reject(self, problems: tuple[Problem, ...]) -> None:
        app = self._app
        for problem in problems:
            if problem not in self._reported_problems:
                app.log.write(
                    "error",
                    f"reload failed, keeping the previous configuration: {problem.message}",
                    source=problem.source,
                    line=problem.line or None,
                    path=problem.path or None,
                )
        self._reported_problems = frozenset(problems)
        app.server_state.problems = tuple(map(str, problems))
        app.reloads.record(is_good=False)

    def _accept(self, settings: Settings) -> None:
        app = self._app
        was_rejected, self._reported_problems = bool(self._reported_problems), frozenset()
        app.server_state.problems = ()
        app.reloads.record(is_good=True)
        if settings == app.live.current:
            if was_rejected:
                app.log.write("info", "configuration is valid again")
            return
        app.live.replace(settings)
        app.log.set_level(settings.log.level)
        profiles = settings.store.profiles.values()
        app.client.retain(profiles)
        app.limiter.retain(settings)
        app.log.write("info", "configuration reloaded", profiles=len(profiles))
        self._on_applied(settings)

    def _report_fixed(self, loaded: Settings) -> None:
        changed = frozenset(_changed(self._first, loaded))
        for name in sorted(changed - self._reported_fixed):
            self._app.log.write("warning", "a changed setting needs a restart", setting=name)
        self._reported_fixed = changed

    def _problems(self, settings: Settings) -> Iterator[Problem]:
        """Yields what is unsafe on the open listeners, which may differ from those in the file."""
        if settings.clients:
            return
        source = settings.source or settings.store.source
        exposed = [one.url for one in self._opened if one.is_exposed]
        if exposed and not settings.allow_open:
            text = (
                f"other machines can reach {', '.join(exposed)}; keep `clients`, or restart with "
                "other listeners"
            )
            yield Problem(source, 0, "clients", text)
        if settings.hosts and any(
            listener.tls is None and not isinstance(listener.address, UnixAddress)
            for listener in settings.listen
        ):
            text = (
                "needs `clients` with tokens, or TLS on every listener; restart to change listeners"
            )
            yield Problem(source, 0, "hosts", text)


def _parts(settings: Settings) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for part, names in _FIXED.items():
        yield part, getattr(settings, part) if part else settings, names


def _with_fixed(loaded: Settings, running: Settings) -> Settings:
    """Returns the loaded settings with those of the running process that need a restart."""
    for part, current, names in _parts(running):
        fixed = {name: getattr(current, name) for name in names}
        changes = {part: replace(getattr(loaded, part), **fixed)} if part else fixed
        loaded = replace(loaded, **changes)
    return loaded


def _changed(first: Settings, loaded: Settings) -> Iterator[str]:
    for (part, before, names), (_, now, _) in zip(_parts(first), _parts(loaded), strict=True):
        for name in names:
            if getattr(before, name) != getattr(now, name):
                yield f"{part}.{name}" if part else name


class ReloadTrigger:
    """Requests a reload when called, as SIGHUP does."""

    def __init__(
        self,
        watch: SettingsWatcher,
        first: Settings,
        poll_s: float = FILE_POLL_S,
        on_applied: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """
        Args:
            first, on_applied: as of `Reload`.
            poll_s: seconds between two checks for changed files.
        """
        self.watch = watch
        self.first = first
        self.on_applied = on_applied
        self._poll_s = poll_s
        self._requested = asyncio.Event()

    def __call__(self) -> None:
        self._requested.set()

    async def wait(self) -> bool:
        """Waits for a request or the next poll; returns whether it was a request."""
        try:
            async with asyncio.timeout(self._poll_s):
                await self._requested.wait()
        except TimeoutError:
            return False
        self._requested.clear()
        return True


async def watch_settings(
    app: App,
    opened: Sequence[OpenListener],
    reload_trigger: ReloadTrigger,
    service_manager: ServiceManager,
) -> None:
    """Reloads the settings on request and when one of their files changes.

    Also learns OVHcloud's clock, at start and after each reload.
    """
    reload = Reload(app, reload_trigger.first, opened, reload_trigger.on_applied)
    clock_task = asyncio.ensure_future(learn_clock(app))
    is_requested = False
    try:
        while True:
            if await reload_trigger.wait():
                app.observers.reopen()
                is_requested = True
            if not is_requested and not await asyncio.to_thread(reload_trigger.watch.has_changed):
                continue
            if is_requested:
                service_manager.reloading()
            loaded = await _load(app, reload_trigger)
            if loaded is None:
                continue
            reload.apply(loaded)
            if is_requested:
                service_manager.ready()
            is_requested = False
            clock_task.cancel()
            clock_task = asyncio.ensure_future(learn_clock(app))
    finally:
        clock_task.cancel()


async def _load(app: App, reload_trigger: ReloadTrigger) -> LoadResult | None:
    try:
        # In a thread: files and secret commands may be slow, and requests must not wait.
        return await asyncio.to_thread(reload_trigger.watch.reload)
    except Exception as failure:  # noqa: BLE001 - a bug here must not end all reloading
        defect = type(failure).__name__
        app.log.write(
            "error",
            "reload failed with an unexpected error, keeping the previous configuration",
            defect=defect,
        )
        return None
