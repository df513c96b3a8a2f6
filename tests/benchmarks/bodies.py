"""Large bodies: how fast they pass, and what memory they take."""

import time

from benchmarks import memory
from benchmarks.place import Place
from benchmarks.processes import on_core
from benchmarks.raw_http import connect, read_body, read_head, request
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

UP_BYTES = 64 << 20
READERS = 32
# Each reader takes this much at a time, so often, for so long.
SIP_BYTES, SIP_EVERY_S, SIPS = 16_384, 0.1, 20
_SMALL_BUFFER = 65_536


def measure_down(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """One download of 1 GiB. Gives: `…/down/mb_s`, `first_byte_ms`, `idle_mib`, `peak_mib`."""
    idle = _settled(place, running)
    if flavour != "plain" and running.pid is None:
        return {}  # the suite's own TLS would be what is measured
    with on_core(place.load_core), connect(running.port) as connection:
        began = time.perf_counter()
        connection.sendall(request("GET", "/1.0/large", running.port))
        length, come = read_head(connection)
        first_byte = time.perf_counter() - began
        read_body(connection, length, come)
        took = time.perf_counter() - began
    figures = {"mb_s": length / took / 1e6, "first_byte_ms": first_byte * 1000}
    return _named(f"{flavour}/down", running, idle, figures)


def measure_up(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """One upload of 64 MiB. Gives: `…/up/mb_s`, `idle_mib`, `peak_mib`."""
    idle = _settled(place, running)
    lines = ("Content-Type: application/octet-stream", f"Content-Length: {UP_BYTES}")
    head, body = request("POST", "/1.0/upload", running.port, lines), bytes(UP_BYTES)
    with on_core(place.load_core), connect(running.port) as connection:
        began = time.perf_counter()
        connection.sendall(head)
        connection.sendall(body)
        read_body(connection, *read_head(connection))
        took = time.perf_counter() - began
    return _named(f"{flavour}/up", running, idle, {"mb_s": UP_BYTES / took / 1e6})


def measure_slow(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """32 clients that sip at 64 MiB each. Gives: `…/slow/idle_mib`, `peak_mib`."""
    idle = _settled(place, running)
    readers = [connect(running.port, _SMALL_BUFFER) for _ in range(READERS)]
    try:
        for reader in readers:
            reader.sendall(request("GET", "/1.0/sipped", running.port))
        for reader in readers:
            read_head(reader)
        for _ in range(SIPS):
            time.sleep(SIP_EVERY_S)
            for reader in readers:
                reader.recv(SIP_BYTES)
        return _named(f"{flavour}/slow", running, idle, {})
    finally:
        for reader in readers:
            reader.close()


def _settled(place: Place, running: Running) -> float:
    """Resident MiB after small calls, where the peak is counted from."""
    if running.pid is None:
        return 0.0
    wrk(running.origin + TARGET, place.load_core, 4, 1)
    return memory.forget_peak(running.pid)


def _named(name: str, running: Running, idle: float, figures: dict[str, float]) -> dict[str, float]:
    if running.pid is not None:
        peak = memory.peak(running.pid)
        figures = {**figures, "idle_mib": idle, "peak_mib": peak, "growth_mib": peak - idle}
    return {f"{name}/{key}": value for key, value in figures.items()}
