"""A reload of all workers: begun at once, and told to have ended when each of them has."""

from collections.abc import Iterable

from ovh_proxy.server.systemd import ServiceManager


class ReloadBarrier:
    """One reload at a time; another one begins it anew."""

    def __init__(self, service_manager: ServiceManager) -> None:
        self._service_manager = service_manager
        self._missing: set[int] = set()

    def begin(self, pids: Iterable[int]) -> None:
        """These are to read the settings again."""
        self._service_manager.reloading()
        self._missing = set(pids)

    def record(self, pid: int) -> None:
        """A worker has read them, or has ended."""
        if pid in self._missing:
            self._missing.remove(pid)
            if not self._missing:
                self._service_manager.ready()
