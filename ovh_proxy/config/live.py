"""The settings in use, and the watch over the files that they come from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ovh_proxy.config.files import NO_FILE, Stamp, stamps_of
from ovh_proxy.config.loader import LoadResult, load
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.settings import Settings

# A file that is being written is given this long to stand still, and so often.
_PAUSE_S = 0.1

_PAUSES = 4

_TRIES = 4


class SettingsWatcher:
    """The files behind the settings; everything here blocks."""

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

    def first(self) -> Settings:
        """The settings of the start.

        Raises:
            ConfigurationError: every problem of them.
        """
        loaded, _ = self._read_whole()
        if loaded.settings is None:
            raise ConfigurationError(loaded.problems)
        return loaded.settings

    def has_changed(self) -> bool:
        """Whether a file is another one than when it was read last, or came, or went."""
        return stamps_of(self._seen) != self._seen

    def again(self) -> LoadResult | None:
        """What the files say now; None while they do not stand still, which is to be tried again.

        A half-written file is waited for.
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
        """What was read, and whether all of it is of one moment.

        What has changed while it was read is read once more, so that no key of one store meets a
        secret of the next. A pipe gives what it has only once.
        """
        loaded = self._read(self._sources)
        for _ in range(_TRIES):
            now = stamps_of(loaded.files)
            if now == loaded.files or NO_FILE in now.values():
                self._seen = now
                self._pin(loaded)
                return loaded, True
            loaded = self._read(self._sources)
        # At the start there is nothing else to serve; what has changed since is seen at a look.
        self._seen = self._seen or loaded.files
        return loaded, False

    def _pin(self, loaded: LoadResult) -> None:
        # A store that vanishes is a problem, not a reason to serve another account's.
        settings = loaded.settings
        if settings is not None and not settings.store.is_fallback:
            self._sources = replace(self._sources, credentials=settings.store.source)
        if settings is not None and settings.source is not None:
            self._sources = replace(self._sources, config=settings.source)


class LiveSettings:
    """Whoever needs the settings asks here, once a request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def current(self) -> Settings:
        return self._settings

    def replace(self, settings: Settings) -> None:
        """Gives these to whoever asks from now on; requests under way keep what they have."""
        self._settings = settings
