"""What is counted of requests, as plain numbers that add up over processes."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ovh_proxy.http1.exchange import CLIENT_LEFT, Exchange

Levels = dict[str, float]
"""Values by metric name."""


# For these the minimum counts; all others add up. Shared memory counts for each process.
_MINIMUM = frozenset({"process_start_time_seconds", "process_max_fds"})


def process_levels() -> Levels:
    """Returns the system's metrics of this process; none where the system has none."""
    from prometheus_client import ProcessCollector

    families = ProcessCollector(registry=None).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


def sum_processes(processes: Iterable[Levels]) -> Levels:
    """Returns the metrics of several processes as one."""
    total: Levels = {}
    for levels in processes:
        for name, value in levels.items():
            if name not in total:
                total[name] = value
            elif name in _MINIMUM:
                total[name] = min(total[name], value)
            else:
                total[name] += value
    return total


class SummedProcessCollector:
    """Exposes summed metrics; replaces prometheus-client's own collector for one process."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def collect(self) -> Iterable[object]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, value in self._levels.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(name, "Of all processes, supervisor included.", value=value)


# Upper bounds in seconds: from a warm call on the same continent to the five minutes that some
# calls take. The proxy's own time is a fraction of the first.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
OWN_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0)
_CLASSES = tuple(f"{hundreds}xx" for hundreds in range(10))
Snapshot = dict[str, Any]


class Histogram:
    """A histogram of durations.

    Attributes:
        counts: one for each bound, and one for durations above all of them.
        seconds: the sum.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, counts: list[int], seconds: float) -> None:
        self.counts = [one + other for one, other in zip(self.counts, counts, strict=True)]
        self.seconds += seconds


class ProfileCounters:
    """The counters of one profile."""

    __slots__ = ("body_bytes", "own", "response_body_bytes", "retries", "total", "upstream")

    def __init__(self) -> None:
        self.total, self.upstream = Histogram(BOUNDS), Histogram(BOUNDS)
        self.own = Histogram(OWN_BOUNDS)
        self.retries = 0
        self.body_bytes = 0
        self.response_body_bytes = 0

    def count(self, exchange: Exchange, seconds: float) -> None:
        # Inline, because it runs for every request: method calls would double its cost.
        total = self.total
        total.counts[bisect_left(BOUNDS, seconds)] += 1
        total.seconds += seconds
        attempts = exchange.attempts.count
        if attempts:
            upstream, upstream_s = self.upstream, exchange.upstream_s
            upstream.counts[bisect_left(BOUNDS, upstream_s)] += 1
            upstream.seconds += upstream_s
            # Time spent waiting for the client is neither upstream's nor the proxy's.
            own, own_s = self.own, max(seconds - upstream_s - exchange.waited_s, 0.0)
            own.counts[bisect_left(OWN_BOUNDS, own_s)] += 1
            own.seconds += own_s
            self.retries += attempts - 1
            self.body_bytes += exchange.body_bytes
            self.response_body_bytes += exchange.response_body_bytes


class RequestCounters:
    """All counters of requests.

    Attributes:
        requests: by profile, client, method, status class, code and outcome.
        refusals: the proxy's own errors, by code.
        profiles: by name; `-` for requests without a profile.
    """

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.profiles: defaultdict[str, ProfileCounters] = defaultdict(ProfileCounters)

    def count(self, exchange: Exchange, ended: float) -> None:
        """Counts a request that has ended."""
        code = exchange.code or ""
        key = (
            exchange.profile,
            exchange.client,
            exchange.method,
            _CLASSES[exchange.status // 100],
            code,
            outcome_of(exchange),
        )
        self.requests[key] += 1
        if code:
            self.refusals[code] += 1
        self.profiles[exchange.profile].count(exchange, ended - exchange.began)

    def snapshot(self) -> Snapshot:
        """Returns all counters as JSON values, for another process."""
        return {
            "requests": [[*key, count] for key, count in self.requests.items()],
            "refusals": dict(self.refusals),
            "profiles": {
                name: {
                    "durations": [
                        [one.counts, one.seconds]
                        for one in (profile.total, profile.upstream, profile.own)
                    ],
                    "retries": profile.retries,
                    "bytes": [profile.body_bytes, profile.response_body_bytes],
                }
                for name, profile in self.profiles.items()
            },
        }

    def add(self, other: Snapshot) -> None:
        """Adds the counters of another process."""
        for *key, count in other["requests"]:
            self.requests[tuple(key)] += count
        for code, count in other["refusals"].items():
            self.refusals[code] += count
        for name, counted in other["profiles"].items():
            profile = self.profiles[name]
            for ours, theirs in zip(
                (profile.total, profile.upstream, profile.own), counted["durations"], strict=True
            ):
                ours.add(*theirs)
            profile.retries += counted["retries"]
            profile.body_bytes += counted["bytes"][0]
            profile.response_body_bytes += counted["bytes"][1]


def sum_snapshots(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Returns the snapshots of several processes as one.

    Args:
        snapshots: of RequestCounters, with "levels" added, and "process" where it is known.
    """
    counters, levels, processes = RequestCounters(), defaultdict[str, float](float), list[Levels]()
    for snapshot in snapshots:
        counters.add(snapshot)
        processes.append(snapshot.get("process", {}))
        for name, value in snapshot["levels"].items():
            levels[name] += value
    return {**counters.snapshot(), "levels": dict(levels), "process": sum_processes(processes)}


def outcome_of(exchange: Exchange) -> str:
    """Returns `relayed`, `own`, `refused`, `failed`, `cut` or `client_left`."""
    if exchange.status == CLIENT_LEFT:
        return "client_left"
    if exchange.is_cut:
        return "cut"
    if exchange.code is not None:
        return "failed" if exchange.status >= 500 else "refused"
    return "own" if exchange.is_own_route else "relayed"
