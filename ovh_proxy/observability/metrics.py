"""The metrics page: families, gauges, and their exposition for Prometheus."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from ovh_proxy import __version__
from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.credential_states import STATES, CredentialStates
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.settings import Settings
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.observability.counters import (
    BOUNDS,
    OWN_BOUNDS,
    Histogram,
    RequestCounters,
    Snapshot,
    SummedProcessCollector,
    sum_snapshots,
)


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric.

    Attributes:
        name: as it is exposed, including `_total`.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


METRIC_FAMILIES = (
    MetricFamily(
        "ovh_proxy_requests_total",
        "counter",
        "Finished requests, including rejected ones; code is the proxy's own error, if any.",
        ("profile", "client", "method", "status", "code", "outcome"),
    ),
    MetricFamily(
        "ovh_proxy_request_duration_seconds",
        "histogram",
        "Time from the head of a request to the end of the response.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_upstream_duration_seconds",
        "histogram",
        "Time from the call to OVHcloud to the head of the response, including retries.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_own_duration_seconds",
        "histogram",
        "Time that the proxy added to a forwarded request, without waiting for the client.",
        ("profile",),
    ),
    MetricFamily("ovh_proxy_requests_in_flight", "gauge", "Requests being served."),
    MetricFamily("ovh_proxy_connections", "gauge", "Open client connections."),
    MetricFamily(
        "ovh_proxy_retries_total", "counter", "Attempts of calls after the first.", ("profile",)
    ),
    MetricFamily(
        "ovh_proxy_refusals_total", "counter", "Error responses of the proxy itself.", ("code",)
    ),
    MetricFamily(
        "ovh_proxy_request_body_bytes_total",
        "counter",
        "Bytes of forwarded request bodies.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_response_body_bytes_total",
        "counter",
        "Bytes of forwarded response bodies.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_upstream_connections_made_total", "counter", "Connections opened to OVHcloud."
    ),
    MetricFamily(
        "ovh_proxy_upstream_connections_reused_total",
        "counter",
        "Calls to OVHcloud on a reused connection.",
    ),
    MetricFamily(
        "ovh_proxy_clock_delta_seconds",
        "gauge",
        "How far OVHcloud's clock is ahead of the local clock.",
        ("endpoint",),
    ),
    MetricFamily(
        "ovh_proxy_credential_state",
        "gauge",
        "1 for the current state of a profile's credential.",
        ("profile", "kind", "state"),
    ),
    MetricFamily(
        "ovh_proxy_credential_expires_timestamp_seconds",
        "gauge",
        "When a profile's credential expires, if known.",
        ("profile",),
    ),
    MetricFamily(
        "ovh_proxy_config_last_reload_successful",
        "gauge",
        "1 if the configuration in use is the one on disk.",
    ),
    MetricFamily(
        "ovh_proxy_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When a configuration was last loaded successfully, at the start or by a reload.",
    ),
    MetricFamily(
        "ovh_proxy_log_lines_dropped_total",
        "counter",
        "Log lines dropped because the log was read too slowly.",
    ),
    MetricFamily(
        "ovh_proxy_audit_lines_lost_total", "counter", "Audit lines that could not be written."
    ),
    MetricFamily("ovh_proxy_workers", "gauge", "Worker processes."),
    MetricFamily(
        "ovh_proxy_worker_restarts_total",
        "counter",
        "Worker processes that ended and were replaced.",
    ),
    MetricFamily("ovh_proxy_build_info", "gauge", "The running version.", ("version",)),
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Samples = Mapping[str, Iterable[tuple[tuple[str, ...], float]]]
"""By family name: label values, and the value."""


class Metrics:
    """The metrics of one process.

    prometheus-client is used for the exposition only: counting with it costs more than signing.
    """

    def __init__(self, levels: Callable[[], dict[str, float]] = dict) -> None:
        """
        Args:
            levels: returns further values by metric name; they add up over processes.
        """
        self._counters = RequestCounters()
        self._levels = levels

    def count(self, exchange: Exchange, ended: float) -> None:
        """Counts a request that has ended."""
        self._counters.count(exchange, ended)

    def calls(self, profile: str) -> int:
        """Returns how many calls of a profile were sent to OVHcloud."""
        counters = self._counters.profiles.get(profile)
        return 0 if counters is None else sum(counters.upstream.counts)

    def snapshot(self) -> Snapshot:
        """Returns all metrics of this process as JSON values."""
        return {**self._counters.snapshot(), "levels": self._levels()}

    def exposition(self, current: Samples, others: Iterable[Snapshot] = ()) -> bytes:
        """Returns all metrics in Prometheus' text format.

        Args:
            current: gauges that are the same in every process.
            others: the snapshots of other processes that serve the same listeners.
        """
        # Imported here: it takes a while, and is not needed at the start.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        total, counters = sum_snapshots([self.snapshot(), *others]), RequestCounters()
        counters.add(total)
        levels = {name: [((), value)] for name, value in total["levels"].items()}
        registry = CollectorRegistry()
        registry.register(_Page(counters, {**current, **levels}))  # type: ignore[arg-type] # duck-typed
        if total["process"]:
            registry.register(SummedProcessCollector(total["process"]))  # type: ignore[arg-type] # as above
        else:
            ProcessCollector(registry=registry)
        return generate_latest(registry)


class _Page:
    def __init__(self, counters: RequestCounters, samples: Samples) -> None:
        self._counters = counters
        self._samples = {**samples, **_counted(counters)}

    def collect(self) -> Iterable[object]:
        from prometheus_client.core import HistogramMetricFamily

        for family in METRIC_FAMILIES:
            if family.kind != "histogram":
                yield _plain(family, self._samples.get(family.name, ()))
                continue
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for labels, bounds, durations in _durations(family.name, self._counters):
                buckets = zip(
                    (*map(str, bounds), "+Inf"), accumulate(durations.counts), strict=True
                )
                histogram.add_metric(labels, list(buckets), durations.seconds)
            yield histogram


def _plain(family: MetricFamily, samples: Iterable[tuple[tuple[str, ...], float]]) -> object:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric


def _counted(counters: RequestCounters) -> Samples:
    profiles = counters.profiles.items()
    return {
        "ovh_proxy_requests_total": counters.requests.items(),
        "ovh_proxy_refusals_total": [((code,), n) for code, n in counters.refusals.items()],
        "ovh_proxy_retries_total": [((name,), one.retries) for name, one in profiles],
        "ovh_proxy_request_body_bytes_total": [((name,), one.body_bytes) for name, one in profiles],
        "ovh_proxy_response_body_bytes_total": [
            ((name,), one.response_body_bytes) for name, one in profiles
        ],
    }


def _durations(
    name: str, counters: RequestCounters
) -> Iterable[tuple[tuple[str, ...], tuple[float, ...], Histogram]]:
    for profile, counted in counters.profiles.items():
        if name == "ovh_proxy_request_duration_seconds":
            yield (profile,), BOUNDS, counted.total
        elif name == "ovh_proxy_upstream_duration_seconds":
            yield (profile,), BOUNDS, counted.upstream
        else:
            yield (profile,), OWN_BOUNDS, counted.own


class PeerMetrics(Protocol):
    """Fetches the metrics of other processes."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """Returns the snapshots of other processes, including those that have ended.

        Args:
            own: returns the snapshot of this process.

        Raises:
            Overloaded: the other processes did not respond.
        """


class NoPeerMetrics:
    """For a single process: there are no others."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        return []


class ReloadStatus:
    """The result of the last attempt to load the settings.

    Attributes:
        is_good: whether the settings in use are those on disk.
        good_at: when settings were last loaded successfully, in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.is_good = True
        self.good_at = now()

    def record(self, is_good: bool) -> None:
        """Records the result of another attempt."""
        self.is_good = is_good
        if is_good:
            self.good_at = self._now()


def gauges(
    settings: Settings, clocks: Clocks, states: CredentialStates, reloads: ReloadStatus
) -> Samples:
    """Returns the gauges of clocks, credentials, reloads and version, by family name."""
    profiles = settings.store.profiles.values()
    status = {profile.name: states.of(profile) for profile in profiles}
    deltas = {one.endpoint.name: clocks.of(one.endpoint).delta for one in profiles}
    return {
        "ovh_proxy_credential_state": [
            (
                (profile.name, kind_of(profile.credential), state),
                state == status[profile.name].state,
            )
            for profile in profiles
            for state in STATES
        ],
        "ovh_proxy_credential_expires_timestamp_seconds": [
            ((name,), one.expires) for name, one in status.items() if one.expires is not None
        ],
        "ovh_proxy_clock_delta_seconds": [
            ((endpoint,), delta) for endpoint, delta in deltas.items() if delta is not None
        ],
        "ovh_proxy_config_last_reload_successful": [((), reloads.is_good)],
        "ovh_proxy_config_last_reload_success_timestamp_seconds": [((), reloads.good_at)],
        "ovh_proxy_build_info": [((__version__,), 1)],
    }
