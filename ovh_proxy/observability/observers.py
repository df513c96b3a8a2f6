"""Who is told of every request: the audit log and the tracing, where they are asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.redaction import printable
from ovh_proxy.core.settings import Settings, TracingSettings
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.logs import Log
from ovh_proxy.observability.audit import Audit, open_audit

if TYPE_CHECKING:
    from ovh_proxy.observability.otel import RequestTracing


class RequestObserver(Protocol):
    """Observes the begin and end of each request, without changing it."""

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """Called for each new request; `request` is None for input that is not a valid one."""

    def end(self, exchange: Exchange) -> None:
        """Called at the end of each request, whatever its outcome."""


_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def is_traced(tracing: TracingSettings, environ: Mapping[str, str]) -> bool:
    """Whether the settings and OpenTelemetry's own variables enable spans.

    Raises:
        UsageError: they need something that is not supported or not installed.
    """
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not tracing.enabled or is_off or exporter == "none":
        return False
    if exporter != "otlp":
        raise UsageError(
            f"OTEL_TRACES_EXPORTER: unknown exporter '{printable(exporter)}'; use otlp or none"
        )
    variable = next((name for name in _PROTOCOLS if environ.get(name)), None)
    if variable is not None and environ[variable] != "http/protobuf":
        raise UsageError(
            f"{variable}: unknown protocol '{printable(environ[variable])}'; use http/protobuf "
            "(port 4318 of a collector)"
        )
    if not _is_installed():
        raise UsageError(
            "tracing.enabled needs an extra; run: pip install 'ovh-proxy[otel]', or remove the "
            "setting"
        )
    return True


def open_tracing(
    tracing: TracingSettings, environ: Mapping[str, str], log: Log
) -> "RequestTracing | None":
    """Returns what traces requests; None if tracing is disabled.

    Raises:
        UsageError: tracing cannot start.
    """
    if not is_traced(tracing, environ):
        return None
    # Imported here: it is an extra, and takes a while.
    from ovh_proxy.observability.otel import RequestTracing, SpanPipeline

    try:
        return RequestTracing(SpanPipeline(log), tracing.propagate)
    except ValueError as failure:
        # The value is not shown: OTEL_EXPORTER_OTLP_HEADERS contains tokens.
        raise UsageError(
            "one of the OTEL_* variables has an invalid value (not shown); check them"
        ) from failure


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk.trace") is not None and find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


@dataclass(frozen=True, slots=True)
class Observers:
    """The observers of every request."""

    audit: Audit | None = None
    tracing: "RequestTracing | None" = None

    @property
    def all(self) -> tuple[RequestObserver, ...]:
        return tuple(one for one in (self.audit, self.tracing) if one is not None)

    @property
    def lost_lines(self) -> int:
        """Audit lines that could not be written."""
        return 0 if self.audit is None else self.audit.lost

    def reopen(self) -> None:
        """Opens the audit file again, on SIGHUP."""
        if self.audit is not None:
            self.audit.reopen()

    async def close(self) -> None:
        """Closes the audit file, and sends the remaining spans."""
        if self.audit is not None:
            self.audit.close()
        if self.tracing is not None:
            await self.tracing.close()


NO_OBSERVERS = Observers()


def open_observers(settings: Settings, log: Log) -> Observers:
    """Opens the observers that the settings enable.

    Raises:
        UsageError: one of them cannot start.
    """
    audit = open_audit(settings.log.audit, log)
    try:
        return Observers(audit, open_tracing(settings.tracing, os.environ, log))
    except BaseException:
        if audit is not None:
            audit.close()
        raise


def require_observers(settings: Settings) -> None:
    """Checks that `open_observers` will succeed, before the workers start.

    Raises:
        UsageError: one of them cannot start.
    """
    is_traced(settings.tracing, os.environ)
    audit = open_audit(settings.log.audit, Log())
    if audit is not None:
        audit.close()
