"""Start-up, the first call, and size while nothing happens."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import memory
from benchmarks.call import call_ms
from benchmarks.environment import environment, python_path
from benchmarks.errors import CannotMeasureError
from benchmarks.place import Place
from benchmarks.processes import on_core
from benchmarks.running import Running

# Long enough for what runs after the start, such as a first look at OVHcloud's clock.
QUIET_S = 1.0


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives: `start/listen_ms`, `first_call_ms`, `idle_mib`, `idle_pss_mib`.

    And of this project `start/floor_ms`, the time that `import aiohttp.web` takes a new
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
        figures["floor_ms"] = _took_ms(floor, place, running.checkout)
        figures["healthcheck_ms"] = _took_ms(check, place, running.checkout)
    return {f"start/{name}": value for name, value in figures.items()}


def _took_ms(command: Sequence[str], place: Place, checkout: Path) -> float:
    """A whole process, on the core of the contenders."""
    env = environment(place, "plain", PYTHONPATH=python_path(checkout), HOME=str(place.home))
    with on_core(place.proxy_core):
        began = time.perf_counter()
        said = subprocess.run(
            command, env=env, cwd=place.home, capture_output=True, timeout=30, check=False
        )
    if said.returncode != 0:
        raise CannotMeasureError(f"{' '.join(command[1:4])}\n{said.stderr.decode()[-300:]}")
    return (time.perf_counter() - began) * 1000
