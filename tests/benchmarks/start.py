"""Measures startup time, the first call, and idle memory."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import memory
from benchmarks.bench import Bench
from benchmarks.call import call_ms
from benchmarks.environment import environment, python_path
from benchmarks.errors import CannotMeasureError
from benchmarks.processes import on_core
from benchmarks.running import Running

# Long enough for work after startup, such as the first request for OVHcloud's time.
QUIET_S = 1.0


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `start/listen_ms`, `first_call_ms`, `idle_mib` and `idle_pss_mib`.

    For this project, also returns `start/floor_ms`, the time of `import aiohttp.web` in a new
    process, and `start/healthcheck_ms`.
    """
    if running.pid is None:
        return {}
    first_call = call_ms(running)
    time.sleep(QUIET_S)
    figures = {
        "listen_ms": running.start_s * 1000,
        "first_call_ms": first_call,
        "idle_mib": memory.resident(running.pid),
    }
    shared = memory.proportional(running.pid)
    if shared is not None:
        figures["idle_pss_mib"] = shared
    if running.checkout is not None:
        floor = [sys.executable, "-c", "import aiohttp.web"]
        check = [sys.executable, "-m", "ovh_proxy", "healthcheck", "--url", running.origin]
        figures["floor_ms"] = _took_ms(floor, bench, running.checkout)
        figures["healthcheck_ms"] = _took_ms(check, bench, running.checkout)
    return {f"start/{name}": value for name, value in figures.items()}


def _took_ms(command: Sequence[str], bench: Bench, checkout: Path) -> float:
    """The duration of a whole process on the core of the contender."""
    env = environment(bench, "plain", PYTHONPATH=python_path(checkout), HOME=str(bench.home))
    with on_core(bench.proxy_core):
        began = time.perf_counter()
        finished = subprocess.run(
            command, env=env, cwd=bench.home, capture_output=True, timeout=30, check=False
        )
    if finished.returncode != 0:
        raise CannotMeasureError(f"{' '.join(command[1:4])}\n{finished.stderr.decode()[-300:]}")
    return (time.perf_counter() - began) * 1000
