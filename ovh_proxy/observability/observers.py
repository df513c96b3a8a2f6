"""The audit and the tracing of one process, as far as they are asked for."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovh_proxy.core.settings import Settings
from ovh_proxy.logs import Log
from ovh_proxy.observability.audit import Audit, open_audit
from ovh_proxy.server.tracing import is_traced, open_tracing
from ovh_proxy.server.witness import RequestObserver

if TYPE_CHECKING:
    from ovh_proxy.observability.otel import RequestTracing


@dataclass(frozen=True, slots=True)
class Observers:
    """Those that are told of every request."""

    audit: Audit | None = None
    tracing: "RequestTracing | None" = None

    @property
    def all(self) -> tuple[RequestObserver, ...]:
        return tuple(one for one in (self.audit, self.tracing) if one is not None)

    @property
    def lost_lines(self) -> int:
        """Of the audit, because they could not be written."""
        return 0 if self.audit is None else self.audit.lost

    def reopen(self) -> None:
        """SIGHUP: a file that has been moved away gets no more lines."""
        if self.audit is not None:
            self.audit.reopen()

    async def close(self) -> None:
        """Writes and sends what is left."""
        if self.audit is not None:
            self.audit.close()
        if self.tracing is not None:
            await self.tracing.close()


NO_OBSERVERS = Observers()


def open_observers(settings: Settings, log: Log) -> Observers:
    """Those that the settings ask for.

    Raises:
        UsageError: one of them cannot begin; it says why.
    """
    audit = open_audit(settings.log.audit, log)
    try:
        return Observers(audit, open_tracing(settings.tracing, os.environ, log))
    except BaseException:
        if audit is not None:
            audit.close()
        raise


def require_observers(settings: Settings) -> None:
    """Raises what `open_observers` would raise, before there are workers to meet it.

    Raises:
        UsageError: it says what to do.
    """
    is_traced(settings.tracing, os.environ)
    audit = open_audit(settings.log.audit, Log())
    if audit is not None:
        audit.close()
