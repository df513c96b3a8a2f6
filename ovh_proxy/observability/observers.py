"""Who is told of every request: the audit log and the tracing, where they are asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import Settings
from ovh_proxy.core.settings import TracingSettings as Wanted
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.logs import Log
from ovh_proxy.observability.audit import Audit, open_audit

if TYPE_CHECKING:
    from ovh_proxy.observability.otel import RequestTracing


class RequestObserver(Protocol):
    """Sees a request come and go, and changes nothing of it."""

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """A request has come; None for input that never became one."""

    def end(self, exchange: Exchange) -> None:
        """It has ended, however it did."""


_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def is_traced(wanted: Wanted, environ: Mapping[str, str]) -> bool:
    """Whether the settings and OpenTelemetry's own variables ask for spans.

    Raises:
        UsageError: they ask for what there is not; it says what to do.
    """
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not wanted.enabled or is_off or exporter == "none":
        return False
    if exporter != "otlp":
        raise UsageError("OTEL_TRACES_EXPORTER: the exporters known are otlp and none")
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise UsageError(
            f"{_PROTOCOLS[1]}: the only protocol known is http/protobuf (port 4318 of a collector)"
        )
    if not _is_installed():
        raise UsageError(
            "tracing.enabled needs an extra; run: pip install 'ovh-proxy[otel]', or leave it out"
        )
    return True


def open_tracing(wanted: Wanted, environ: Mapping[str, str], log: Log) -> "RequestTracing | None":
    """What traces requests; None where nobody asks for it.

    Raises:
        UsageError: what is asked for is not to be had.
    """
    if not is_traced(wanted, environ):
        return None
    # Imported here: it is an extra, and takes a while.
    from ovh_proxy.observability.otel import RequestTracing, SpanPipeline

    try:
        return RequestTracing(SpanPipeline(log), wanted.propagate)
    except ValueError as failure:
        # The value stays untold: OTEL_EXPORTER_OTLP_HEADERS holds tokens.
        raise UsageError("one of the OTEL_* variables has a value that it cannot have") from failure


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk.trace") is not None and find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # of a package on the way
        return False


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
