"""Measures the speed and memory use of large bodies."""

import time

from benchmarks import memory
from benchmarks.bench import Bench
from benchmarks.processes import on_core
from benchmarks.raw_http import connect, read_body, read_head, request
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

UP_BYTES = 64 << 20
READERS = 32
# Each reader reads this many bytes at this interval, this many times.
READ_BYTES, READ_EVERY_S, READS = 16_384, 0.1, 20
_SMALL_BUFFER = 65_536


def measure_down(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Downloads 1 GiB. Returns `…/down/mb_s`, `first_byte_ms`, `idle_mib`, `peak_mib`."""
    idle = _settled(bench, running)
    if flavour != "plain" and running.pid is None:
        return {}  # this would measure the TLS of the benchmark itself
    with on_core(bench.load_core), connect(running.port) as connection:
        began = time.perf_counter()
        connection.sendall(request("GET", "/1.0/large", running.port))
        length, arrived = read_head(connection)
        first_byte = time.perf_counter() - began
        read_body(connection, length, arrived)
        took = time.perf_counter() - began
    figures = {"mb_s": length / took / 1e6, "first_byte_ms": first_byte * 1000}
    return _named(f"{flavour}/down", running, idle, figures)


def measure_up(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Uploads 64 MiB. Returns `…/up/mb_s`, `idle_mib`, `peak_mib`."""
    idle = _settled(bench, running)
    lines = ("Content-Type: application/octet-stream", f"Content-Length: {UP_BYTES}")
    head, body = request("POST", "/1.0/upload", running.port, lines), bytes(UP_BYTES)
    with on_core(bench.load_core), connect(running.port) as connection:
        began = time.perf_counter()
        connection.sendall(head)
        connection.sendall(body)
        read_body(connection, *read_head(connection))
        took = time.perf_counter() - began
    return _named(f"{flavour}/up", running, idle, {"mb_s": UP_BYTES / took / 1e6})


def measure_slow(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Runs 32 clients that read 64 MiB each, slowly. Returns `…/slow/idle_mib`, `peak_mib`."""
    idle = _settled(bench, running)
    readers = [connect(running.port, _SMALL_BUFFER) for _ in range(READERS)]
    try:
        for reader in readers:
            reader.sendall(request("GET", "/1.0/slowly_read", running.port))
        for reader in readers:
            read_head(reader)
        for _ in range(READS):
            time.sleep(READ_EVERY_S)
            for reader in readers:
                reader.recv(READ_BYTES)
        return _named(f"{flavour}/slow", running, idle, {})
    finally:
        for reader in readers:
            reader.close()


def _settled(bench: Bench, running: Running) -> float:
    """Resident MiB after small calls: the base for the memory added."""
    if running.pid is None:
        return 0.0
    wrk(running.origin + TARGET, bench.load_core, 4, 1)
    return memory.forget_peak(running.pid)


def _named(name: str, running: Running, idle: float, figures: dict[str, float]) -> dict[str, float]:
    if running.pid is not None:
        peak = memory.peak(running.pid)
        figures = {**figures, "idle_mib": idle, "peak_mib": peak, "growth_mib": peak - idle}
    return {f"{name}/{key}": value for key, value in figures.items()}
