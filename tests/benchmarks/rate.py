"""Requests per second on kept connections, their p99, and the CPU time of each."""

from benchmarks.place import Place
from benchmarks.processes import cpu_seconds
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

WARM_CONNECTIONS = 64


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Figures at each number of connections.

    Gives:
        `plain/c16/rate`, `…/p50_ms`, `…/p99_ms`, `…/cpu_s` a 10 000 requests.
    """
    url = running.origin + TARGET
    wrk(url, place.load_core, WARM_CONNECTIONS, 1)
    figures: dict[str, float] = {}
    for connections in place.connections:
        before = _cpu(running)
        load = wrk(url, place.load_core, connections, place.seconds)
        name = f"{flavour}/c{connections}"
        figures[f"{name}/rate"] = load.rate
        figures[f"{name}/p50_ms"] = load.p50_ms
        figures[f"{name}/p99_ms"] = load.p99_ms
        if running.pid is not None:
            figures[f"{name}/cpu_s"] = (_cpu(running) - before) * 10_000 / load.requests
    return figures


def _cpu(running: Running) -> float:
    return 0.0 if running.pid is None else cpu_seconds(running.pid)
