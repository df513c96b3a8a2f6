"""Measures requests per second when all requests differ, as with a client that walks an API."""

from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.processes import cpu_seconds
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 64
SCRIPT = Path(__file__).with_name("varied.lua")


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `plain/varied/rate`, `…/p99_ms`, and `…/cpu_s` per 10,000 requests."""
    url = running.origin + TARGET
    wrk(url, bench.load_core, CONNECTIONS, 1, script=SCRIPT)
    before = 0.0 if running.pid is None else cpu_seconds(running.pid)
    load = wrk(url, bench.load_core, CONNECTIONS, bench.seconds, script=SCRIPT)
    name = f"{flavour}/varied"
    figures = {f"{name}/rate": load.rate, f"{name}/p99_ms": load.p99_ms}
    if running.pid is not None:
        used = cpu_seconds(running.pid) - before
        figures[f"{name}/cpu_s"] = used * 10_000 / load.requests
    return figures
