"""The metrics page: families, gauges, and their exposition for Prometheus."""

import time
from collections import defaultdict
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
    sum_processes,
)


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


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


Samples = Mapping[str, Iterable[tuple[tuple[str, ...], float]]]
"""By family name: label values, and the value."""


class Metrics:
    """What one process counts.

    prometheus-client writes it down; to count with it would cost more than to sign.
    """

    def __init__(self, levels: Callable[[], dict[str, float]] = dict) -> None:
        """
        Args:
            levels: gives what others count, by family name; it adds up over processes.
        """
        self._counters = RequestCounters()
        self._levels = levels

    def count(self, exchange: Exchange, ended: float) -> None:
        """Counts a request that has ended."""
        self._counters.count(exchange, ended)

    def calls(self, profile: str) -> int:
        """How many of a profile's calls have been sent to OVHcloud."""
        tally = self._counters.profiles.get(profile)
        return 0 if tally is None else sum(tally.upstream.counts)

    def snapshot(self) -> Snapshot:
        """All that this process has counted, as plain JSON."""
        return {**self._counters.snapshot(), "levels": self._levels()}

    def exposition(self, moment: Samples, others: Iterable[Snapshot] = ()) -> bytes:
        """All of them in Prometheus' text format.

        Args:
            moment: what is known now, and is the same in every process.
            others: the snapshots of other processes that serve the same listeners.
        """
        # Imported here: it takes a while, and the start does not need it.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        counters, levels = RequestCounters(), defaultdict[str, float](float)
        snapshots = (self.snapshot(), *others)
        for snapshot in snapshots:
            counters.add(snapshot)
            for name, value in snapshot["levels"].items():
                levels[name] += value
        page = _Page(counters, {**moment, **{name: [((), levels[name])] for name in levels}})
        registry = CollectorRegistry()
        registry.register(page)  # type: ignore[arg-type] # it asks for a subclass, and needs none
        processes = [one["process"] for one in snapshots if "process" in one]
        if processes:
            registry.register(SummedProcessCollector(sum_processes(processes)))  # type: ignore[arg-type] # as above
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
                histogram.add_metric(labels, _buckets(bounds, durations), durations.seconds)
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
    for profile, tally in counters.profiles.items():
        if name == "ovh_proxy_request_duration_seconds":
            yield (profile,), BOUNDS, tally.total
        elif name == "ovh_proxy_upstream_duration_seconds":
            yield (profile,), BOUNDS, tally.upstream
        else:
            yield (profile,), OWN_BOUNDS, tally.own


def _buckets(bounds: tuple[float, ...], durations: Histogram) -> list[tuple[str, float]]:
    names = (*map(str, bounds), "+Inf")
    return list(zip(names, accumulate(durations.counts), strict=True))


class PeerMetrics(Protocol):
    """A way to what the others have counted."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """What others have counted, those that have ended included.

        Args:
            own: gives what this process has counted.

        Raises:
            Overloaded: it could not be found out.
        """


class NoPeerMetrics:
    """There are no others."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        return []


class ReloadStatus:
    """How the last attempt to read the settings ended.

    Attributes:
        is_good: whether the settings in use are those on disk.
        good_at: seconds since the epoch, when they were last found good.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.is_good = True
        self.good_at = now()

    def record(self, is_good: bool) -> None:
        """Another attempt has ended."""
        self.is_good = is_good
        if is_good:
            self.good_at = self._now()


def gauges(
    settings: Settings, clocks: Clocks, states: CredentialStates, reloads: ReloadStatus
) -> Samples:
    """Clocks, credentials, reloads and the version, by family name."""
    profiles = settings.store.profiles.values()
    known = {profile.name: states.of(profile) for profile in profiles}
    deltas = {one.endpoint.name: clocks.of(one.endpoint).delta for one in profiles}
    return {
        "ovh_proxy_credential_state": [
            ((profile.name, kind_of(profile.credential), state), state == known[profile.name].state)
            for profile in profiles
            for state in STATES
        ],
        "ovh_proxy_credential_expires_timestamp_seconds": [
            ((name,), one.expires) for name, one in known.items() if one.expires is not None
        ],
        "ovh_proxy_clock_delta_seconds": [
            ((endpoint,), delta) for endpoint, delta in deltas.items() if delta is not None
        ],
        "ovh_proxy_config_last_reload_successful": [((), reloads.is_good)],
        "ovh_proxy_config_last_reload_success_timestamp_seconds": [((), reloads.good_at)],
        "ovh_proxy_build_info": [((__version__,), 1)],
    }
