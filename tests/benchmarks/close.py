"""A connection a request: clients that keep none."""

from benchmarks.place import Place
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 64


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives: `plain/close/rate`, `plain/close/p99_ms`."""
    url = running.origin + TARGET
    wrk(url, place.load_core, CONNECTIONS, 1)
    load = wrk(url, place.load_core, CONNECTIONS, place.seconds, "Connection: close")
    return {f"{flavour}/close/rate": load.rate, f"{flavour}/close/p99_ms": load.p99_ms}
