"""The settings in use, and the watch over the files that they come from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ovh_proxy.config.files import NO_FILE, Stamp, stamps_of
from ovh_proxy.config.loader import LoadResult, load
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.settings import Settings

# How long, and how often, to wait until a file that is being written stops changing.
_PAUSE_S = 0.1
_PAUSES = 4
_TRIES = 4


class SettingsWatcher:
    """Watches the files of the settings; all methods block."""

    def __init__(
        self,
        sources: Sources,
        read: Callable[[Sources], LoadResult] = load,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sources = sources
        self._read = read
        self._pause = pause
        self._seen: Mapping[str, Stamp] = {}

    def load(self) -> Settings:
        """The settings at the start.

        Raises:
            ConfigurationError: all problems.
        """
        loaded, _ = self._read_whole()
        if loaded.settings is None:
            raise ConfigurationError(loaded.problems)
        return loaded.settings

    def has_changed(self) -> bool:
        """Whether a file changed, appeared or disappeared since it was last read."""
        return stamps_of(self._seen) != self._seen

    def reload(self) -> LoadResult | None:
        """Reads the files again; None if they keep changing: try again later.

        Waits for a half-written file.
        """
        self._settle()
        loaded, is_whole = self._read_whole()
        return loaded if is_whole else None

    def _settle(self) -> None:
        before = stamps_of(self._seen)
        for _ in range(_PAUSES):
            self._pause(_PAUSE_S)
            now = stamps_of(before)
            if now == before:
                break
            before = now

    def _read_whole(self) -> tuple[LoadResult, bool]:
        """Reads the files; returns the result, and whether it is consistent.

        Files that change while they are read are read again, so that a key of one store is never
        combined with a secret of the next. A pipe can be read only once.
        """
        loaded = self._read(self._sources)
        for _ in range(_TRIES):
            now = stamps_of(loaded.files)
            if now == loaded.files or NO_FILE in now.values():
                self._seen = now
                self._pin(loaded)
                return loaded, True
            loaded = self._read(self._sources)
        # At the start there are no other settings; the next has_changed() sees the change.
        self._seen = self._seen or loaded.files
        return loaded, False

    def _pin(self, loaded: LoadResult) -> None:
        # A store that disappears is a problem, not a reason to use another account.
        settings = loaded.settings
        if settings is not None and not settings.store.is_fallback:
            self._sources = replace(self._sources, credentials=settings.store.source)
        if settings is not None and settings.source is not None:
            self._sources = replace(self._sources, config=settings.source)


class LiveSettings:
    """Holds the current settings; read them once per request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def current(self) -> Settings:
        return self._settings

    def replace(self, settings: Settings) -> None:
        """Sets the current settings; requests in progress keep theirs."""
        self._settings = settings
