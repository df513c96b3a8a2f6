"""The metrics by name: their kind, their help and their labels."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric.

    Attributes:
        name: as it is scraped, `_total` included.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


METRIC_FAMILIES = (
    MetricFamily(
        "ovh_proxy_requests_total",
        "counter",
        "Requests ended, refused ones included; code is the proxy's own error, if any.",
        ("profile", "client", "method", "status", "code", "outcome"),
    ),
    MetricFamily(
        "ovh_proxy_request_duration_seconds",
        "histogram",
        "From the head of a request to the end of its answer.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_upstream_duration_seconds",
        "histogram",
        "From the call sent to OVHcloud to the head of its answer, retries included.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_own_duration_seconds",
        "histogram",
        "What the proxy itself added to a forwarded request, waiting for the client left out.",
        ("profile",),
    ),
    MetricFamily("ovh_proxy_requests_in_flight", "gauge", "Requests being served."),
    MetricFamily("ovh_proxy_connections", "gauge", "Connections of clients that stand."),
    MetricFamily(
        "ovh_proxy_retries_total",
        "counter",
        "Attempts at a call beyond its first.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_refusals_total",
        "counter",
        "Answers of the proxy's own errors.",
        ("code",),
    ),
    MetricFamily(
        "ovh_proxy_request_body_bytes_total",
        "counter",
        "Bytes of the bodies that were forwarded.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_response_body_bytes_total",
        "counter",
        "Bytes of the answers' bodies that were passed on.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_upstream_connections_made_total",
        "counter",
        "Connections to OVHcloud that were opened.",
    ),
    MetricFamily(
        "ovh_proxy_upstream_connections_reused_total",
        "counter",
        "Calls to OVHcloud that went out on a kept connection.",
    ),
    MetricFamily(
        "ovh_proxy_clock_delta_seconds",
        "gauge",
        "How far OVHcloud's clock is ahead of this machine's.",
        ("endpoint",),
    ),
    MetricFamily(
        "ovh_proxy_credential_state",
        "gauge",
        "1 for the state that a profile's credential is in.",
        ("profile", "kind", "state"),
    ),
    MetricFamily(
        "ovh_proxy_credential_expires_timestamp_seconds",
        "gauge",
        "When a profile's credential ends, where that is known.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_config_last_reload_successful",
        "gauge",
        "Whether the configuration in use is the one on disk.",
    ),
    MetricFamily(
        "ovh_proxy_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When the configuration was last found good: at the start, or at a reload.",
    ),
    MetricFamily(
        "ovh_proxy_log_lines_dropped_total",
        "counter",
        "Log lines that nobody took in time.",
    ),
    MetricFamily(
        "ovh_proxy_audit_lines_lost_total",
        "counter",
        "Lines of the audit stream that could not be written.",
    ),
    MetricFamily("ovh_proxy_workers", "gauge", "Processes that serve."),
    MetricFamily(
        "ovh_proxy_worker_restarts_total",
        "counter",
        "Processes that died and were replaced.",
    ),
    MetricFamily("ovh_proxy_build_info", "gauge", "The version that runs.", ("version",)),
)
