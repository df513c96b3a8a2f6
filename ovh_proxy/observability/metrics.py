"""What is counted, in prometheus-client's terms."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Protocol

from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.observability.counters import (
    BOUNDS,
    OWN_BOUNDS,
    Histogram,
    RequestCounters,
    Snapshot,
)
from ovh_proxy.server.families import METRIC_FAMILIES, MetricFamily
from ovh_proxy.server.processes import SummedProcessCollector, sum_processes

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
            ((name,), one.answer_bytes) for name, one in profiles
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
