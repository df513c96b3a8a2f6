"""Whether requests are traced, and what has to be there for it."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import TracingSettings as Wanted
from ovh_proxy.logs import Log

if TYPE_CHECKING:
    from ovh_proxy.observability.otel import RequestTracing

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
    from ovh_proxy.observability.otel import RequestTracing
    from ovh_proxy.server.collector import SpanPipeline

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
