"""Measures one connection per request."""

from benchmarks.bench import Bench
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 64


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `plain/close/rate`, `plain/close/p99_ms`."""
    url = running.origin + TARGET
    wrk(url, bench.load_core, CONNECTIONS, 1)
    load = wrk(url, bench.load_core, CONNECTIONS, bench.seconds, "Connection: close")
    return {f"{flavour}/close/rate": load.rate, f"{flavour}/close/p99_ms": load.p99_ms}
